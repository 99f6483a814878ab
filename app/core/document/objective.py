"""What is better: one number made of mean quality, mean cost and mean latency (STATISTICS 3)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.core.events import Channel

Preset = Literal["cost", "balanced", "quality"]
Weight = Annotated[float, Meta(ge=0, le=1)]


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of the three goals in the reward; they sum to 1."""

    quality: Annotated[Weight, Meta(description="Share of the mean score (0-1).")] = 0.6
    cost: Annotated[Weight, Meta(description="Share of 1 - mean cost / `cost_max_usd`.")] = 0.3
    latency: Annotated[Weight, Meta(description="Share of 1 - mean latency / `latency_max_ms`.")] = 0.1


PRESETS: dict[Preset, Weights] = {
    "cost": Weights(0.3, 0.6, 0.1),
    "balanced": Weights(0.6, 0.3, 0.1),
    "quality": Weights(0.8, 0.1, 0.1),
}


class Objective(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """reward = w.quality q + w.cost (1 - c / cost_max_usd) + w.latency (1 - l / latency_max_ms), of means."""

    preset: Annotated[Preset, Meta(description="Named weights; `weights` overrides it.")] = "balanced"
    weights: Annotated[Weights | None, Meta(description="Own weights, summing to 1.")] = None
    cost_max_usd: Annotated[
        float,
        Meta(gt=0, le=1e6, description="Cost of a request that earns nothing, USD: a long prompt on a large model."),
    ] = 0.02
    latency_max_ms: Annotated[
        float, Meta(gt=0, le=1e9, description="Latency that earns nothing, ms: when most people have given up.")
    ] = 10_000.0
    late_usd_per_s: Annotated[
        float,
        Meta(
            ge=0, le=1e3, description="Penalty in USD for each second beyond `slo.latency_ms`, when arms are compared."
        ),
    ] = 0.0
    score_channel: Annotated[
        Channel,
        Meta(description="Which scores count as quality; judge scores are sampled, so free of volunteers' bias."),
    ] = "judge"

    @property
    def effective(self) -> Weights:
        """The weights that count: own ones, else the preset's."""
        return self.weights if self.weights is not None else PRESETS[self.preset]
