"""The pump: cut, send phase by phase, await every ack, then the point may be committed (rules I4, O6, L8, L9)."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NoReturn

from app.adapters.kafka.lane import Lane
from app.adapters.kafka.options import EXIT_FLUSH
from app.adapters.kafka.produce import Send

STOP_S = 10.0
SETTLE_S = 0.003
"""The batches of one fetch, one of each partition, are folded within this time."""


class Pump:
    """Flushes all engines of a lane together, every ``interval_s``; ``eager``: after the last fetch before that, so
    that what was folded waits for no timer.

    An idempotent producer tries for ever, so a flush that is not acked within the producer's timeout counts as failed.
    A failed flush ends the process at once (L9): what was cut is known to nobody else, so this process may neither cut
    nor commit again.
    """

    def __init__(
        self,
        lane: Lane,
        send: Send,
        interval_s: float,
        on_fatal: Callable[[int, str], NoReturn],
        *,
        eager: bool = False,
    ) -> None:
        self.records = self.flushes = 0
        self.last_flush_s = 0.0
        self.busy_s = 0.0
        self._lane, self._send, self._interval_s, self._on_fatal = lane, send, interval_s, on_fatal
        self._stopping = asyncio.Event()
        self._eager = eager
        self._fetched_s = 0.0

    async def run(self) -> None:
        """Flush until ``stop``; never returns before the flush under way is over."""
        while not self._stopping.is_set():
            began = time.monotonic()
            await self._guarded()
            due_s = max(time.monotonic() + self._interval_s / 4, began + self._interval_s)
            if self._eager:
                await self._last_fetch_before(due_s)
            else:
                await _set_by(self._stopping, due_s)

    def stop(self) -> None:
        """End after the flush under way."""
        self._stopping.set()
        self._lane.news.set()

    async def _last_fetch_before(self, due_s: float) -> None:
        """Return once a fetch is folded and the next, as far off as this one was, would come too late; at the latest
        at ``due_s``.
        """
        news = self._lane.news
        while await _set_by(news, due_s) and not self._stopping.is_set():
            await asyncio.sleep(SETTLE_S)
            news.clear()
            now_s = time.monotonic()
            gap_s, self._fetched_s = now_s - self._fetched_s, now_s
            if now_s + gap_s > due_s:
                return

    async def _guarded(self) -> None:
        try:
            async with asyncio.timeout(self._lane.options.producer_timeout_s):
                await self.flush()
        except asyncio.CancelledError:
            self._lane.forget()  # L8: what was cut is poisoned
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, this process may go on with nothing
            self._on_fatal(EXIT_FLUSH, f"flush of {self._lane.options.group} failed: {error!r}")

    async def flush(self) -> None:
        """One synchronous cut over all engines, its phases in order, then ``acked``."""
        lane = self._lane
        if lane.fence is None or not lane.engines:
            return
        began = time.monotonic()
        cuts = [(engine, engine.cut()) for engine in lane.engines.values()]
        fence = lane.fence
        lane.cut()
        for phase in range(max(len(cut.phases) for _, cut in cuts)):
            records = [record for _, cut in cuts if phase < len(cut.phases) for record in cut.phases[phase]]
            acks = await asyncio.gather(*await self._send(records)) if records else []
            self.records += len(records)
            lane.clock.acked(acks, time.time())
        for engine, cut in cuts:
            engine.acked(cut)
        if lane.fence is fence:  # else the engines are others: what was cut is not theirs
            lane.acked()
        self.flushes += 1
        self.last_flush_s = time.monotonic()
        self.busy_s += self.last_flush_s - began


async def _set_by(event: asyncio.Event, due_s: float) -> bool:
    """Whether ``event`` is set before ``due_s`` (of the monotonic clock); waits for it until then."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), max(0.0, due_s - time.monotonic()))
    return event.is_set()
