"""How much harm a change may do, per metric (STATISTICS 5)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Rule = Literal["strict", "lenient"]
Points = Annotated[
    float, Meta(ge=0, le=1, description="Accepted harm in absolute points of the 0-1 scale (0.05 = 5 points).")
]
Percent = Annotated[float, Meta(ge=0, le=1000, description="Accepted harm relative to the control slice, in percent.")]
RuleField = Annotated[
    Rule, Meta(description="`strict` rolls back once any harm is certain, `lenient` once harm beyond the tolerance is.")
]


class _Points(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    tolerance_points: Points
    rule: RuleField = "strict"

    @property
    def tolerance(self) -> float:
        """Accepted harm on the metric's own scale (absolute)."""
        return self.tolerance_points


class _Percent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    tolerance_percent: Percent
    rule: RuleField = "strict"

    @property
    def tolerance(self) -> float:
        """Accepted harm as a ratio (20 % = 0.2)."""
        return self.tolerance_percent / 100


class QualityGuardrail(_Points, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Drop of the mean score."""

    tolerance_points: Points = 0.05


class LatencyGuardrail(_Percent, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rise of the latency: a ratio, from means of its logarithm."""

    tolerance_percent: Percent = 20.0


class ErrorsGuardrail(_Points, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rise of the error rate."""

    tolerance_points: Points = 0.02


class CostGuardrail(_Percent, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rise of the mean cost. Lenient, because a better answer may cost a little more."""

    tolerance_percent: Percent = 20.0
    rule: RuleField = "lenient"


class Guardrails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A trial ends in harm by these rules, and is admitted only when every bound of harm is inside its tolerance."""

    quality: Annotated[QualityGuardrail, Meta(description="Drop of the mean score.")] = QualityGuardrail()
    latency: Annotated[LatencyGuardrail, Meta(description="Rise of the latency.")] = LatencyGuardrail()
    errors: Annotated[ErrorsGuardrail, Meta(description="Rise of the error rate.")] = ErrorsGuardrail()
    cost: Annotated[CostGuardrail, Meta(description="Rise of the mean cost.")] = CostGuardrail()
    alpha: Annotated[
        float,
        Meta(ge=1e-6, le=0.5, description="Chance of a false verdict over a whole trial, shared by the four metrics."),
    ] = 0.05
