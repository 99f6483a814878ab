"""The read model in one SQLite file (see ``store``).

One writer a file; readers have connections of their own and see the last transaction (write-ahead log).
"""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.adapters.codec.reasons import UnreadableError
from app.adapters.kafka.subscriber import Place, Seen
from app.adapters.readmodel import views_sqlite
from app.adapters.readmodel.project import meant
from app.adapters.readmodel.rows import ROWS
from app.adapters.readmodel.schema import SQLITE, VERSION, insert, statements
from app.adapters.readmodel.store import counters_of, retained

BUSY_S = 10.0
_INSERTS = {row: insert(SQLITE, row) for row in ROWS}


CACHE_KB = 65_536
"""Of a file that is not durable: random ids are then put in their places in memory."""


class SqliteStore:
    """The file at ``path``, made when missing. ``roles``: topic -> role; ``about``: what the file must be a copy of
    (cluster, topic names); a file of anything else, or of another schema, is emptied. Not ``durable``: for a file that
    goes with its process, which nothing needs to be flushed to the disk for.
    """

    def __init__(self, path: Path, roles: Mapping[str, str], about: Mapping[str, str], *, durable: bool = True) -> None:
        self._path, self._roles = path, dict(roles)
        self._readers = threading.local()
        self._touched: set[tuple[str, str]] = set()
        self._writing = _connected(path)
        self._writing.execute("PRAGMA journal_mode=WAL")
        self._writing.execute(f"PRAGMA synchronous={'NORMAL' if durable else 'OFF'}")
        if not durable:
            self._writing.execute(f"PRAGMA cache_size=-{CACHE_KB}")
            self._writing.execute("PRAGMA wal_autocheckpoint=100000")
        wanted = {"schema": str(VERSION), **about}
        if _about(self._writing) != wanted:
            self._make(wanted)

    def _make(self, about: Mapping[str, str]) -> None:
        with self._writing as database:
            database.execute("BEGIN IMMEDIATE")
            for kind, name in database.execute(
                "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                database.execute(f'DROP {kind} "{name}"')
            for statement in statements(SQLITE, views_sqlite.VIEWS):
                database.execute(statement)
            database.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    def close(self) -> None:
        """Close the writer's connection; readers close with their threads."""
        self._writing.close()

    # ---- writing ---------------------------------------------------------------------------------------------------
    def positions(self) -> dict[Place, int]:
        """Where to read on: the offset after the last record taken of each partition."""
        return {
            (topic, number): next_ for topic, number, next_ in self._all("SELECT topic, partition, next FROM positions")
        }

    def take(self, records: Iterable[Seen]) -> int:
        """Add records, in order within each partition, all or none; returns how many were new to their partition."""
        taken = 0
        self._touched.clear()
        ends: dict[Place, tuple[int, int]] = {}
        known = self.positions()
        with self._writing as database:
            database.execute("BEGIN IMMEDIATE")
            for seen in records:
                place = (seen.topic, seen.partition)
                if seen.offset < max(known.get(place, 0), ends.get(place, (0, 0))[0]):
                    continue
                ends[place] = (seen.offset + 1, seen.append_ms)
                self._add(database, self._roles[seen.topic], seen)
                taken += 1
            database.executemany(
                "INSERT INTO positions VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET next = excluded.next, append_ms = excluded.append_ms",
                [(*place, *end) for place, end in ends.items()],
            )
            self._note(database)
        return taken

    def _note(self, database: sqlite3.Connection) -> None:
        """Number what this batch changed, so that who follows finds it without reading everything."""
        (number,) = database.execute("SELECT coalesce(max(n), 0) + 1 FROM changes").fetchone()
        database.executemany(
            "INSERT INTO changes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = excluded.n",
            [(*touched, number) for touched in sorted(self._touched)],
        )

    def _add(self, database: sqlite3.Connection, role: str, seen: Seen) -> None:
        try:
            event = meant(role, seen)
        except UnreadableError as error:
            _count(database, "unreadable", f"{role}: {error.reason}")
            return
        digest = hashlib.blake2b(seen.value, digest_size=16).digest()
        new = database.execute(
            "INSERT INTO known VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (role, event.id, digest, seen.append_ms)
        )
        if not new.rowcount:
            held = database.execute("SELECT digest FROM known WHERE role = ? AND id = ?", (role, event.id)).fetchone()
            _count(database, "repeated" if held[0] == digest else "conflicts", role)
            return
        if role == "dead_letters":
            _count(database, "dead_letters", event.rows[0].reason)  # type: ignore[attr-defined]  # a DeadLetter
        elif not event.rows:
            _count(database, "ignored", role)
        for row in event.rows:
            database.execute(_INSERTS[type(row)], row.values())
            self._touched.add((getattr(row, "service", ""), row.table))

    def forget(self, positions: Iterable[Place]) -> None:
        """Read these partitions again from their beginning: their topic is not the one that was read."""
        with self._writing as database:
            database.executemany("DELETE FROM positions WHERE topic = ? AND partition = ?", list(positions))

    def prune(self, kept_ms: Mapping[str, int], newest_ms: int) -> int:
        """Delete what the broker's retention has deleted: ``kept_ms`` by role, before ``newest_ms``; returns rows."""
        gone = 0
        with self._writing as database:
            database.execute("BEGIN IMMEDIATE")
            for statement, values, counted in retained(kept_ms, newest_ms, "?"):
                found = database.execute(statement, values).rowcount
                gone += found if counted else 0
        return gone

    # ---- reading ---------------------------------------------------------------------------------------------------
    def query(self, statement: str, values: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """The rows of a SELECT, on this thread's own connection. Only fixed statements, values by mark."""
        reader: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if reader is None:
            reader = self._readers.connection = _connected(self._path)
            reader.row_factory = sqlite3.Row
            reader.execute("PRAGMA query_only=1")
        return reader.execute(statement, tuple(values)).fetchall()

    def counters(self) -> dict[str, dict[str, int]]:
        """repeated, conflicts, unreadable, ignored, dead_letters: name -> label -> count."""
        return counters_of(self.query("SELECT name, label, n FROM counters"))

    def _all(self, statement: str) -> list[Any]:
        return self._writing.execute(statement).fetchall()


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def _about(database: sqlite3.Connection) -> dict[str, str]:
    try:
        return dict(database.execute("SELECT name, value FROM about").fetchall())
    except sqlite3.DatabaseError:
        return {}


def _count(database: sqlite3.Connection, name: str, label: str) -> None:
    database.execute("INSERT INTO counters VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (name, label[:200]))
