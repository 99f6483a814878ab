"""Faults on an event-time schedule: what goes wrong with an arm or the gateway, and when.

A fault begins ``after_min`` event minutes after the start of the run, or after its arm's first request when
``since = "first-request"`` (so that it hits a change on trial whenever that trial happens), and ends after
``lasts_min`` (never, when absent). Faults on one arm add up in the order of the schedule.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.sim.arms import ArmModel, Price, QualityLaw

Minutes = Annotated[float, Meta(ge=0)]
Since = Literal["start", "first-request"]


class _Timed(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    after_min: Minutes
    since: Since = "start"
    lasts_min: Minutes | None = None


class _OnArm(_Timed, frozen=True, kw_only=True):
    arm: str


class QualityDrop(_OnArm, frozen=True, kw_only=True, tag="quality-drop"):
    """The arm's mean score falls by ``points`` (0.05 = five points on 0-1)."""

    points: Annotated[float, Meta(gt=0, le=1)]


class LatencyRise(_OnArm, frozen=True, kw_only=True, tag="latency-rise"):
    """The arm's median latency is multiplied by ``factor``."""

    factor: Annotated[float, Meta(gt=1)]


class PriceChange(_OnArm, frozen=True, kw_only=True, tag="price-change"):
    """The provider bills ``price`` from now on."""

    price: Price


class ModelSwap(_OnArm, frozen=True, kw_only=True, tag="model-swap"):
    """The provider serves another model under the same name; its quality differs by ``points`` (may be negative)."""

    response_model: str
    fingerprint: str
    points: Annotated[float, Meta(ge=-1, le=1)] = 0.0


class CostSpike(_OnArm, frozen=True, kw_only=True, tag="cost-spike"):
    """The arm writes ``factor`` times as much, which is slower and dearer."""

    factor: Annotated[float, Meta(gt=1)]


class ErrorBurst(_OnArm, frozen=True, kw_only=True, tag="error-burst"):
    """``share`` more of the arm's answers fail."""

    share: Annotated[float, Meta(gt=0, le=1)]


class GatewayOutage(_Timed, frozen=True, kw_only=True, tag="gateway-outage"):
    """The gateway refuses configuration (traffic goes on with the split it has)."""


ArmFault = QualityDrop | LatencyRise | PriceChange | ModelSwap | CostSpike | ErrorBurst
Fault = ArmFault | GatewayOutage


def active(fault: Fault, now_s: float, start_s: float) -> bool:
    """Is ``fault`` in force at ``now_s``, its clock having started at ``start_s``?"""
    begun_min = (now_s - start_s) / 60 - fault.after_min
    return begun_min >= 0 and (fault.lasts_min is None or begun_min < fault.lasts_min)


def apply(arm: ArmModel, fault: ArmFault) -> ArmModel:
    """``arm`` as it behaves under ``fault``."""
    replace = msgspec.structs.replace
    if isinstance(fault, QualityDrop):
        return replace(arm, quality=_shifted(arm, -fault.points))
    if isinstance(fault, LatencyRise):
        law = arm.latency
        return replace(
            arm, latency=replace(law, base_ms=law.base_ms * fault.factor, per_token_ms=law.per_token_ms * fault.factor)
        )
    if isinstance(fault, PriceChange):
        return replace(arm, price=fault.price)
    if isinstance(fault, CostSpike):
        return replace(arm, verbosity=arm.verbosity * fault.factor)
    if isinstance(fault, ErrorBurst):
        return replace(arm, error_rate=min(1.0, arm.error_rate + fault.share))
    return replace(
        arm,
        response_model=fault.response_model,
        fingerprint=fault.fingerprint,
        quality=_shifted(arm, fault.points),
    )


def _shifted(arm: ArmModel, points: float) -> QualityLaw:
    law = arm.quality
    return msgspec.structs.replace(law, mean=min(1.0, max(0.0, law.mean + points)))


class Conditions:
    """The faults of one service in force. Mutable: it remembers when each arm was first asked."""

    def __init__(self, arms: tuple[ArmModel, ...], faults: tuple[Fault, ...], start_s: float) -> None:
        self._arms = {arm.name: arm for arm in arms}
        self._faults = faults
        self._start_s = start_s
        self._first_request_s: dict[str, float] = {}
        self._now: dict[tuple[str, tuple[int, ...]], ArmModel] = {}

    def arm(self, name: str, now_s: float) -> ArmModel:
        """Arm ``name`` as it behaves at ``now_s``; KeyError when the scenario has no such arm."""
        self._first_request_s.setdefault(name, now_s)
        on = tuple(k for k, fault in enumerate(self._faults) if self._hits(fault, name, now_s))
        key = (name, on)
        if key not in self._now:
            model = self._arms[name]
            for k in on:
                model = apply(model, self._faults[k])  # type: ignore[arg-type]  # _hits lets only arm faults through
            self._now[key] = model
        return self._now[key]

    def begun_s(self, fault: Fault) -> float | None:
        """When ``fault`` begins (epoch seconds); None while its arm was not asked yet."""
        if fault.since == "start" or isinstance(fault, GatewayOutage):
            return self._start_s + 60 * fault.after_min
        first_s = self._first_request_s.get(fault.arm)
        return None if first_s is None else first_s + 60 * fault.after_min

    def gateway_down(self, now_s: float) -> bool:
        """Does the gateway refuse configuration at ``now_s``?"""
        return any(isinstance(fault, GatewayOutage) and active(fault, now_s, self._start_s) for fault in self._faults)

    def _hits(self, fault: Fault, arm: str, now_s: float) -> bool:
        if isinstance(fault, GatewayOutage) or fault.arm != arm:
            return False
        start_s = self._start_s if fault.since == "start" else self._first_request_s[arm]
        return active(fault, now_s, start_s)
