"""The read model in a PostgreSQL schema that any number of processes fill and read (see ``store``).

Writers take turns by an advisory lock held to the end of a transaction; each takes what the positions in the database
say nobody has taken. So it does not matter who reads which record, who is killed, or how often one is read, and
``rowid`` of the events grows in the order of commits: who follows them misses none.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from app.adapters.codec.reasons import UnreadableError
from app.adapters.kafka.subscriber import Place, Seen
from app.adapters.readmodel import views_postgres
from app.adapters.readmodel.postgres_pool import ReadPool, clean, connect, words
from app.adapters.readmodel.project import Meant, meant
from app.adapters.readmodel.rows import ROWS, Row
from app.adapters.readmodel.schema import POSTGRES, VERSION, insert, statements
from app.adapters.readmodel.store import StoreError, counters_of, retained

if TYPE_CHECKING:
    import psycopg

_INSERTS = {row: insert(POSTGRES, row) for row in ROWS}
_NUL = "\\u0000"
_json = msgspec.json.Encoder(order="deterministic").encode


class _Taken(msgspec.Struct, frozen=True):
    """A record, read: its event, or why it cannot be used."""

    place: Place
    offset: int
    append_ms: int
    role: str
    digest: bytes
    event: Meant | None
    why: str = ""


class PostgresStore:
    """The schema ``schema`` of ``dsn``, made when missing. ``roles``: topic -> role; ``about``: what it must be a copy
    of. ``StoreError`` when it is a copy of something else, or was made by a newer version.
    """

    def __init__(self, dsn: str, schema: str, roles: Mapping[str, str], about: Mapping[str, str]) -> None:
        self._dsn, self._schema, self._roles, self._about = dsn, schema, dict(roles), dict(about)
        self._lock = int.from_bytes(hashlib.blake2b(schema.encode(), digest_size=8).digest(), signed=True)
        self._read: dict[Place, int] = {}
        self._held: psycopg.Connection[Any] | None = None
        self._pool = ReadPool(dsn, schema)
        try:
            self._prepare()
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        if self._held is not None:
            self._held.close()

    # ---- the schema ------------------------------------------------------------------------------------------------
    def _prepare(self) -> None:
        with self._turn(checked=False) as database:
            database.execute(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
            found = self._found(database)
            if found is None or int(found.pop("schema", "0")) < VERSION:
                self._make(database, fresh=found is None, about=found or {})
            else:
                self._refuse_others(found)

    def _make(self, database: "psycopg.Connection[Any]", *, fresh: bool, about: Mapping[str, str]) -> None:
        if not fresh:
            self._refuse_others(about)
            database.execute(f'DROP SCHEMA "{self._schema}" CASCADE')
            database.execute(f'CREATE SCHEMA "{self._schema}"')
        for statement in statements(POSTGRES, views_postgres.VIEWS):
            database.execute(statement)
        for item in {"schema": str(VERSION), **self._about}.items():
            database.execute("INSERT INTO about VALUES (%s, %s)", item)

    def _found(self, database: "psycopg.Connection[Any]") -> dict[str, str] | None:
        """What the schema says it is; None when it is empty."""
        if database.execute("SELECT to_regclass('about') AS found").fetchone() == {"found": None}:
            return None
        found = {row["name"]: row["value"] for row in database.execute("SELECT name, value FROM about")}
        if int(found.get("schema", "0")) > VERSION:
            raise StoreError(
                f"the schema {self._schema!r} was made by a newer version: upgrade this process, or set another"
                " api.database_schema"
            )
        return found

    def _refuse_others(self, found: Mapping[str, str]) -> None:
        if dict(found) != self._about:
            raise StoreError(
                f"the schema {self._schema!r} holds the read model of another cluster or other topics: set another"
                f" api.database_schema, or drop it (DROP SCHEMA {self._schema} CASCADE)"
            )

    # ---- writing ---------------------------------------------------------------------------------------------------
    @contextmanager
    def _turn(self, *, checked: bool = True) -> "Iterator[psycopg.Connection[Any]]":
        """A transaction in which no other process writes. ``StoreError`` when the database or the schema is gone."""
        import psycopg

        if self._held is None or self._held.closed:
            self._held = connect(self._dsn, self._schema, writes=True)
        try:
            with self._held.transaction():
                self._held.execute("SELECT pg_advisory_xact_lock(%s)", (self._lock,))
                if checked and (self._found(self._held) or {}).get("schema") != str(VERSION):
                    raise StoreError(f"the schema {self._schema!r} is gone or of another version: start again")
                yield self._held
        except (psycopg.errors.ProgramLimitExceeded, psycopg.DataError):
            raise
        except psycopg.OperationalError as error:
            self._held.close()
            raise StoreError(f"the database of the read model: {words(error)}") from None

    def positions(self) -> dict[Place, int]:
        """Where to read on: the offset after the last record taken of each partition, by whomever."""
        with self._turn() as database:
            self._read = _positions(database)
        return dict(self._read)

    def take(self, records: Iterable[Seen]) -> int:
        """As ``Store.take``. ``StoreError`` also when the positions went back meanwhile: ask for them again."""
        new = [seen for seen in records if seen.offset >= self._read.get((seen.topic, seen.partition), 0)]
        return self._take([self._readable(seen) for seen in new]) if new else 0

    def _take(self, records: Sequence[_Taken]) -> int:
        import psycopg

        try:
            with self._turn() as database:
                known = self._not_behind(_positions(database))
                fresh = list(_newer(records, known))
                self._put(database, fresh)
                ends = {one.place: (one.offset + 1, one.append_ms) for one in fresh}
                _move(database, ends)
        except (psycopg.errors.ProgramLimitExceeded, psycopg.DataError) as error:
            if len(records) > 1:  # one of them cannot be stored: each by itself, and that one is counted
                return sum(self._take([one]) for one in records)
            if records[0].event is None:
                raise
            return self._take([msgspec.structs.replace(records[0], event=None, why=f"not storable: {words(error)}")])
        self._read = {**known, **{place: end for place, (end, _) in ends.items()}}
        return len(fresh)

    def _not_behind(self, known: dict[Place, int]) -> dict[Place, int]:
        if any(known.get(place, 0) < read for place, read in self._read.items()):
            raise StoreError("another process began to read a topic again: this one does as well")
        return known

    def _readable(self, seen: Seen) -> _Taken:
        role, place = self._roles[seen.topic], (seen.topic, seen.partition)
        digest = hashlib.blake2b(seen.value, digest_size=16).digest()
        try:
            event = meant(role, seen)
        except UnreadableError as error:
            return _Taken(place, seen.offset, seen.append_ms, role, digest, None, error.reason)
        event = Meant(str(clean(event.id)), event.rows)
        return _Taken(place, seen.offset, seen.append_ms, role, digest, event)

    def _put(self, database: "psycopg.Connection[Any]", records: Sequence[_Taken]) -> None:
        """Rows of the first of every id, and counts of the others."""
        first: dict[tuple[str, str], _Taken] = {}
        for one in records:
            if one.event is not None:
                first.setdefault((one.role, one.event.id), one)
        new = _remember(database, first)
        held = _digests(database, [key for key in first if key not in new])
        met: Counter[tuple[str, str]] = Counter()
        rows: dict[type[Row], list[Row]] = {}
        for one in records:
            if one.event is None:
                met["unreadable", f"{one.role}: {one.why}"] += 1
                continue
            key = (one.role, one.event.id)
            if key not in new or first[key] is not one:
                before = first[key].digest if key in new else held[key]
                met["repeated" if before == one.digest else "conflicts", one.role] += 1
                continue
            if one.role == "dead_letters":
                met["dead_letters", one.event.rows[0].reason] += 1  # type: ignore[attr-defined]  # a DeadLetter
            elif not one.event.rows:
                met["ignored", one.role] += 1
            for row in one.event.rows:
                rows.setdefault(type(row), []).append(row)
        cursor = database.cursor()
        for kind, found in rows.items():
            cursor.executemany(_INSERTS[kind], [_values(row) for row in found])
        _count(database, met)
        _note(database, {(getattr(row, "service", ""), row.table) for found in rows.values() for row in found})

    def forget(self, positions: Iterable[Place]) -> None:
        """As ``Store.forget``, unless another process did so already."""
        with self._turn() as database:
            for place in positions:
                database.execute(
                    "DELETE FROM positions WHERE topic = %s AND partition = %s AND next >= %s",
                    (*place, self._read.get(place, 0)),
                )
        self._read = {}

    def prune(self, kept_ms: Mapping[str, int], newest_ms: int) -> int:
        """As ``Store.prune``; every process may, any number of times."""
        gone = 0
        with self._turn() as database:
            for statement, values, counted in retained(kept_ms, newest_ms, "%s"):
                found = database.execute(statement, values).rowcount
                gone += found if counted else 0
        return gone

    # ---- reading ---------------------------------------------------------------------------------------------------
    def query(self, statement: str, values: Iterable[Any] = ()) -> list[Any]:
        """The rows of a SELECT, on a read-only connection. Only fixed statements, values by ``?``. ``StoreError``."""
        return self._pool.query(statement, values)

    def counters(self) -> dict[str, dict[str, int]]:
        """repeated, conflicts, unreadable, ignored, dead_letters: name -> label -> count."""
        return counters_of(self.query("SELECT name, label, n FROM counters"))


def _positions(database: "psycopg.Connection[Any]") -> dict[Place, int]:
    rows = database.execute("SELECT topic, partition, next FROM positions")
    return {(row["topic"], row["partition"]): row["next"] for row in rows}


def _newer(records: Sequence[_Taken], known: Mapping[Place, int]) -> Iterator[_Taken]:
    reached = dict(known)
    for one in records:
        if one.offset >= reached.get(one.place, 0):
            reached[one.place] = one.offset + 1
            yield one


def _move(database: "psycopg.Connection[Any]", ends: Mapping[Place, tuple[int, int]]) -> None:
    database.cursor().executemany(
        "INSERT INTO positions VALUES (%s, %s, %s, %s) ON CONFLICT (topic, partition) DO UPDATE"
        " SET next = excluded.next, append_ms = excluded.append_ms",
        [(*place, *end) for place, end in ends.items()],
    )


def _count(database: "psycopg.Connection[Any]", met: Mapping[tuple[str, str], int]) -> None:
    database.cursor().executemany(
        "INSERT INTO counters VALUES (%s, %s, %s) ON CONFLICT (name, label) DO UPDATE SET n = counters.n + excluded.n",
        [(name, str(clean(label))[:200], n) for (name, label), n in met.items()],
    )


def _note(database: "psycopg.Connection[Any]", touched: Iterable[tuple[str, str]]) -> None:
    """Number what this batch changed, so that who follows finds it without reading everything."""
    (found,) = database.execute("SELECT coalesce(max(n), 0) + 1 AS number FROM changes").fetchall()
    database.cursor().executemany(
        "INSERT INTO changes VALUES (%s, %s, %s) ON CONFLICT (service, what) DO UPDATE SET n = excluded.n",
        [(clean(service), table, found["number"]) for service, table in touched],
    )


def _remember(database: "psycopg.Connection[Any]", first: Mapping[tuple[str, str], _Taken]) -> set[tuple[str, str]]:
    """The ids that were not known before; they are now."""
    roles, ids = [role for role, _ in first], [id_ for _, id_ in first]
    digests, times = [one.digest for one in first.values()], [one.append_ms for one in first.values()]
    rows = database.execute(
        "INSERT INTO known SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[], %s::bigint[])"
        " ON CONFLICT DO NOTHING RETURNING role, id",
        (roles, ids, digests, times),
    )
    return {(row["role"], row["id"]) for row in rows}


def _digests(database: "psycopg.Connection[Any]", keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    rows = database.execute(
        "SELECT k.role, k.id, k.digest FROM known k JOIN unnest(%s::text[], %s::text[]) AS w (role, id)"
        " ON k.role = w.role AND k.id = w.id",
        ([role for role, _ in keys], [id_ for _, id_ in keys]),
    )
    return {(row["role"], row["id"]): bytes(row["digest"]) for row in rows}


def _values(row: Row) -> tuple[Any, ...]:
    """The columns; JSON without zero characters, which JSONB does not have either."""
    return tuple(
        _without_nul(value) if isinstance(value, str) and _NUL in value else clean(value) for value in row.values()
    )


def _without_nul(text: str) -> str:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return str(clean(text))
    return _json(_replaced(value)).decode()


def _replaced(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(clean(name)): _replaced(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner) for inner in value]
    return clean(value)
