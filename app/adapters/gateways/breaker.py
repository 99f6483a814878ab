"""A circuit breaker in front of a gateway: one that does not answer is left alone for a while, then asked once."""

import logging
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from app.core.ports import Ack, Applied, Capability, Gateway, GatewayError, Plan, Unavailable
from app.core.split import Split

log = logging.getLogger(__name__)

State = Literal["closed", "open", "half-open"]
T = TypeVar("T")


class BreakerOptions(msgspec.Struct, frozen=True):
    """``failures`` in a row open it, for ``pause_s``."""

    failures: int = 3
    pause_s: float = 5.0


class Breaker:
    """Mutable: counts failures in a row. ``clock`` is steady, in seconds.

    ``counts``: breaker_opened (how often it did), breaker_turned_away (calls not made because of it).
    """

    def __init__(self, options: BreakerOptions, clock: Callable[[], float], name: str = "gateway") -> None:
        self.state: State = "closed"
        self.counts = {"breaker_opened": 0, "breaker_turned_away": 0}
        self._options = options
        self._clock = clock
        self._name = name
        self._failures = 0
        self._until_s = 0.0

    def admit(self) -> None:
        """Raises Unavailable when no call may be made now; half-open, one call is let through."""
        if self.state == "closed":
            return
        left_s = self._until_s - self._clock()
        if left_s > 0:
            self.counts["breaker_turned_away"] += 1
            raise Unavailable("the circuit breaker is open: the gateway failed repeatedly", left_s)
        # the next probe has its own pause, should this one never come back
        self._until_s = self._clock() + self._options.pause_s
        self._become("half-open")

    def succeeded(self) -> None:
        """A call was answered, whatever the answer."""
        self._failures = 0
        self._become("closed")

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        if self.state == "half-open" or self._failures >= self._options.failures:
            self._until_s = self._clock() + self._options.pause_s
            self._become("open")

    def _become(self, state: State) -> None:
        if state == self.state:
            return
        self.state = state
        self.counts["breaker_opened"] += state == "open"
        log.log(logging.WARNING if state == "open" else logging.INFO, "circuit breaker of %s: %s", self._name, state)


class BreakerGateway:
    """``app.core.ports.Gateway``: another one behind a breaker. Only Unavailable counts as a failure."""

    def __init__(self, gateway: Gateway, breaker: Breaker) -> None:
        self.breaker = breaker
        self._gateway = gateway

    @property
    def name(self) -> str:
        return self._gateway.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._gateway.capabilities

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return self._gateway.plan(current, desired)

    async def read(self, service: str) -> Applied | None:
        return await self._guarded(lambda: self._gateway.read(service))

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        return await self._guarded(lambda: self._gateway.apply(split, if_match, idempotency_key))

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        return await self._guarded(lambda: self._gateway.revert(split, if_match, idempotency_key))

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        self.breaker.admit()
        try:
            answer = await call()
        except Unavailable:
            self.breaker.failed()
            raise
        except GatewayError:
            self.breaker.succeeded()
            raise
        self.breaker.succeeded()
        return answer
