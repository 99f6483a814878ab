"""The tables of the read model, made from its rows; the views of requirements/004 over them are in ``views_*``.

A change of a row, a table or a view is a new ``VERSION``: what is kept is then thrown away and read again from the
topics.
"""

import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from app.adapters.readmodel.rows import ROWS, Row

VERSION = 5


class Dialect(msgspec.Struct, frozen=True):
    """How a database writes a type, a table that is its own index, and the order in which rows came (``rowid``)."""

    types: dict[Any, str]
    compact: str
    in_order: str
    mark: str


SQLITE = Dialect(
    {str: "TEXT", int: "INTEGER", bool: "INTEGER", float: "REAL", bytes: "BLOB"}, " WITHOUT ROWID", "", "?"
)
POSTGRES = Dialect(
    {str: 'TEXT COLLATE "C"', int: "BIGINT", bool: "BOOLEAN", float: "DOUBLE PRECISION", bytes: "BYTEA"},
    "",
    "rowid BIGINT GENERATED ALWAYS AS IDENTITY, ",
    "%s",
)

_BOOKS: tuple[tuple[str, dict[str, type], str], ...] = (
    ("about", {"name": str, "value": str}, "name"),
    ("positions", {"topic": str, "partition": int, "next": int, "append_ms": int}, "topic, partition"),
    ("known", {"role": str, "id": str, "digest": bytes, "append_ms": int}, "role, id"),
    ("counters", {"name": str, "label": str, "n": int}, "name, label"),
    ("changes", {"service": str, "what": str, "n": int}, "service, what"),
)
"""What the store itself remembers: of what it is a copy, how far, which ids, what it met and what changed last."""

_INDEXES = (
    "CREATE INDEX events_by_time ON events (time_s, id)",
    "CREATE INDEX events_of_service ON events (service, time_s, id)",
    "CREATE INDEX events_of_decision ON events (decision_id)",
    "CREATE INDEX aggregates_of_service ON aggregates (service, window_s, start_s)",
    "CREATE INDEX aggregates_by_age ON aggregates (window_s, append_ms)",
    "CREATE INDEX findings_by_time ON findings (time_s, id)",
    "CREATE INDEX savings_of_service ON savings (service, time_s)",
    "CREATE INDEX commands_by_time ON commands (time_s, id)",
    "CREATE INDEX dead_letters_by_age ON dead_letters (append_ms)",
    "CREATE INDEX known_by_age ON known (role, append_ms)",
    "CREATE INDEX changes_by_number ON changes (n)",
)


def statements(dialect: Dialect, views: Iterable[str]) -> list[str]:
    """Everything that makes an empty database ready, in order."""
    return [
        *(_table(dialect, name, columns, key) for name, columns, key in _BOOKS),
        *(table(dialect, row) for row in ROWS),
        *_INDEXES,
        *views,
    ]


def table(dialect: Dialect, row: type[Row]) -> str:
    """The CREATE TABLE of a row."""
    columns = {name: hint for name, hint in get_type_hints(row).items() if name in row.__struct_fields__}
    key = ", ".join(f'"{name}"' for name in row.key)
    return _table(dialect, row.table, columns, key, in_order=row.in_order)


def _table(dialect: Dialect, name: str, columns: dict[str, Any], key: str, *, in_order: bool = False) -> str:
    written = ", ".join(f'"{column}" {_column(dialect, hint)}' for column, hint in columns.items())
    first, last = (dialect.in_order, "") if in_order else ("", dialect.compact)
    return f"CREATE TABLE {name} ({first}{written}, PRIMARY KEY ({key})){last}"


def insert(dialect: Dialect, row: type[Row]) -> str:
    """The INSERT of a row; of several with one key the first stays, or the newest where the row says by what."""
    names = [f'"{name}"' for name in row.__struct_fields__]
    marks = ", ".join([dialect.mark] * len(names))
    statement = f"INSERT INTO {row.table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT"  # noqa: S608  # our names
    if not row.newest_by:
        return f"{statement} DO NOTHING"
    key = ", ".join(f'"{name}"' for name in row.key)
    changed = ", ".join(f"{name} = excluded.{name}" for name in names)
    new = ", ".join(f'excluded."{name}"' for name in row.newest_by)
    old = ", ".join(f'{row.table}."{name}"' for name in row.newest_by)
    return f"{statement} ({key}) DO UPDATE SET {changed} WHERE ({new}) > ({old})"


def _column(dialect: Dialect, hint: Any) -> str:
    if get_origin(hint) in {Union, types.UnionType}:
        (inner,) = (argument for argument in get_args(hint) if argument is not type(None))
        return dialect.types[inner]
    return f"{dialect.types[hint]} NOT NULL"
