"""The story a run must tell, checked against what the optimizer published: every chapter is an event on a public topic.

A challenger is tried, goes up step by step, is promoted, and the traffic is seen to follow; the next challenger turns
bad while it is on trial and is rolled back; in the end the first one serves.
"""

from collections.abc import Iterable, Sequence

import msgspec

from app.adapters.readmodel.told import Told
from app.core.split import Split
from app.sim.scenario import Expected

PROMOTIONS = frozenset({"promote", "admit"})


class Chapter(msgspec.Struct, frozen=True):
    """One chapter. ``at`` and ``why`` are those of the event that tells it; empty while it has not happened."""

    title: str
    happened: bool
    at: str = ""
    why: str = ""


def chapters(expected: Expected, told: Sequence[Told], split: Split | None) -> list[Chapter]:
    """The story so far, in order. A chapter counts only after the one before it; ``split`` is the newest one."""
    ours = [event for event in told if event.service == expected.service]
    good, bad = expected.promoted, expected.rolled_back
    found = [
        _decided(f"{good} is tried on a small share", ours, {"open-trial"}, good),
        _decided(f"{good} goes up a step", ours, {"next-step"}, good),
        _decided(f"{good} is promoted", ours, PROMOTIONS, good),
    ]
    promoted = next((e for e in ours if e.is_decision and e.action in PROMOTIONS and e.challenger == good), None)
    found.append(_verified(f"the traffic is seen to follow {good}", ours, promoted))
    later = ours[ours.index(promoted) :] if promoted is not None else []
    found += [
        _decided(f"{bad} is tried next", later, {"open-trial"}, bad),
        _decided(f"{bad} turns bad on trial and is rolled back", later, {"roll-back"}, bad),
        _serving(expected, split),
    ]
    return found


def promotions_seen(told: Sequence[Told]) -> list[Told]:
    """The promotions the traffic was seen to follow."""
    verified = {event.decision_id for event in told if event.status == "verified"}
    return [e for e in told if e.is_decision and e.action in PROMOTIONS and e.decision_id in verified]


def _decided(title: str, told: Iterable[Told], actions: Iterable[str], arm: str) -> Chapter:
    wanted = frozenset(actions)
    for event in told:
        if event.status == "decided" and event.action in wanted and event.challenger == arm:
            return Chapter(title, happened=True, at=event.time, why=event.rationale)
    return Chapter(title, happened=False)


def _verified(title: str, told: Iterable[Told], decision: Told | None) -> Chapter:
    for event in told:
        if decision is not None and event.status == "verified" and event.decision_id == decision.decision_id:
            share, requests = event.data.get("observed_share") or 0.0, event.data.get("requests", 0)
            return Chapter(title, happened=True, at=event.time, why=f"{share:.0%} of {requests} requests")
    return Chapter(title, happened=False)


def _serving(expected: Expected, split: Split | None) -> Chapter:
    title = f"{expected.promoted} serves, nothing else is on trial with it"
    if split is None or split.incumbent != expected.promoted:
        return Chapter(title, happened=False)
    on_trial = split.trial.arm if split.trial is not None else ""
    return Chapter(title, happened=on_trial != expected.rolled_back, why=f"version {split.version}")
