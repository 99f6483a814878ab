"""The Protocols between the pure core and the world. Each has an in-memory twin that passes the same tests."""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from app.core.batch import Batch, Headers
from app.core.events import Event, Rejected

Role = Literal[
    "facts", "services", "windows", "splits", "optimizations", "aggregates", "aggregates_hourly", "anomalies", "dead_letters"
]
"""What a written topic is for; the factory maps roles to topic names."""

Decode = Callable[[bytes | None, Headers], Event]
"""The codec seen by the fold: never raises, whatever the bytes."""


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
