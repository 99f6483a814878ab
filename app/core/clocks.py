"""What the sources last said, and the watermark of the group (rules O4, O9). Mutable, a function of the facts log.

Log time is the append time of the facts records, never a worker's clock.
"""

import msgspec

from app.core.facts import NEVER, Partials


class SourceClock(msgspec.Struct, array_like=True):
    """What a source last said: watermark and idle mark (event seconds), log time it was last heard (ms)."""

    watermark: int = NEVER
    idle: int = NEVER
    heard_ms: int = 0


class Clocks(msgspec.Struct, array_like=True):
    """Every declared source's clock, the log time (ms) and the newest closed pane."""

    sources: dict[str, SourceClock] = {}
    log_ms: int = 0
    closed: int = NEVER

    def hear(self, fact: Partials, silent_ms: int) -> None:
        """Take the marks of one record; a source counts from the moment the log declares it (O4)."""
        for topic, count in fact.topology.items():
            if f"{topic}-{count - 1}" not in self.sources:
                for partition in range(count):
                    self.sources.setdefault(f"{topic}-{partition}", SourceClock(heard_ms=self.log_ms))
        clock = self.sources.setdefault(fact.source, SourceClock())
        clock.heard_ms = self.log_ms
        if fact.watermark is not None:
            clock.watermark = max(clock.watermark, fact.watermark)
        if fact.idle is not None:
            clock.idle = max(clock.idle, fact.idle)
        self._forget_removed(fact.topology, silent_ms)

    def _forget_removed(self, topology: dict[str, int], silent_ms: int) -> None:
        """A topic taken out of the settings must not mark every pane incomplete for ever."""
        gone = [name for name in self.silent(silent_ms) if name.rpartition("-")[0] not in topology]
        for name in gone:
            del self.sources[name]

    def silent(self, after_ms: int) -> list[str]:
        """Sources not heard for ``after_ms`` of log time, by name."""
        limit = self.log_ms - after_ms
        return sorted(name for name, clock in self.sources.items() if clock.heard_ms < limit)

    def group(self, silent_ms: int) -> tuple[int, bool]:
        """The group watermark (event seconds, or NEVER) and whether no source had to be left out of it."""
        limit = self.log_ms - silent_ms
        heard = [clock for clock in self.sources.values() if clock.heard_ms >= limit]
        watermark = min((max(clock.watermark, clock.idle) for clock in heard), default=NEVER)
        return watermark, len(heard) == len(self.sources)
