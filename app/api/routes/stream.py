"""What happens, as it happens: server-sent events (WHATWG HTML, 9.2) out of the read model."""

from collections.abc import AsyncIterator

import msgspec

from app import __version__
from app.api.context import Context, Reply
from app.api.hub import QUEUE, Hub, Listener
from app.api.problems import Problem
from app.api.route import Route
from app.api.routes.common import Params, Text

BEAT_S = 15.0
"""A comment goes out after this long without an event, so that both ends and those between know it is alive."""
RETRY_MS = 2_000
MAX_S = 600.0
"""A stream ends then, and the next one asks again who listens: a withdrawn key does not listen for ever."""


class StreamAsked(Params, frozen=True, kw_only=True):
    """Whose events; empty: of every service the asker may see."""

    service: Text = ""


async def stream(context: Context, params: StreamAsked, body: None) -> Reply:
    """Follow decisions and changes as server-sent events.

    `decision`: one entry of /decisions, its event id as the id. `changed`: {service, what}: these tables of a service
    have new rows (splits, documents, aggregates, events, findings, savings, commands); all of them at the start. With
    Last-Event-ID the decisions after that one come first, up to 500; beyond that `reset` says: load /decisions anew.
    A comment each 15 s; the stream ends after 10 min, or when the caller does not keep up: come back with the last id.
    """
    hub = context.parts.hub
    most = context.parts.settings.api.max_streams
    if len(hub.listeners) >= most:
        hub.ended["refused"] += 1
        raise Problem(
            429, "too_many_streams", f"{most} streams are open: ask again and again instead", retry_after_s=30
        )
    listener = Listener(context.visible(), params.service)
    return Reply(None, media="text/event-stream", chunks=_told(hub, listener, context.last_event_id))


async def _told(hub: Hub, listener: Listener, last_id: str) -> AsyncIterator[bytes]:
    left_s = MAX_S
    try:
        whole = await hub.join(listener, last_id)
        yield f"retry: {RETRY_MS}\n".encode() + message("hello", {"version": __version__, "beat_s": BEAT_S})
        if not whole:
            yield message("reset", {"missed": f"more than {QUEUE} decisions"})
        while left_s > 0 and not listener.ended:
            if not await listener.wait(BEAT_S):
                left_s -= BEAT_S
                yield b": still here\n\n"
            while listener.decisions:
                event = listener.decisions.popleft()
                yield message("decision", event, event.id)
            while listener.changed:
                service, what = listener.changed.popitem()
                yield message("changed", {"service": service, "what": sorted(what)})
        listener.end("renewed")
    finally:
        hub.leave(listener)


def message(name: str, data: object, identity: str = "") -> bytes:
    """One event; JSON has no line ends, so its data is one line. ``identity`` with a line end in it is left out."""
    named = f"id: {identity}\n" if identity and identity.isprintable() else ""
    return f"{named}event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


ROUTES = (
    Route(
        method="GET",
        path="/stream",
        handler=stream,
        right="read",
        tag="Stream",
        answer=str,
        media="text/event-stream",
        follows=True,
    ),
)
