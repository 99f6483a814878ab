"""The Protocols between the pure core and the world. Each has an in-memory twin that passes the same tests."""

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from app.core.batch import Batch, Headers
from app.core.events import Event, Rejected, ResponseEvent
from app.core.split import Split

Role = Literal[
    "facts", "services", "windows", "splits", "optimizations", "aggregates", "aggregates_hourly", "anomalies",
    "dead_letters",
]  # fmt: skip
"""What a written topic is for; the factory maps roles to topic names."""

Decode = Callable[[bytes | None, Headers], Event]
"""The codec seen by the fold: never raises, whatever the bytes."""


class Usual(msgspec.Struct, frozen=True):
    """How the answers of a log are spelled for the time being. ``read`` makes an object with ``id, source, time, data``
    of a value in one step, or raises one of ``app.core.usual.FOREIGN``; ``places`` says where ``data`` has what;
    ``event`` makes the canonical event of it, the one ``Decode`` gives for that value; ``told(n)``: n were read so.
    ``type`` is the only CloudEvents type of the spelling, ``paths`` the names that lead to each field.
    """

    read: Callable[[Any], Any]
    places: tuple[tuple[str, str], ...]
    event: Callable[[Any], ResponseEvent]
    told: Callable[[int], None]
    type: str
    paths: tuple[tuple[tuple[str, ...], str], ...]


@runtime_checkable
class DecodeUsual(Protocol):
    """A ``Decode`` that knows of a usual spelling. ``bare``: whether a record with these headers may be in it."""

    @property
    def usual(self) -> Usual | None: ...
    def bare(self, headers: Headers) -> bool: ...
    def __call__(self, value: bytes | None, headers: Headers) -> Event: ...
    def missed(self, value: bytes | None) -> None:
        """``usual`` could not read ``value``, an answer all the same: it may be the new usual."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record to write. ``partition`` None lets Kafka's default partitioner choose by key."""

    role: Role
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class DeadLetter(msgspec.Struct, frozen=True):
    """Bad input with its reason and origin; bytes, key and headers are kept untouched."""

    source: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    rejected: Rejected

    def record(self) -> Record:
        """The record for the dead-letter topic: the original headers, then reason, detail and origin."""
        topic, _, partition = self.source.rpartition("-")
        why = (
            ("error", self.rejected.detail.encode()[:1000]),
            ("reason", self.rejected.reason.encode()),
            ("source_topic", topic.encode()),
            ("source_partition", partition.encode()),
            ("source_offset", str(self.offset).encode()),
        )
        return Record("dead_letters", self.key, self.value, None, (*self.headers, *why))


class Point(msgspec.Struct, frozen=True, gc=False):
    """A commit point: the next offset to read after a crash, and the metadata that restores the state before it."""

    offset: int
    metadata: str


class Cut(msgspec.Struct, frozen=True):
    """One synchronous snapshot of an engine. Every record of a phase is acked before the next phase is sent."""

    phases: tuple[tuple[Record, ...], ...]
    point: Point
    position: int


class Engine(Protocol):
    """One partition's pure state: a function of its log up to ``position`` alone (rules I0 and O0).

    The host folds batches that continue exactly at ``position``, sends each cut phase by phase, calls ``acked``
    when all of it is durable, commits ``point`` and calls ``committed`` with the point the broker accepted.
    A cut that was not acked poisons the engine: it is rebuilt, never cut again (rule L8).
    """

    position: int
    point: Point

    def fold(self, batch: Batch) -> None: ...
    def cut(self) -> Cut: ...
    def acked(self, cut: Cut) -> None: ...
    def committed(self, point: Point) -> None: ...


Capability = Literal["weights", "slices", "single_challenger", "shadow", "sticky"]
"""What a gateway can do with a split: draw by weights, draw slices by hash ranges, run one challenger at one
percentage only, mirror traffic, keep a session on its arm."""


class Applied(msgspec.Struct, frozen=True):
    """What a gateway holds for a service. ``etag`` names this very state: it differs after every change.

    ``taken`` false: it is on offer, and not everybody who serves traffic has said that he has it.
    """

    split: Split
    etag: str
    taken: bool = True


class Plan(msgspec.Struct, frozen=True):
    """What applying a split would change, in words; ``unsupported`` names what the gateway cannot do of it."""

    changes: tuple[str, ...]
    unsupported: tuple[Capability, ...] = ()


class Ack(msgspec.Struct, frozen=True):
    """A gateway's answer to a split. ``ignored``: it holds a newer one, whose etag this is.

    ``taken``: as in ``Applied``.
    """

    status: Literal["applied", "unchanged", "ignored"]
    etag: str
    taken: bool = True


class GatewayError(Exception):
    """A gateway did not do what it was asked; the subclass says what the caller should do."""


class Conflict(GatewayError):  # noqa: N818  # read as an answer: `except Conflict`
    """The gateway's state is not the one that was read: read again, then decide again."""


class Unavailable(GatewayError):  # noqa: N818  # read as an answer: `except Conflict`
    """No usable answer (down, timed out, overloaded, unreadable). Whether it acted is unknown: wait, then read."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(GatewayError):  # noqa: N818  # read as an answer: `except Conflict`
    """The gateway will never take this split as it is; a person or a newer split must change something."""


class Gateway(Protocol):
    """Drives one gateway. A split is newer than another iff (version, frozen) is; an older one is ignored.

    ``if_match`` is the etag of the state to be replaced, None when there must be none (else Conflict). The same
    ``idempotency_key`` with the same split acts once and answers the same. Every call may raise GatewayError.
    """

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[Capability]: ...
    async def read(self, service: str) -> Applied | None: ...
    def plan(self, current: Split | None, desired: Split) -> Plan: ...
    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack: ...
    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        """As ``apply``, for a frozen split, by the gateway's most direct road."""
        ...
