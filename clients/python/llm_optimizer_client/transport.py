"""How records leave: the contract of every transport, and one that keeps them in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from llm_optimizer_client.events import Record


class Rejection(NamedTuple):
    """An event the server refuses for good: why (a stable word) and where in it."""

    record: Record
    reason: str
    detail: str


@dataclass(frozen=True)
class Sent:
    """What became of the records of one call: ``delivered`` of them are in the log, ``rejected`` never will be,
    ``again`` are to be sent again with the same ids, not before ``pause_s`` if the server said so. ``error``: why
    again; ``others_may_go``: it is about these records (their topic, say), not about the way there.
    """

    delivered: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    again: list[Record] = field(default_factory=list)
    pause_s: float = 0.0
    error: str = ""
    others_may_go: bool = False


class Transport(Protocol):
    """``send`` blocks for a bounded time and raises nothing one must expect; ``Sent`` tells of every record."""

    max_records: int

    def send(self, records: list[Record]) -> Sent: ...

    def close(self) -> None: ...

    def after_fork(self) -> None:
        """In a forked child: drop what belongs to the parent without closing it."""


class MemoryTransport:
    """Keeps what it gets, for tests of applications: ``records``. Mutable."""

    max_records = 1_000

    def __init__(self) -> None:
        self.records: list[Record] = []

    def send(self, records: list[Record]) -> Sent:
        """Keep them."""
        self.records += records
        return Sent(delivered=len(records))

    def close(self) -> None:
        """Nothing to do."""

    def after_fork(self) -> None:
        """What the parent has is the parent's."""
        self.records = []
