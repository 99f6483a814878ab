"""From what a series did to a note: told when it is worth a word, again when it got worse, and when it ended."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.core.analyze.finding import Cleared, Note, Signal, rank
from app.core.analyze.ring_watch import RingWatch
from app.core.analyze.series import Excursion, MeanWatch, Moved, RateWatch, Strange

W = TypeVar("W", MeanWatch, RateWatch, RingWatch, Strange)

BACK = "it is back to what is usual"


def told(watch: W, moved: Moved, key: str, make: Callable[[Excursion], Signal | None]) -> tuple[W, list[Note]]:
    """``watch`` and the note about it. ``make`` gives the signal of an excursion, or None while it is not worth one.

    An excursion in a direction that does no harm, or too small, is followed in silence until it ends.
    """
    if moved == "":
        return watch, []
    if moved == "cleared":
        return watch, [Cleared(key, BACK)]
    out = watch.out
    if out is None:
        return watch, []
    signal = make(out)
    if signal is None or rank(signal.severity) <= out.told:
        return watch, []
    louder = msgspec.structs.replace(out, told=rank(signal.severity))
    return msgspec.structs.replace(watch, out=louder), [signal]
