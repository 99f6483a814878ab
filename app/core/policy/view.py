"""What conditions and limits see of a proposed change: the document's words, the arm's means, what was spent."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from app.core.document import EVERYWHERE, Arm, ServiceDocument
from app.core.levers.expectation import costs_of, traffic_of
from app.core.levers.lever import View
from app.core.policy.evaluate import Attributes, Unlisted, Value
from app.core.policy.spending import spent
from app.core.profile import Profile
from app.core.row import Row

Action = Literal["open-trial", "next-step", "admit", "promote"]
OTHER = "other"
SEEN_MIN = 20
"""Requests of an arm before a mean of them is known."""


class Proposed(msgspec.Struct, frozen=True):
    """A change about to be made: ``arm`` would get ``share`` of the traffic outside the holdout."""

    action: Action
    arm: Arm
    share: float

    @property
    def final(self) -> bool:
        """Whether the arm takes over, so that what is not known yet will never be found out on trial."""
        return self.action in {"admit", "promote"}


def measured(row: Row, proposed: Proposed, now_s: int) -> dict[str, float]:
    """The metrics that are known, by the names of ``app.core.policy.names``; the others are left out."""
    profile = row.profiles.get(proposed.arm.name, Profile())
    seen = profile.n >= SEEN_MIN
    money = spent(row.budgeting, row.document, now_s)
    values: dict[str, float | None] = {
        "cost_usd": cost_usd(row, proposed.arm, now_s),
        "latency_ms": profile.latency,
        "quality_score": profile.mean_quality,
        "error_rate": profile.errors / profile.n if seen else None,
        "input_tokens": profile.input_tokens / profile.n if seen else None,
        "output_tokens": profile.output_tokens / profile.n if seen else None,
        "daily_cost": money[0] if money else None,
        "monthly_cost": money[1] if money else None,
        "requests_per_minute": row.requests_per_minute or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def cost_usd(row: Row, arm: Arm, now_s: int) -> float | None:
    """What a request costs or, by the price book, would cost on the present traffic: tokens and own compute."""
    view = View(
        document=row.document,
        incumbent=row.incumbent,
        profiles=row.profiles,
        resting=lambda _: "",
        now_s=now_s,
        spread=row.spread,
    )
    costs = costs_of(traffic_of(view), arm, row.profiles.get(arm.name, Profile()))
    return None if costs is None else costs.tokens + costs.compute


def attributes(row: Row, proposed: Proposed, metrics: Mapping[str, float], segment: str) -> Attributes:
    """Everything a condition may ask, for one segment."""
    document, arm = row.document, proposed.arm
    model: dict[str, Value] = {
        "name": arm.model or arm.name,
        "provider": arm.provider,
        "region": arm.region,
        "capabilities": arm.capabilities,
    }
    return {
        "service.name": document.service,
        "service.mode": document.mode,
        "service.policy": document.policy,
        "service.gateway": document.gateway,
        "segment.name": segment,
        **_users(document, segment),
        **{f"model.{key}": value for key, value in model.items()},
        **{f"arm.{key}": value for key, value in model.items()},
        "arm.name": arm.name,
        "arm.model": arm.model or arm.name,
        "arm.prompt_version": arm.prompt_version,
        "incumbent.name": row.incumbent,
        "change.action": proposed.action,
        "change.share": proposed.share,
        **_free("arm.parameters", arm.parameters),
        **_free("arm.features", arm.features),
        **metrics,
    }


def _users(document: ServiceDocument, segment: str) -> dict[str, Value]:
    """The part of a request the segments go by; the parts nobody declared stay unknown."""
    by = document.segments.by
    if not by or segment == EVERYWHERE:
        return {}
    value: Value = segment if segment != OTHER else Unlisted(document.segments.values)
    return {f"user.{by}": value, f"segment.{by}": value}


def _free(name: str, table: Mapping[str, Any]) -> dict[str, Value]:
    return {f"{name}.{key}": _value(value) for key, value in table.items() if isinstance(value, str | int | float)}


def _value(value: str | float) -> Value:
    return value
