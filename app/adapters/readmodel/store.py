"""What keeps the read model: rows, and the positions they come from, written in one transaction.

So after a crash at any moment a store is the fold of every topic up to its positions, and reading goes on from there.
``SqliteStore``: a file of this process. ``PostgresStore``: a database any number of processes write and read.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from app.adapters.kafka.subscriber import Place, Seen

MAX_DEAD_LETTERS = 100_000
"""Newest ones kept with their reasons; the counter has them all."""

PRUNED: dict[str, tuple[tuple[str, str], ...]] = {
    "aggregates": (("aggregates", "window_s < 3600 AND append_ms"),),
    "aggregates_hourly": (("aggregates", "window_s >= 3600 AND append_ms"), ("savings", "append_ms")),
    "anomalies": (("findings", "append_ms"),),
    "commands": (("commands", "append_ms"),),
    "optimizations": (("events", "append_ms"),),
    "dead_letters": (("dead_letters", "append_ms"),),
}
"""Role of a topic -> the tables of its records, and what is compared with the oldest append time that is kept."""


class StoreError(RuntimeError):
    """The store cannot answer or take records now; the message says why. Trying again later may help."""


class Store(Protocol):
    """A read model. ``take``, ``positions``, ``forget`` and ``prune`` from one thread, the rest from any."""

    def positions(self) -> dict[Place, int]:
        """Where to read on: the offset after the last record taken of each partition."""

    def take(self, records: Iterable[Seen]) -> int:
        """Add records, in order within each partition, all or none; returns how many were new to their partition."""

    def forget(self, positions: Iterable[Place]) -> None:
        """Read these partitions again from their beginning: their topic is not the one that was read."""

    def prune(self, kept_ms: Mapping[str, int], newest_ms: int) -> int:
        """Delete what the broker's retention has deleted: ``kept_ms`` by role, before ``newest_ms``; returns rows."""

    def query(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        """The rows of a SELECT, by column name. Only fixed statements, values by ``?``."""

    def counters(self) -> dict[str, dict[str, int]]:
        """repeated, conflicts, unreadable, ignored, dead_letters: name -> label -> count."""

    def close(self) -> None:
        """Let go of everything."""


def retained(kept_ms: Mapping[str, int], newest_ms: int, mark: str) -> Iterator[tuple[str, tuple[Any, ...], bool]]:
    """What ``Store.prune`` executes: statement, values, and whether the rows that go are counted. ``mark`` stands for a
    value in this database's SQL.
    """
    for role, kept in kept_ms.items():
        before = newest_ms - kept
        for table, condition in PRUNED.get(role, ()):
            yield f"DELETE FROM {table} WHERE {condition} < {mark}", (before,), True  # noqa: S608  # our names
        yield f"DELETE FROM known WHERE role = {mark} AND append_ms < {mark}", (role, before), False  # noqa: S608  # our mark
    newest = f"SELECT append_ms FROM dead_letters ORDER BY append_ms DESC LIMIT 1 OFFSET {mark}"  # noqa: S608  # our mark
    yield f"DELETE FROM dead_letters WHERE append_ms < ({newest})", (MAX_DEAD_LETTERS,), True  # noqa: S608  # as above


def counters_of(rows: Iterable[Any]) -> dict[str, dict[str, int]]:
    """``Store.counters`` from the rows (name, label, n) of the table."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row["name"], {})[row["label"]] = row["n"]
    return found
