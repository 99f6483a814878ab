"""The thread that sends what waits, batch after batch, until each event of a batch is settled."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from llm_optimizer_client.counts import Counting
from llm_optimizer_client.events import Record
from llm_optimizer_client.outbox import Outbox
from llm_optimizer_client.transport import Rejection, Sent, Transport

log = logging.getLogger("llm_optimizer_client")

LINGER_S = 0.05
"""How long the first event of a batch waits for company."""
IDLE_S = 1.0
HURRY_S = 0.05
ADOPT_S = 60.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.1, 30.0
TOGETHER = 3
"""After so many tries, events are put at the end when others may go: one bad topic does not hold up the others."""
KEPT_REJECTIONS = 100


class Sender:
    """Mutable. The thread starts with the first event, in a forked child as well. ``on_rejected`` is told, on this
    thread, what the server refuses for good.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        counting: Counting,
        on_rejected: Callable[[Rejection], None] | None = None,
    ) -> None:
        self._outbox, self._transport, self._counting, self._on_rejected = outbox, transport, counting, on_rejected
        self.rejections: deque[Rejection] = deque(maxlen=KEPT_REJECTIONS)
        self._reset()

    def _reset(self) -> None:
        self._wake, self._settled, self._starting = threading.Event(), threading.Condition(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._idle = self._stopping = False
        self._hurry_until_s = 0.0

    def notify(self) -> None:
        """An event waits."""
        if self._thread is None:
            self._start()
        elif self._idle:
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing waits; False when ``timeout_s`` has passed before."""
        deadline = time.monotonic() + timeout_s
        self._hurry_until_s = deadline
        if self._counting.waiting:
            self.notify()
        self._wake.set()
        with self._settled:
            return self._settled.wait_for(lambda: not self._counting.waiting, max(0.0, deadline - time.monotonic()))

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False when it is still inside a call to the outside after ``timeout_s``."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def after_fork(self) -> None:
        """In a forked child there is no thread yet."""
        self._reset()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="llm-optimizer sender", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        adopted_s = time.monotonic()
        while not self._stopping:
            records, taken = self._outbox.take(self._transport.max_records)
            if records:
                left = self._deliver(records)
                if left:  # told to stop: what is left waits for the next process
                    lost = self._outbox.put_back(left)
                    self._counting.add("abandoned", len(lost))
                self._outbox.settle(taken)
                self._tell()
                if self._counting.waiting < self._transport.max_records:
                    self._pause(LINGER_S, idle=False)
            else:
                self._tell()
                if time.monotonic() - adopted_s > ADOPT_S:
                    adopted_s = time.monotonic()
                    self._outbox.adopt()
                self._pause(IDLE_S, idle=True)
            self._outbox.sync()

    def _deliver(self, records: list[Record]) -> list[Record]:
        """Send until every record is settled or put at the end; those left when it is time to stop."""
        left, tries, pause_s = records, 0, FIRST_PAUSE_S
        while left:
            sent = self._send(left)
            went, left, tries = len(sent.again) < len(left), sent.again, tries + 1
            if left and self._stopping:
                break
            if not left or not sent.error:
                continue
            self._counting.add("retries")
            if tries & (tries - 1) == 0:
                log.warning("%d events wait, tried %d times: %s", len(left), tries, sent.error)
            if tries >= TOGETHER and (len(left) < len(records) or sent.others_may_go):
                self._counting.add("requeued", len(left))
                left = self._outbox.put_back(left)
            pause_s = FIRST_PAUSE_S if went else min(LAST_PAUSE_S, 2 * pause_s)
            self._pause(max(sent.pause_s, pause_s * random.uniform(0.7, 1.0)), idle=False)
        return left

    def _send(self, records: list[Record]) -> Sent:
        try:
            sent = self._transport.send(records)
        except Exception as error:  # whatever it is, accepted events are kept and tried again
            log.exception("sending failed")
            sent = Sent(again=records, error=repr(error))
        self._counting.add("sent", sent.delivered)
        for rejection in sent.rejected:
            self._reject(rejection)
        return sent

    def _reject(self, rejection: Rejection) -> None:
        self._counting.reject(rejection.reason)
        self.rejections.append(rejection)
        times = self._counting.now().reasons[rejection.reason]
        if times & (times - 1) == 0:
            log.warning("refused by the server, %s (%d): %s", rejection.reason, times, rejection.detail)
        if self._on_rejected is not None:
            try:
                self._on_rejected(rejection)
            except Exception:
                log.exception("on_rejected failed")

    def _tell(self) -> None:
        with self._settled:
            self._settled.notify_all()

    def _pause(self, pause_s: float, *, idle: bool) -> None:
        """Wait, unless somebody is in a hurry. An idle thread is woken by the next event."""
        if time.monotonic() < self._hurry_until_s:
            pause_s = min(pause_s, HURRY_S)
        self._idle = idle
        if not (idle and self._counting.waiting):
            self._wake.wait(pause_s)
        self._idle = False
        self._wake.clear()
