"""What was really produced, minute by minute, and its comparison with what the optimizer counted.

What: an independent count by (service, arm, event minute of the event itself). The aggregates must equal it exactly in
every integer and to rounding in money. Duplicates and broken events are not in the ledger: they must not be counted.
"""

from collections.abc import Mapping

import msgspec

Key = tuple[str, str, int]
"""(service, arm, start of the minute in epoch seconds)"""


class Sums(msgspec.Struct):
    """Sums of one key. Mutable: counted up in place."""

    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    scores: int = 0
    cost_usd: float = 0.0
    quality: float = 0.0


class Exactness(msgspec.Struct, frozen=True):
    """The verdict over the closed minutes. ``wrong`` names up to ten keys that differ, with both counts."""

    minutes: int
    produced: int
    counted: int
    scores_produced: int
    scores_counted: int
    wrong: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Every minute of every arm is right, and there was something to count."""
        return not self.wrong and self.produced > 0


class Ledger:
    """Counts what goes out. Mutable."""

    def __init__(self) -> None:
        self.sums: dict[Key, Sums] = {}
        self.minutes: dict[str, set[int]] = {}

    def answered(self, service: str, arm: str, time_s: float, counted: Sums) -> None:
        """One answer whose event time is ``time_s``."""
        total = self._at(service, arm, time_s)
        total.requests += counted.requests
        total.errors += counted.errors
        total.input_tokens += counted.input_tokens
        total.output_tokens += counted.output_tokens
        total.cost_usd += counted.cost_usd

    def scored(self, service: str, arm: str, time_s: float, quality: float) -> None:
        """One judge's score whose event time is ``time_s``."""
        total = self._at(service, arm, time_s)
        total.scores += 1
        total.quality += quality

    def _at(self, service: str, arm: str, time_s: float) -> Sums:
        minute = int(time_s) // 60 * 60
        self.minutes.setdefault(service, set()).add(minute)
        return self.sums.setdefault((service, arm, minute), Sums())

    def last_minute_end(self, service: str, until_s: int) -> int | None:
        """End of the newest minute of ``service`` that has events and ends by ``until_s`` (a whole minute)."""
        minutes = self.minutes.get(service, set())
        first = min(minutes, default=until_s)
        return next((start + 60 for start in range(until_s - 60, first - 1, -60) if start in minutes), None)


def compare(produced: Mapping[Key, Sums], counted: Mapping[Key, Sums], *, until_s: int) -> Exactness:
    """Compare the minutes that start before ``until_s`` (the end of the newest closed minute)."""
    keys = sorted(key for key in {*produced, *counted} if key[2] < until_s)
    none = Sums()
    pairs = [(key, produced.get(key, none), counted.get(key, none)) for key in keys]
    wrong = [f"{'/'.join(map(str, key))}: produced {p}, counted {c}" for key, p, c in pairs if not _same(p, c)]
    return Exactness(
        minutes=len({key[2] for key in keys}),
        produced=sum(p.requests for _, p, _ in pairs),
        counted=sum(c.requests for _, _, c in pairs),
        scores_produced=sum(p.scores for _, p, _ in pairs),
        scores_counted=sum(c.scores for _, _, c in pairs),
        wrong=tuple(wrong[:10]),
    )


def _same(a: Sums, b: Sums) -> bool:
    whole = ("requests", "errors", "input_tokens", "output_tokens", "scores")
    money = ("cost_usd", "quality")
    return all(getattr(a, f) == getattr(b, f) for f in whole) and all(
        abs(getattr(a, f) - getattr(b, f)) <= 1e-9 * max(1.0, abs(getattr(a, f))) for f in money
    )
