"""The gateway in memory: the same Protocol, the same rules and the same failures as one behind a network."""

from typing import Literal

from app.adapters.gateways.store import SplitStore
from app.core import actuation
from app.core.ports import Ack, Applied, Capability, Plan, Refused, Unavailable
from app.core.split import Split

Failure = Literal["", "down", "busy", "garbage", "lost-answer"]
"""down: no answer. busy: asks to wait 2 s. garbage: an unreadable answer. lost-answer: acts, then does not answer."""

ALL_CAPABILITIES: frozenset[Capability] = frozenset(("weights", "slices", "sticky", "shadow"))


class MemoryGateway:
    """``app.core.ports.Gateway`` over a ``SplitStore``; ``failure`` is what goes wrong until it is set to "" again."""

    def __init__(
        self,
        store: SplitStore | None = None,
        *,
        name: str = "memory",
        capabilities: frozenset[Capability] = ALL_CAPABILITIES,
    ) -> None:
        self.store = store if store is not None else SplitStore()
        self.failure: Failure = ""
        self._name = name
        self._capabilities = capabilities

    @property
    def name(self) -> str:
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._capabilities

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self._capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        self._fail()
        return self.store.read(service)

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        self._fail()
        ack = self.store.put(split, if_match, idempotency_key, must_be_new=if_match is None)
        if self.failure == "lost-answer":
            raise Unavailable("the connection broke before the answer")
        return ack

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if not split.frozen:
            raise Refused("a revert must be frozen")
        return await self.apply(split, if_match, idempotency_key)

    def _fail(self) -> None:
        if self.failure == "down":
            raise Unavailable("the gateway is down")
        if self.failure == "busy":
            raise Unavailable("the gateway has too much to do", retry_after_s=2.0)
        if self.failure == "garbage":
            raise Unavailable("the gateway's answer is unreadable")
