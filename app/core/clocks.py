"""What the sources last said, and the watermark of the group (rules O4, O9). Mutable, a function of the facts log.

Log time is the append time of the facts records, never a worker's clock. A source is silent while it does not move:
its marks may still come (a partition without a leader), but they say nothing new. Only time in which somebody spoke
counts as silence: after an outage of all, the first to speak does not leave the others behind; and none of it counts
before the first event anywhere, since nobody has moved then.
"""

import msgspec

from app.core.facts import NEVER, Partials

GAP_MS = 3_000
"""Longest gap between two records that counts as time in which the others were silent; marks come every second, and a
group that is being rebalanced says nothing.
"""


class SourceClock(msgspec.Struct, array_like=True):
    """What a source last said: watermark and idle mark (event seconds), ``Clocks.spoken_ms`` when it last moved."""

    watermark: int = NEVER
    idle: int = NEVER
    moved_ms: int = 0


class Clocks(msgspec.Struct, array_like=True):
    """Every declared source's clock, the log time (ms), the newest closed pane, and the time in which anybody spoke
    (ms; ``heard_ms`` is the log time of the last who did). ``partitions``: of the facts topic.
    """

    sources: dict[str, SourceClock] = {}
    log_ms: int = 0
    closed: int = NEVER
    spoken_ms: int = 0
    heard_ms: int = 0
    partitions: int = 0

    def hear(self, fact: Partials, silent_ms: int) -> None:
        """Take the marks of one record; a source counts from the moment the log declares it (O4)."""
        if self.spoken_ms or self._begun():
            self.spoken_ms += min(max(0, self.log_ms - self.heard_ms), GAP_MS)
        self.heard_ms = self.log_ms
        for topic, count in fact.topology.items():
            if f"{topic}-{count - 1}" not in self.sources:
                for partition in range(count):
                    self.sources.setdefault(f"{topic}-{partition}", SourceClock(moved_ms=self.spoken_ms))
        clock = self.sources.setdefault(fact.source, SourceClock(moved_ms=self.spoken_ms))
        if fact.watermark is not None and fact.watermark > clock.watermark:
            clock.watermark, clock.moved_ms = fact.watermark, self.spoken_ms
        if fact.idle is not None and fact.idle > clock.idle:
            clock.idle, clock.moved_ms = fact.idle, self.spoken_ms
        self._forget_removed(fact.topology, silent_ms)

    def _begun(self) -> bool:
        return any(max(clock.watermark, clock.idle) > NEVER for clock in self.sources.values())

    def _forget_removed(self, topology: dict[str, int], silent_ms: int) -> None:
        """A topic taken out of the settings must not mark every pane incomplete for ever."""
        gone = [name for name in self.silent(silent_ms) if name.rpartition("-")[0] not in topology]
        for name in gone:
            del self.sources[name]

    def silent(self, after_ms: int) -> list[str]:
        """Sources that have not moved for ``after_ms`` while others spoke, by name."""
        limit = self.spoken_ms - after_ms
        return sorted(name for name, clock in self.sources.items() if clock.moved_ms < limit)

    def group(self, silent_ms: int) -> tuple[int, bool]:
        """The group watermark (event seconds, or NEVER) and whether no source had to be left out of it."""
        limit = self.spoken_ms - silent_ms
        heard = [clock for clock in self.sources.values() if clock.moved_ms >= limit]
        watermark = min((max(clock.watermark, clock.idle) for clock in heard), default=NEVER)
        return watermark, len(heard) == len(self.sources)
