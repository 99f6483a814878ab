"""Messages on their way to Kafka, ordered by the event time at which they are sent.

What: answers complete after their latency, scores arrive later still, and pipelines disorder both a little. Mutable.
"""

import heapq
from collections.abc import Iterator

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """One record to produce. ``role`` is ``responses`` or ``feedback``; ``copies`` 2 = a producer's duplicate."""

    role: str
    key: bytes
    value: bytes
    copies: int = 1


class Outbox:
    """A queue by due time (epoch seconds); equal times keep the order in which they were put."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Message]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, due_s: float, message: Message) -> None:
        """Send ``message`` at ``due_s``."""
        heapq.heappush(self._heap, (due_s, self._count, message))
        self._count += 1

    def release(self, until_s: float) -> Iterator[Message]:
        """Everything due up to ``until_s``, in order; it is gone from the box."""
        while self._heap and self._heap[0][0] <= until_s:
            yield heapq.heappop(self._heap)[2]
