"""What a route works with: the parts of the process, and the request it answers."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from app.adapters.readmodel.feed import Feed
from app.adapters.readmodel.model import Model, TooManyError
from app.adapters.readmodel.paging import CursorError
from app.api.events_in import EventsIn
from app.api.hub import Hub
from app.api.identity import Identity, Right
from app.api.limits import Guards
from app.api.orders import Orders
from app.api.problems import Problem, bad_request
from app.api.select import Selector
from app.settings import Settings

T = TypeVar("T")


class Parts(msgspec.Struct, frozen=True):
    """The parts of the serving process that routes share."""

    settings: Settings
    model: Model
    feed: Feed
    orders: Orders
    events: EventsIn
    selector: Selector
    guards: Guards
    hub: Hub
    answered: Counter[int] = msgspec.field(default_factory=Counter)


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One request: who asks, under which id, on which conditions."""

    parts: Parts
    identity: Identity
    request_id: str
    idempotency_key: str = ""
    if_match: str = ""
    last_event_id: str = ""
    raw: bytes = b""
    content_type: str = ""

    @property
    def model(self) -> Model:
        """The read model."""
        return self.parts.model

    async def ask(self, question: Callable[..., T], *values: Any, **named: Any) -> T:
        """A question to the read model, off the event loop. ``Problem`` 400 for what it cannot answer."""
        try:
            return await asyncio.to_thread(question, *values, **named)
        except (CursorError, TooManyError) as error:
            raise bad_request(str(error)) from None

    def require(self, right: Right, service: str) -> None:
        """``Problem`` 403 unless the asker has ``right`` for ``service``."""
        if not self.identity.may(right, service):
            raise forbidden(right, service)

    def visible(self, right: Right = "read") -> tuple[str, ...] | None:
        """The services the asker has ``right`` for; None: all."""
        return self.identity.services(right)


class Reply(msgspec.Struct, frozen=True):
    """An answer with more than a body. ``media`` other than JSON: ``body`` is text, or bytes.

    ``chunks``: an asynchronous generator of bytes, of an answer that goes on; it has no body then.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = {}
    media: str = "application/json"
    chunks: Any = None


def forbidden(right: Right, service: str) -> Problem:
    """403: known, but not allowed."""
    return Problem(
        403, "forbidden", f"the right to {right} {service!r} is missing", details={"right": right, "service": service}
    )
