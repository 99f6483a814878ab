"""Tables as Apache Parquet, a row group at a time. pyarrow is an extra: ``llm-auto-optimizer[parquet]``.

``write_parquet`` is what the API and `llm-optimizer export` call; ``columns_of`` and ``columns_of_row`` say which
columns a struct, or a table of the read model with its times in words, has.
"""

import types
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Union, get_args, get_origin, get_type_hints

import msgspec

from app.adapters.readmodel.rows import ROWS

GROUP = 10_000
"""Rows in memory at a time."""
_EXPERIMENTS: dict[str, type] = {
    **dict.fromkeys(("id", "name", "status", "variants", "traffic_allocation", "metrics"), str),
    **dict.fromkeys(("start_time", "end_time"), datetime),
    **dict.fromkeys(("results", "winner_variant_id"), str),
    "statistical_significance": float,
    **dict.fromkeys(("service", "ended_with", "conclusion"), str),
}
"""The view of requirements/004."""

Columns = Mapping[str, type]
"""Name -> str, int, float, bool, bytes, or datetime (an RFC 3339 text becomes a UTC timestamp). Any may be missing."""


class ParquetError(RuntimeError):
    """No Parquet can be written; the message says what to install."""


def write_parquet(rows: Iterable[Mapping[str, Any]], columns: Columns, into: BinaryIO) -> int:
    """Write ``rows`` with ``columns`` to the binary stream ``into``; returns how many. Other keys of a row are left
    out, missing ones are null; a value of another kind is JSON text. ``ParquetError`` without pyarrow.
    """
    arrow, parquet = _arrow()
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in columns.items()])
    source, written = iter(rows), 0
    with parquet.ParquetWriter(into, schema, compression="zstd") as writer:
        while group := list(islice(source, GROUP)):
            plain = [{name: _value(row.get(name), kind) for name, kind in columns.items()} for row in group]
            writer.write_table(arrow.Table.from_pylist(plain, schema=schema))
            written += len(group)
    return written


def columns_of(struct: type[msgspec.Struct], times: Iterable[str] = ()) -> dict[str, type]:
    """The columns of a struct; ``times`` are those that hold RFC 3339 text. What is no plain type becomes JSON text."""
    hints, named = get_type_hints(struct), frozenset(times)
    return {name: datetime if name in named else _plain(hints[name]) for name in struct.__struct_fields__}


def columns_of_row(table: str) -> dict[str, type]:
    """The columns of a table (or ``experiments``) of the read model, times as `export` names them, no packed bytes."""
    if table == "experiments":
        return dict(_EXPERIMENTS)
    (row,) = (row for row in ROWS if row.table == table)
    found: dict[str, type] = {}
    for name, kind in columns_of(row).items():
        if name == "append_ms":
            found["append_time"] = datetime
        elif name in {"time_s", "start_s", "end_s"}:
            found[name.removesuffix("_s")] = datetime
        elif kind is not bytes:
            found[name] = kind
    return found


def _plain(hint: Any) -> type:
    if get_origin(hint) in {Union, types.UnionType}:
        inner = [argument for argument in get_args(hint) if argument is not type(None)]
        hint = inner[0] if len(inner) == 1 else str
    return hint if hint in {str, int, float, bool, bytes} else str


def _value(value: Any, kind: type) -> Any:
    if value is None or (value == "" and kind is not str):
        return None
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is bool:
        return bool(value)
    if kind is str and not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return value


def _type(arrow: Any, kind: type) -> Any:
    made = {
        str: arrow.string(),
        int: arrow.int64(),
        float: arrow.float64(),
        bool: arrow.bool_(),
        bytes: arrow.binary(),
        datetime: arrow.timestamp("us", tz="UTC"),
    }
    return made[kind]


def _arrow() -> "tuple[Any, Any]":
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ParquetError("Parquet needs pyarrow: pip install 'llm-auto-optimizer[parquet]'") from None
    return pa, pq
