"""Telemetry by HTTP: one CloudEvent, a batch, or one a line."""

import msgspec

from app.api.context import Context, Reply
from app.api.events_in import Taken
from app.api.problems import Problem, bad_request
from app.api.route import Route, depth
from app.api.routes.common import Params

ONE, BATCH, LINES = "application/cloudevents+json", "application/cloudevents-batch+json", "application/x-ndjson"
_batch = msgspec.json.Decoder(list[msgspec.Raw])


async def take_events(context: Context, params: Params, body: bytes) -> Reply:
    """Take response.completed and feedback.recorded events; good ones count though others are refused."""
    values = _values(context, body)
    if len(values) > context.parts.settings.api.max_events:
        limit = context.parts.settings.api.max_events
        raise Problem(413, "too_many_events", f"at most {limit} events in one request", details={"limit": limit})
    if not values:
        raise bad_request("no event in the body")
    taken = await context.parts.events.take(context.identity, values)
    return Reply(taken, 202 if not taken.rejected else 207 if taken.accepted else 422)


def _values(context: Context, body: bytes) -> list[bytes]:
    kind, limit = context.content_type, context.parts.settings.api.max_depth
    if kind == LINES:
        return [line for line in body.splitlines() if line.strip()]
    if kind not in {ONE, BATCH, "application/json"}:
        raise Problem(415, "unsupported_media_type", f"send {ONE}, {BATCH} or {LINES}")
    if kind == ONE or (kind == "application/json" and not body.lstrip().startswith(b"[")):
        return [body] if body.strip() else []
    if depth(body) > limit:
        raise Problem(400, "too_deep", f"objects or arrays are nested deeper than {limit} levels")
    try:
        return [bytes(value) for value in _batch.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise bad_request(f"body: {error}") from None


ROUTES = (
    Route(
        method="POST",
        path="/events",
        handler=take_events,
        right="send",
        tag="Events",
        status=202,
        answer=Taken,
        body_media=BATCH,
        errors=(207, 413, 415, 422, 503),
    ),
)
