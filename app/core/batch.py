"""A run of consecutive records of one topic-partition, as the lane fetched it."""

import bisect
from collections.abc import Sequence

Headers = Sequence[tuple[str, bytes]]


class Batch:
    """Mutable only through ``trim``.

    ``values[i]`` has offset ``offsets[i]``, or ``first + i`` when ``offsets`` is None (no holes). ``start`` and
    ``end`` are the fetch positions before and after, so compacted or control records leave no gap. ``segments``
    holds (next offset, append time in ms) of the record batches, in order.
    """

    __slots__ = ("end", "first", "headers", "keys", "offsets", "segments", "source", "start", "values")

    def __init__(
        self,
        source: str,
        values: list[bytes | None],
        offsets: Sequence[int],
        *,
        start: int,
        end: int,
        segments: list[tuple[int, int]],
        keys: Sequence[bytes | None] | None = None,
        headers: list[Headers] | None = None,
    ) -> None:
        self.source = source
        self.values = values
        self.keys = keys
        self.headers = headers
        self.start = start
        self.end = end
        self.segments = segments
        self.first = offsets[0] if offsets else end
        contiguous = bool(offsets) and offsets[-1] - offsets[0] + 1 == len(offsets)
        self.offsets = None if contiguous or not offsets else offsets

    def offset(self, index: int) -> int:
        """Offset of the record at ``index``."""
        return self.first + index if self.offsets is None else self.offsets[index]

    def index(self, offset: int) -> int:
        """Index of the first record at or after ``offset``."""
        if self.offsets is None:
            return min(len(self.values), max(0, offset - self.first))
        return bisect.bisect_left(self.offsets, offset)

    def offsets_of(self, start: int, stop: int) -> Sequence[int]:
        """Offsets of the records ``start..stop``."""
        return range(self.first + start, self.first + stop) if self.offsets is None else self.offsets[start:stop]

    def append_ms(self, offset: int) -> int:
        """Broker append time (ms) of the record batch that holds ``offset``; 0 when unknown."""
        segments = self.segments
        if not segments:
            return 0
        at = bisect.bisect_right(segments, offset, key=lambda s: s[0])
        return segments[min(at, len(segments) - 1)][1]

    def oldest_append_ms(self) -> int:
        """Smallest append time of the batch (ms)."""
        return min((ms for _, ms in self.segments), default=0)

    def trim(self, position: int) -> None:
        """Forget the records before ``position`` (rule L1: an overlap is trimmed)."""
        drop = self.index(position)
        self.values = self.values[drop:]
        if self.keys is not None:
            self.keys = self.keys[drop:]
        if self.headers is not None:
            self.headers = self.headers[drop:]
        if self.offsets is None:
            self.first += drop
        else:
            self.offsets = self.offsets[drop:]
            self.first = self.offsets[0] if self.offsets else self.end
        self.start = position
