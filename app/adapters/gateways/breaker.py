"""A circuit breaker in front of a gateway: one that does not answer is left alone for a while, then asked once."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from app.core.ports import Ack, Applied, Capability, Gateway, GatewayError, Plan, Unavailable
from app.core.split import Split

State = Literal["closed", "open", "half-open"]
T = TypeVar("T")


class BreakerOptions(msgspec.Struct, frozen=True):
    """``failures`` in a row open it, for ``pause_s``."""

    failures: int = 3
    pause_s: float = 5.0


class Breaker:
    """Mutable: counts failures in a row. ``clock`` is steady, in seconds; ``changed`` is told every new state."""

    def __init__(
        self, options: BreakerOptions, clock: Callable[[], float], changed: Callable[[State], None] | None = None
    ) -> None:
        self.state: State = "closed"
        self.opened = 0
        self._options = options
        self._clock = clock
        self._changed = changed
        self._failures = 0
        self._until_s = 0.0

    def admit(self) -> None:
        """Raises Unavailable when no call may be made now; half-open, one call is let through."""
        if self.state == "closed":
            return
        left_s = self._until_s - self._clock()
        if left_s > 0:
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
        self.opened += state == "open"
        if self._changed is not None:
            self._changed(state)


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
