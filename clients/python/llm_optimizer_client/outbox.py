"""Where accepted events wait: in the spill file first, when there is one, else in memory; both bounded.

With a spill folder an event is accepted once it is written there, so ``kill -9`` loses none. Memory is the second
place: when the folder is full or the disk fails. When both are full ``put`` says no.
"""

from __future__ import annotations

import logging
import threading
from collections import deque

from llm_optimizer_client.counts import Counting
from llm_optimizer_client.events import Record
from llm_optimizer_client.spill import Spill, Taken

log = logging.getLogger("llm_optimizer_client")


class Outbox:
    """Mutable. ``put`` by any thread; all else by the one that sends."""

    def __init__(self, counting: Counting, most: int, spill: Spill | None) -> None:
        self._counting, self._most, self._spill = counting, most, spill
        self._lock = threading.Lock()
        self._queue: deque[Record] = deque()
        self._closed = False
        if spill is not None:
            counting.add("replayed", spill.waiting)

    def put(self, record: Record) -> bool:
        """Whether ``record`` is accepted."""
        with self._lock:
            placed = not self._closed and self._place(record)
            self._counting.add("accepted" if placed else "refused")
        return placed

    def take(self, most: int) -> tuple[list[Record], Taken | None]:
        """The next records, and what to ``settle`` them by. Take no more before they are settled."""
        if self._spill is not None:
            taken = self._spill.take(most)
            if taken is not None:
                return taken.records, taken
            if self._spill.waiting:
                with self._lock:
                    self._counting.add("damaged", self._spill.write_off())
        with self._lock:
            return [self._queue.popleft() for _ in range(min(most, len(self._queue)))], None

    def settle(self, taken: Taken | None) -> None:
        """Records that were taken need no sending any more."""
        if taken is None or self._spill is None:
            return
        try:
            with self._lock:
                self._spill.settle(taken)
        except OSError as error:  # they may be sent once more after a restart, with the same ids
            self._complain(error)

    def put_back(self, records: list[Record]) -> list[Record]:
        """Put accepted records at the end; those for which there is no room."""
        with self._lock:
            return [record for record in records if not self._place(record)]

    def adopt(self) -> None:
        """Take over what processes left that are gone."""
        if self._spill is not None:
            try:
                self._counting.add("replayed", self._spill.adopt())
            except OSError as error:
                self._complain(error)

    def sync(self) -> None:
        """Force what was written to the disk, when it is due."""
        if self._spill is not None:
            try:
                self._spill.sync()
            except OSError as error:
                self._complain(error)

    def refuse_more(self) -> None:
        """From now on ``put`` says no."""
        with self._lock:
            self._closed = True

    def close(self) -> int:
        """Keep what still waits in the spill file, when there is one; how many events had to be given up."""
        self.refuse_more()
        with self._lock:
            left = len(self._queue)
            while self._queue and self._spilled(self._queue[0]):
                self._queue.popleft()
            lost = len(self._queue)
            self._counting.add("abandoned", lost)
            self._queue.clear()
            if self._spill is not None:
                self._spill.close()
                self._spill = None
        if lost:
            log.error("%d of %d events could not be sent or kept, and are lost", lost, left)
        return lost

    def after_fork(self) -> None:
        """In a forked child: what waits is the parent's to send."""
        self._lock = threading.Lock()
        self._queue.clear()
        if self._spill is not None:
            try:
                self._spill.after_fork()
            except OSError as error:
                self._spill = None
                log.warning("no spill file in this forked process: %s", error)

    def _place(self, record: Record) -> bool:
        if self._spilled(record):
            return True
        if len(self._queue) < self._most:
            self._queue.append(record)
            return True
        return False

    def _spilled(self, record: Record) -> bool:
        if self._spill is None:
            return False
        try:
            spilled = self._spill.append(record)
        except OSError as error:
            self._complain(error)
            self._counting.add("unspilled")
            return False
        if spilled:
            self._counting.add("spilled")
        return spilled

    def _complain(self, error: OSError) -> None:
        times = self._counting.complain()
        if times & (times - 1) == 0:  # 1, 2, 4, 8...: a broken disk does not fill the log as well
            log.warning("the spill folder cannot be used (%d times): %s", times, error)
