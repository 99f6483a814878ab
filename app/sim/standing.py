"""Where each service stands now, read from the newest records of the public topics."""

import msgspec

from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Subscriber
from app.adapters.readmodel.told import Told
from app.core.events import epoch_s, rfc3339
from app.core.split import Split
from app.settings import Settings
from app.sim.watch import Watch

TAIL = 2_000
"""Newest records read of each partition: enough for some minutes of every service."""


class Standing(msgspec.Struct, frozen=True):
    """One service. ``closed`` is the end of its newest counted minute, ``behind_s`` its age; None: nothing counted yet.

    ``weights`` by segment; ``trial`` "" when none is open. ``frozen``: the split was frozen by an operator.
    """

    service: str
    mode: str
    version: int
    incumbent: str
    weights: dict[str, dict[str, float]]
    trial: str
    frozen: bool
    closed: str
    behind_s: float | None

    @property
    def serving(self) -> str:
        """The weights in one line; segments apart only where there are several."""
        parts = {segment: _shares(weights) for segment, weights in self.weights.items()}
        if len(parts) == 1:
            (only,) = parts.values()
            return only
        return "; ".join(f"{segment}: {shares}" for segment, shares in parts.items()) or "-"

    @property
    def behind(self) -> str:
        """``behind_s`` for people."""
        if self.behind_s is None:
            return "-"
        return f"{self.behind_s:.0f} s" if self.behind_s < 600 else f"{self.behind_s / 60:.0f} min"


def standings(settings: Settings, *, now_s: float) -> list[Standing]:
    """All services, by name. Raises ``SubscribeError``."""
    topics = settings.topics
    watch = Watch(topics)
    with Subscriber(
        librdkafka(settings.kafka), [topics.splits, topics.optimizations, topics.aggregates], tail=TAIL
    ) as reader:
        watch.take(reader.until_now())
    modes = {event.service: str(event.data.get("mode", "")) for event in _by_time(watch) if event.data.get("mode")}
    names = sorted({*watch.splits, *watch.closed_s, *modes} - {"*"})
    return [_standing(name, modes.get(name, ""), watch, now_s) for name in names]


def _by_time(watch: Watch) -> list[Told]:
    return sorted(watch.told, key=lambda event: event.time)


def _standing(name: str, mode: str, watch: Watch, now_s: float) -> Standing:
    split: Split | None = watch.splits.get(name)
    closed = rfc3339(watch.closed_s[name]) if name in watch.closed_s else ""
    return Standing(
        name,
        mode,
        split.version if split else 0,
        split.incumbent if split else "",
        split.weights if split else {},
        _trial(split),
        split.frozen if split else False,
        closed,
        now_s - epoch_s(closed) if closed else None,
    )


def _trial(split: Split | None) -> str:
    if split is None or split.trial is None:
        return ""
    trial = split.trial
    return f"{trial.arm} {trial.share:.0%} against {trial.control_arm} {trial.control_share:.0%}"


def _shares(weights: dict[str, float]) -> str:
    return ", ".join(f"{arm} {weight:.0%}" for arm, weight in weights.items() if weight > 0)
