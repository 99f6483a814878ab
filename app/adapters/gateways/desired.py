"""Gateways that fetch: what they should have is on offer, and they have it once they say so.

``DesiredState`` is what one process offers. Whoever asks for a service's document with ``If-None-Match`` says which one
it holds; a split is *taken* once every puller seen lately holds it. ``DesiredGateway`` is the adapter over it: to put a
split is to offer it, and the actuator says `accepted` only when it is taken.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from app.adapters.gateways.store import SplitStore
from app.core import actuation
from app.core.ids import stable_id
from app.core.ports import Ack, Applied, Capability, Plan, Refused
from app.core.split import Split, encode

MAX_PULLERS = 1_000
"""Pullers of one service that are told apart; the one not seen for longest is forgotten first."""
SEEN_S = 150.0
"""A puller not seen for this long is gone: twice the longest wait, and some."""
COUNTS: Mapping[str, str] = MappingProxyType(
    {
        "offered": "splits put on offer for those who fetch them",
        "fetched": "desired-state documents served",
        "not_modified": "calls answered with 304: the caller has the newest",
        "acknowledged": "documents a puller said it holds, once per puller and document",
        "unauthorized": "calls without a valid signature",
        "too_many_waiting": "long polls sent away, because gateway.desired_waiting were waiting",
        "forgotten_pullers": "pullers forgotten, because a service had too many",
    }
)
"""What is counted, and what one more of it means."""


def document_etag(split: Split) -> str:
    """Names a split by its content: the same in every worker and after a restart."""
    return f"{split.version}{'f' if split.frozen else ''}-{stable_id(encode(split))[:16]}"


class Document(msgspec.Struct, frozen=True):
    """What is served for one service."""

    etag: str
    body: bytes
    split: Split


class DesiredState:
    """Mutable. ``clock`` is steady, in seconds. ``complete``: the log was read to its end.

    ``counts``: see ``COUNTS``.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.store = SplitStore()
        self.complete = False
        self.waiting = 0
        self.counts = dict.fromkeys(COUNTS, 0)
        self._clock = clock
        self._documents: dict[str, Document] = {}
        self._pullers: dict[str, OrderedDict[str, tuple[str, float]]] = {}
        self._waiters: dict[str, set[asyncio.Event]] = {}

    def document(self, service: str) -> Document | None:
        """What ``service`` should have."""
        return self._documents.get(service)

    def documents(self) -> list[Document]:
        """Of every service, sorted by its name."""
        return [self._documents[service] for service in sorted(self._documents)]

    def offer(self, split: Split, if_match: str | None, key: str) -> Ack:
        """As ``SplitStore.put``; whoever waits for the service is woken."""
        ack = self.store.put(split, if_match, key, must_be_new=if_match is None)
        if ack.status == "applied":
            self._documents[split.service] = Document(document_etag(split), encode(split), split)
            self.counts["offered"] += 1
            for event in self._waiters.get(split.service, ()):
                event.set()
        return msgspec.structs.replace(ack, taken=self.taken(split.service))

    def acknowledge(self, service: str, puller: str, etag: str) -> None:
        """``puller`` says that it holds the document named ``etag``."""
        document = self._documents.get(service)
        if document is None:
            return
        pullers = self._pullers.setdefault(service, OrderedDict())
        before = pullers.pop(puller, ("", 0.0))[0]
        pullers[puller] = (etag, self._clock())
        self.counts["acknowledged"] += etag == document.etag != before
        while len(pullers) > MAX_PULLERS:
            pullers.popitem(last=False)
            self.counts["forgotten_pullers"] += 1

    def taken(self, service: str) -> bool:
        """Does every puller seen lately hold what is on offer, and is there one?"""
        document, now = self._documents.get(service), self._clock()
        pullers = self._pullers.get(service, OrderedDict())
        for gone in [name for name, (_, seen_s) in pullers.items() if now - seen_s > SEEN_S]:
            del pullers[gone]
        return document is not None and bool(pullers) and all(etag == document.etag for etag, _ in pullers.values())

    async def changed(self, service: str, within_s: float) -> None:
        """Return once something new is on offer for ``service``, or ``within_s`` has passed."""
        event = asyncio.Event()
        self._waiters.setdefault(service, set()).add(event)
        self.waiting += 1
        try:
            await asyncio.wait_for(event.wait(), within_s)
        except TimeoutError:
            pass
        finally:
            self.waiting -= 1
            self._waiters[service].discard(event)
            if not self._waiters[service]:
                del self._waiters[service]


class DesiredGateway:
    """``app.core.ports.Gateway`` over what this process offers."""

    def __init__(self, state: DesiredState, name: str = "desired") -> None:
        self._state = state
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(("weights", "slices", "sticky"))

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self.capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        held = self._state.store.read(service)
        return held and msgspec.structs.replace(held, taken=self._state.taken(service))

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        return self._state.offer(split, if_match, idempotency_key)

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        if not split.frozen:
            raise Refused("a revert must be frozen")
        return await self.apply(split, if_match, idempotency_key)
