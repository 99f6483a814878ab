"""Reads a series from CSV: the columns timestamp,value. What cannot be read is named with its line."""

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple, TextIO

NO_NUMBER = frozenset({"", "nan", "na", "n/a", "null", "none"})
MILLISECONDS_FROM = 1e11
"""A numeric timestamp from here on is in milliseconds: as seconds it would be after the year 5000."""


class SeriesError(ValueError):
    """A row cannot be read. The message says where, and what is expected there."""


class Point(NamedTuple):
    """One row: ``time`` and ``text`` as written; ``value`` is nan when the row has no finite number."""

    time: str
    time_s: float
    text: str
    value: float


@contextmanager
def opened(file: Path) -> Iterator[TextIO]:
    """The text of ``file``: ``-`` is standard input, ``.gz`` is unpacked; UTF-8 with or without a byte-order mark."""
    if str(file) == "-":
        yield sys.stdin
    elif file.suffix == ".gz":
        with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as text:
            yield text
    else:
        with file.open(encoding="utf-8-sig", newline="") as text:
            yield text


def points(text: TextIO, name: str) -> Iterator[Point]:
    """The rows of ``text`` in order; ``SeriesError`` names ``name`` and the line of the first that cannot be read.
    The first line may be left out when the columns are timestamp,value in this order.
    """
    rows = csv.reader(text)
    try:
        first = next(rows, None)
        if first is None:
            raise SeriesError(f"{name} is empty: it needs a line timestamp,value and one row per point")
        names = [cell.strip().lower() for cell in first]
        if "timestamp" in names and "value" in names:
            columns = names.index("timestamp"), names.index("value")
        else:
            columns = (0, 1)
            yield _point(first, columns, f"{name}, line 1")
        for row in rows:
            if row:
                yield _point(row, columns, f"{name}, line {rows.line_num}")
    except (csv.Error, UnicodeError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SeriesError(f"{name}, after line {rows.line_num}: this is no CSV in UTF-8 ({error})") from error


def _point(row: Sequence[str], columns: tuple[int, int], place: str) -> Point:
    time_column, value_column = columns
    if len(row) <= max(columns):
        raise SeriesError(f"{place}: expected timestamp,value, found {','.join(row)!r:.80}")
    time, text = row[time_column], row[value_column]
    return Point(time, _seconds(time, place), text, _value(text, place))


def _seconds(time: str, place: str) -> float:
    try:
        return _moment(time) if time[4:5] == "-" else _epoch(time)
    except ValueError:
        raise SeriesError(
            f"{place}: {time!r:.80} is no timestamp; write it as 2026-01-31 12:00:00 or in seconds since 1970"
        ) from None


def _moment(time: str) -> float:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def _epoch(time: str) -> float:
    epoch = float(time)
    if not isfinite(epoch):
        raise ValueError
    return epoch / 1000.0 if abs(epoch) >= MILLISECONDS_FROM else epoch


def _value(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        if text.strip().lower() in NO_NUMBER:
            return nan
        raise SeriesError(f"{place}: {text!r:.80} is no number; leave the value empty where it is missing") from None
    return value if isfinite(value) else nan
