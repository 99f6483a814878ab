"""When a source that stands at its log end may stop holding the group watermark back (rule I5). Pure.

A claim names a second: nothing appended after it can belong to an earlier one. That is true only where event time
follows the clock; of replayed or compressed traffic nothing can be known, so its sources never claim, and their last
minute closes when a later event arrives. A source that never had an event claims no more than what was the newest
watermark or claim of its neighbours in this worker when it had yet to stay empty for the whole time of idleness: so it
holds nobody back for longer, and does not run ahead where a log is filled with last year's events either.
"""

from collections import deque

import msgspec

UNKNOWN = -(1 << 59)
"""Watermarks below this are those of a source without any event."""


class Stand(msgspec.Struct, frozen=True):
    """A source seen at its log end, everything acked. Seconds: ``seen_s`` and ``since_s`` of this machine's clock,
    ``appended_s`` (None: unknown) of the broker's when the watermark last moved, ``watermark`` event time.
    """

    position: int
    since_s: float
    seen_s: float
    appended_s: int | None
    watermark: int


class Newest:
    """The newest watermark in this worker, as it was a time of idleness ago. Mutable."""

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._noted: deque[tuple[float, int]] = deque()

    def note(self, at_s: float, watermark: int) -> None:
        """At ``at_s`` the newest is ``watermark``; what was noted two times of idleness before is forgotten."""
        if not self._noted or watermark > self._noted[-1][1]:
            self._noted.append((at_s, watermark))
        while len(self._noted) > 1 and self._noted[1][0] <= at_s - 2 * self._after_s:
            self._noted.popleft()

    def before(self, seen_s: float) -> int | None:
        """The newest a time of idleness before ``seen_s``; None: none was known."""
        return next((w for at_s, w in reversed(self._noted) if at_s <= seen_s - self._after_s), None)

    def clear(self) -> None:
        """Forget what was noted."""
        self._noted.clear()


def claim(stand: Stand, newest: int | None, *, after_s: float, session_s: float, lateness_s: float) -> int | None:
    """The second up to which the source is idle, or None. ``newest``: bound of a source that never had an event, by its
    neighbours; ``after_s``: how long it must have stood still; ``session_s``: how long a lost owner may not know it;
    ``lateness_s``: how far event time may trail the append time.
    """
    if stand.seen_s - stand.since_s < after_s:
        return None
    safe = int(stand.seen_s - session_s)
    if stand.watermark > UNKNOWN:
        follows = stand.appended_s is not None and stand.appended_s - stand.watermark <= lateness_s
        return safe if follows else None
    return safe if newest is None else min(safe, newest)
