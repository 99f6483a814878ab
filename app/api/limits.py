"""What one caller may cost: requests by a token bucket, and connections by number and patience."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

audit = logging.getLogger("audit")

MAX_CALLERS = 10_000


class Buckets:
    """A token bucket for each caller, the least recent forgotten. Mutable; ``now`` is monotonic seconds."""

    def __init__(self, rate_per_s: float, burst: int) -> None:
        self._rate, self._burst = rate_per_s, float(burst)
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now: float) -> float:
        """Take one token: 0.0, or the seconds until there is one."""
        left, at = self._filled.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait = 0.0 if left >= 1.0 else (1.0 - left) / self._rate
        self._filled[caller] = (left - 1.0 if not wait else left, now)
        if len(self._filled) > MAX_CALLERS:
            self._filled.popitem(last=False)
        return wait


class Guards:
    """The open connections: at most ``limit``, each closed when it is silent or slow for ``patience_s``.

    A connection is patient only while a request of it is being answered; until its headers are complete it is not.
    """

    def __init__(self, limit: int, patience_s: float) -> None:
        self.limit, self.patience_s = limit, patience_s
        self.open: dict[Any, _Guarded] = {}
        self.refused = self.slow = 0

    def protocol(self, inner: Callable[[], Any]) -> Callable[[], "_Guarded"]:
        """A protocol factory around ``inner``."""
        return lambda: _Guarded(self, inner())

    def answering(self, transport: Any, *, begun: bool) -> None:
        """A request of this connection has arrived (its patience is the server's now), or has been answered."""
        guarded = self.open.get(transport)
        if guarded is not None:
            guarded.rest() if begun else guarded.watch()


class _Guarded(asyncio.Protocol):
    """Hands everything to the protocol inside."""

    def __init__(self, guards: Guards, inner: Any) -> None:
        self._guards, self._inner = guards, inner
        self._transport: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if len(self._guards.open) >= self._guards.limit:
            self._guards.refused += 1
            transport.abort()
            self._transport = None
            return
        self._guards.open[transport] = self
        self.watch()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._begun = True
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        result: bool | None = self._inner.eof_received() if self._transport is not None else None
        return result

    def connection_lost(self, exc: Exception | None) -> None:
        self.rest()
        if self._transport is not None:
            self._guards.open.pop(self._transport, None)
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def watch(self) -> None:
        """Close the connection unless a whole request comes in time."""
        self.rest()
        self._begun = False
        self._timer = asyncio.get_running_loop().call_later(self._guards.patience_s, self._give_up)

    def rest(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._guards.slow += 1
        if self._begun and self._transport is not None:  # not one that only rested between two requests
            audit.warning("closed a connection of %s: too slow", self._transport.get_extra_info("peername"))
        if self._transport is not None:
            self._transport.abort()
