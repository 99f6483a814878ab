"""Parameters that many routes share, and times as people write them."""

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.adapters.readmodel.paging import Wanted
from app.api.context import Context
from app.api.problems import bad_request, not_found
from app.core.events import NAME_PATTERN, epoch_s

ServiceName = Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN, description="Name of a service.")]
Text = Annotated[str, Meta(max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=500, description="Most entries of a page.")]
Cursor = Annotated[str, Meta(max_length=500, description="`next_cursor` of the page before; empty: the first page.")]
Time = Annotated[str, Meta(max_length=40, description="RFC 3339, or back from now: 90s, 15m, 24h, 7d.")]
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of parameters: an unknown one is an error, not ignored."""


class OfService(Params, frozen=True, kw_only=True):
    """One service."""

    service: ServiceName


class OfPage(Params, frozen=True, kw_only=True):
    """A page, newest first."""

    service: Text = ""
    since: Time = ""
    until: Time = ""
    cursor: Cursor = ""
    limit: Limit = 50

    def wanted(self, context: Context) -> Wanted:
        """Its conditions, for what the asker may see."""
        asked = Wanted(services=context.visible()).where("service = ?", self.service)
        return asked.where("time_s >= ?", seconds(self.since)).where("time_s < ?", seconds(self.until))


def seconds(text: str) -> int | None:
    """Epoch seconds of a ``Time``; None when it is empty. ``Problem`` 400."""
    if not text:
        return None
    if text[-1] in _UNITS and text[:-1].isascii() and text[:-1].isdigit() and len(text) < 12:
        return int(time.time()) - int(text[:-1]) * _UNITS[text[-1]]
    try:
        return epoch_s(text)
    except ValueError as error:
        raise bad_request(f"{error}; write 2026-01-31T12:00:00Z or 24h") from None


def visible_or_404(context: Context, service: str, what: str) -> None:
    """404 when the asker may not read ``service``: it does not tell that it exists."""
    if service != "*" and not context.identity.may("read", service):
        raise not_found(what)


def found(value: Any, what: str) -> Any:
    """``value``, or 404."""
    if value is None or value == []:
        raise not_found(what)
    return value
