"""How long a split takes to a gateway: from the first call with it until the gateway says that it has it.

Tries, pauses and outages in between count. What traffic follows shows later and elsewhere (`rollout-verified`).
"""

from collections.abc import Callable

from app.core.actuation import newness
from app.core.ports import Ack, Applied, Capability, Gateway, Plan
from app.core.split import Split

MAX_UNDER_WAY = 10_000
"""Services whose split is under way at one time; more are not measured, and counted."""


class Propagation:
    """What was measured, in seconds. Mutable."""

    def __init__(self) -> None:
        self.count = 0
        self.total_s = 0.0
        self.last_s = 0.0
        self.longest_s = 0.0
        self.unmeasured = 0

    def observe(self, seconds: float) -> None:
        """One more split has arrived."""
        self.count += 1
        self.total_s += seconds
        self.last_s = seconds
        self.longest_s = max(self.longest_s, seconds)


class MeasuredGateway:
    """``app.core.ports.Gateway``: another one, measured by ``clock`` (steady, seconds)."""

    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self.lag = Propagation()
        self.inner, self._clock = gateway, clock
        self._under_way: dict[str, tuple[tuple[int, bool], float]] = {}

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self.inner.capabilities

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return self.inner.plan(current, desired)

    async def read(self, service: str) -> Applied | None:
        applied = await self.inner.read(service)
        if applied is not None and applied.taken:
            self._arrived(applied.split)
        return applied

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        self._began(split)
        return self._answered(split, await self.inner.apply(split, if_match, idempotency_key))

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        self._began(split)
        return self._answered(split, await self.inner.revert(split, if_match, idempotency_key))

    def _began(self, split: Split) -> None:
        before = self._under_way.get(split.service)
        if before is not None and before[0] == newness(split):
            return
        if before is None and len(self._under_way) >= MAX_UNDER_WAY:
            self.lag.unmeasured += 1
            return
        self._under_way[split.service] = (newness(split), self._clock())

    def _answered(self, split: Split, ack: Ack) -> Ack:
        if ack.taken and ack.status != "ignored":
            self._arrived(split)
        return ack

    def _arrived(self, split: Split) -> None:
        began = self._under_way.get(split.service)
        if began is not None and newness(split) >= began[0]:
            del self._under_way[split.service]
            self.lag.observe(self._clock() - began[1])
