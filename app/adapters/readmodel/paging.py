"""Pages of rows in the order (time, id), newest first, with cursors that stay right while rows are added."""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import msgspec

from app.adapters.readmodel.store import Store


class CursorError(ValueError):
    """A cursor this model did not give out."""


class Wanted(msgspec.Struct, frozen=True):
    """Conditions in SQL with their values; ``services`` None: all, else only these and what is said to all (``*``)."""

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()
    services: tuple[str, ...] | None = None

    def where(self, condition: str, value: object) -> "Wanted":
        """With one more condition; a value of None or "" adds nothing."""
        if value is None or value == "":
            return self
        return Wanted((*self.conditions, condition), (*self.values, value), self.services)

    def one_of(self, column: str, values: Iterable[str]) -> "Wanted":
        """With ``column`` among ``values``; none: no condition."""
        given = tuple(values)
        if not given:
            return self
        marks = ", ".join("?" * len(given))
        return Wanted((*self.conditions, f"{column} IN ({marks})"), (*self.values, *given), self.services)

    def seen_by(self) -> "Wanted":
        """With the condition of ``services``."""
        if self.services is None:
            return self
        return Wanted(self.conditions, self.values).one_of("service", (*self.services, "*"))


def page(store: Store, table: str, wanted: Wanted, cursor: str, limit: int) -> tuple[list[Any], str]:
    """Up to ``limit`` rows of ``table`` and the cursor of the next page, "" when there is none. ``CursorError``."""
    wanted = wanted.seen_by()
    if cursor:
        time_s, identity = _read(cursor)
        wanted = Wanted((*wanted.conditions, "(time_s, id) < (?, ?)"), (*wanted.values, time_s, identity))
    where = f" WHERE {' AND '.join(wanted.conditions)}" if wanted.conditions else ""
    rows = store.query(
        f"SELECT * FROM {table}{where} ORDER BY time_s DESC, id DESC LIMIT ?",  # noqa: S608  # fixed names and marks
        (*wanted.values, limit + 1),
    )
    more = len(rows) > limit
    return rows[:limit], _cursor(rows[limit - 1]) if more else ""


def _cursor(row: Any) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((row["time_s"], row["id"]))).decode().rstrip("=")


def _read(cursor: str) -> tuple[int, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time_s, identity = msgspec.json.decode(raw, type=tuple[int, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise CursorError("cursor: not one of ours; leave it out for the first page") from None
    if not -(2**63) <= time_s < 2**63:
        raise CursorError("cursor: not one of ours; leave it out for the first page")
    return time_s, identity
