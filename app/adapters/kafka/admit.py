"""Rule L1: a batch is folded only where it continues the engine's log exactly. Pure, tested without a broker."""

from collections import defaultdict
from typing import Any, Literal

from app.core.batch import Batch

Admission = Literal["fold", "drop", "seek"]
RESYNC_S = 1.0


def admit(position: int, batch: Batch) -> Admission:
    """What to do with ``batch`` at ``position``: an overlap is trimmed off the batch, a hole asks for a seek."""
    if batch.start > position:
        return "seek"
    if batch.end <= position:
        return "drop"
    if batch.start < position:
        batch.trim(position)
    return "fold"


class Resync:
    """Remembers which seeks are under way: a hole is asked for again every second until it comes (rule L10)."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[int, float]] = {}
        self.count = 0

    def due(self, source: str, position: int, now_s: float) -> bool:
        """Whether to seek ``source`` back to ``position`` now."""
        last = self._asked.get(source)
        if last is not None and last[0] == position and now_s - last[1] < RESYNC_S:
            return False
        self._asked[source] = (position, now_s)
        self.count += 1
        return True

    def clear(self) -> None:
        """Forget all: the engines were rebuilt."""
        self._asked.clear()


class ReadOffsets(defaultdict[Any, Any]):
    """Faust's read offsets, blind for lane topics (rule L10).

    Faust drops what lies below ``_read_offset`` and sets it after delivery: a batch in flight during a seek puts the
    old value back, and everything sought for is dropped in silence. Engines check positions themselves.
    """

    def __init__(self, hot: frozenset[str]) -> None:
        super().__init__(lambda: None)
        self._hot = hot

    def __getitem__(self, tp: Any) -> Any:
        return None if tp.topic in self._hot else super().__getitem__(tp)
