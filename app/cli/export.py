"""`llm-optimizer export TABLE`: what the topics say, as a table for other tools."""

import csv
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click
import msgspec

from app.cli.moments import since_s
from app.cli.options import Options
from app.cli.progress import progress
from app.cli.reading import glance

if TYPE_CHECKING:
    from app.adapters.readmodel.model import Model

EVERYTHING = 100_000_000


class Table(NamedTuple):
    """A table or view of the read model. ``time``: the column that --since is about."""

    roles: tuple[str, ...]
    select: str
    time: str


TABLES: Mapping[str, Table] = MappingProxyType(
    {
        "decisions": Table(("optimizations",), "events", "time_s"),
        "trials": Table(("optimizations",), "experiments", "CAST(strftime('%s', start_time) AS INTEGER)"),
        "windows": Table(("aggregates", "aggregates_hourly"), "aggregates", "end_s"),
        "findings": Table(("anomalies",), "findings", "time_s"),
        "savings": Table(("aggregates_hourly",), "savings", "time_s"),
        "commands": Table(("commands",), "commands", "time_s"),
        "dead-letters": Table(("dead_letters",), "dead_letters", "append_ms / 1000"),
    }
)
HIDDEN = frozenset({"histogram"})
"""Columns that mean nothing outside: packed bytes."""
FORMATS = ("csv", "jsonl", "parquet")


@click.command
@click.argument("table", type=click.Choice(list(TABLES)))
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: by the name of --into, else csv]")
@click.option("--into", type=click.Path(dir_okay=False, path_type=Path), help="Write this file [default: print].")
@click.option("--service", help="Only of this service.")
@click.option("--since", metavar="TIME", help="Only from this RFC 3339 time on, or of the last 90s, 15m, 24h, 7d.")
@click.pass_obj
def export(
    options: Options, table: str, form: str | None, into: Path | None, service: str | None, since: str | None
) -> None:
    """Write TABLE, everything the topics still hold of it, oldest first.

    Times are RFC 3339, money is USD, latency ms. Columns that hold JSON end in `json`.
    """
    wanted = TABLES[table]
    if service is not None and table == "dead-letters":
        raise click.BadParameter("a dead letter has no service", param_hint="--service")
    after = None if since is None else since_s(since, time.time())
    form = form or (into.suffix.removeprefix(".") if into is not None else "csv")
    if form not in FORMATS:
        raise click.BadParameter(f"{form!r}: choose from {', '.join(FORMATS)}", param_hint="--format")
    with glance(options, *wanted.roles, newest=dict.fromkeys(wanted.roles, EVERYTHING)) as filled:
        rows = _rows(filled.model, wanted, service, after)
        written = _write_parquet(rows, table, into) if form == "parquet" else _write(rows, form, into)
    if into is not None:
        click.echo(f"{into}: {written:,} rows of {table}", err=True)


def _rows(model: "Model", table: Table, service: str | None, after: float | None) -> Iterator[dict[str, Any]]:
    from app.adapters.readmodel.paging import Wanted

    wanted = Wanted().where("service = ?", service).where(f"{table.time} >= ?", after)
    where = f" WHERE {' AND '.join(wanted.conditions)}" if wanted.conditions else ""
    found = model.store.query(f"SELECT * FROM {table.select}{where} ORDER BY {table.time}", wanted.values)  # noqa: S608  # fixed names and marks
    with progress("writing") as report:
        for done, row in enumerate(found):
            report(done, len(found))
            yield plain({name: row[name] for name in row.keys() if name not in HIDDEN})  # noqa: SIM118  # a Row's own


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row for other tools: epoch seconds and milliseconds as RFC 3339 under the name without its unit."""
    from app.core.events import rfc3339

    found: dict[str, Any] = {}
    for name, value in row.items():
        if name in {"time_s", "start_s", "end_s"}:
            found[name.removesuffix("_s")] = rfc3339(value)
        elif name == "append_ms":
            found["append_time"] = rfc3339(max(0, value) // 1000)
        else:
            found[name] = value
    return found


def _write_parquet(rows: Iterable[dict[str, Any]], table: str, into: Path | None) -> int:
    from app.adapters.readmodel.parquet import ParquetError, columns_of_row, write_parquet

    if into is None:
        raise click.BadParameter("Parquet is no text: name a file with --into", param_hint="--format")
    try:
        with into.open("wb") as stream:
            return write_parquet(rows, columns_of_row(TABLES[table].select), stream)
    except (OSError, ParquetError) as error:
        raise click.ClickException(f"cannot write {into}: {error}") from None


def _write(rows: Iterable[dict[str, Any]], form: str, into: Path | None) -> int:
    if into is None:
        return _FORMS[form](rows, sys.stdout)
    try:
        with into.open("w", encoding="utf-8", newline="") as stream:
            return _FORMS[form](rows, stream)
    except OSError as error:
        raise click.ClickException(f"cannot write {into}: {error}; name another file with --into") from None


def _csv(rows: Iterable[dict[str, Any]], stream: TextIO) -> int:
    writer = csv.writer(stream, lineterminator="\n")
    written = 0
    for row in rows:
        if not written:
            writer.writerow(row)
        writer.writerow(row.values())
        written += 1
    return written


def _jsonl(rows: Iterable[dict[str, Any]], stream: TextIO) -> int:
    encode = msgspec.json.Encoder().encode
    written = 0
    for row in rows:
        stream.write(f"{encode(row).decode()}\n")
        written += 1
    return written


_FORMS = {"csv": _csv, "jsonl": _jsonl}
