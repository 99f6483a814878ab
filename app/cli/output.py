"""How commands print data: JSON for programs (`--json`), aligned columns for people. Always on standard output."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""``@json_option`` adds ``--json``; the command gets ``as_json: bool``."""


def write_json(data: Any) -> None:
    """``data`` as one JSON document with sorted keys, then a newline. Structs, tuples and mappings are fine."""
    encoded = msgspec.json.encode(data, order="sorted")
    click.echo(msgspec.json.format(encoded, indent=2).decode())


def write_json_line(data: Any) -> None:
    """``data`` as one line, for streams of records."""
    click.echo(msgspec.json.encode(data, order="sorted").decode())


def write_columns(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Rows as left-aligned columns; nothing at all when there are no rows."""
    for line in columns(rows, header):
        click.echo(line)


def columns(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> list[str]:
    """The lines of ``write_columns``."""
    table = [[str(cell) for cell in row] for row in rows]
    if not table:
        return []
    if header:
        table.insert(0, list(header))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
