"""Experiments as they were told: one that began, and what it ended with."""

from collections.abc import Iterable
from typing import Any, Literal

from app.adapters.readmodel.answers import Answer, DecisionEvent
from app.core.ids import stable_id
from app.core.outputs import EXPERIMENT_COMPLETED, EXPERIMENT_STARTED

TYPES = (EXPERIMENT_STARTED, EXPERIMENT_COMPLETED)
_ENDED = ("status", "duration_hours", "winner", "conclusion")


class Experiment(Answer, frozen=True, kw_only=True):
    """One experiment. ``duration_hours``, ``winner``, ``conclusion``, ``improvement``: None while it runs.

    ``arms``: the control first. ``improvement``: winner minus control, by metric.
    """

    experiment_id: str
    service: str
    name: str
    status: Literal["running", "completed", "aborted"]
    began: str
    arms: list[str]
    hypothesis: str
    duration_hours: float | None
    winner: str | None
    conclusion: str | None
    improvement: dict[str, float] | None = None


def experiments(events: Iterable[DecisionEvent]) -> list[Experiment]:
    """From what was told, oldest first; one whose beginning is not there any more is left out."""
    begun: dict[str, dict[str, Any]] = {}
    for event in events:
        identity = str(event.data.get("experiment_id", ""))
        if event.data.get("status") == "running":
            begun.setdefault(identity, {"began": event.time, **event.data})
        elif identity in begun:
            begun[identity] |= {key: event.data.get(key) for key in _ENDED}
    return [_experiment(identity, data) for identity, data in begun.items()]


def identity_of(topic: str, partition: int, offset: int, service: str) -> str:
    """The id the engine gives to what the command at this place of the log orders."""
    return stable_id("order", f"{topic}-{partition}", offset, service)


def refusal_of(topic: str, partition: int, offset: int, service: str) -> str:
    """The id of the decision that refuses the command at this place of the log."""
    return stable_id("refused", f"{topic}-{partition}", offset, service)


def _experiment(identity: str, data: dict[str, Any]) -> Experiment:
    winner = data.get("winner") or {}
    return Experiment(
        experiment_id=identity,
        service=str(data.get("service", "")),
        name=str(data.get("experiment_name", "")),
        status=data["status"],
        began=data["began"],
        arms=[str(variant.get("variant_id", "")) for variant in data.get("variants") or []],
        hypothesis=str(data.get("hypothesis", "")),
        duration_hours=data.get("duration_hours"),
        winner=winner.get("variant_id"),
        conclusion=data.get("conclusion"),
        improvement=winner.get("improvement_metrics"),
    )
