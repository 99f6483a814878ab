"""``response.completed`` with any spelling of its data."""

from typing import Any

import msgspec

from app.adapters.codec.aliases import RESPONSE
from app.adapters.codec.envelope import Envelope, require_data
from app.adapters.codec.media import data_of, is_avro
from app.adapters.codec.strict import converted
from app.adapters.codec.translate import Count, Table
from app.core.events import RESPONSE_COMPLETED, Response, ResponseEvent, SegmentParts

TYPES = frozenset((RESPONSE_COMPLETED, "llm.response.completed"))

_FIELDS = [field for field in Response.__struct_fields__ if field != "segment"]
_PARTS = [f"segment.{part}" for part in SegmentParts.__struct_fields__]
TABLE = Table([*_FIELDS, *_PARTS], RESPONSE, whole=("labels",))

_CANONICAL = msgspec.json.Decoder(Response)


def _in_one_step(data: bytes) -> Response | None:
    """The response in JSON ``data`` with canonical names only, in one step; None when it takes more."""
    try:
        return _CANONICAL.decode(data)
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return None


def _as_it_is(data: dict[str, Any]) -> Response | None:
    """The response in ``data`` with canonical names only; None when it takes more."""
    try:
        return msgspec.convert(data, Response)
    except (ValueError, RecursionError):
        return None


def response_event(envelope: Envelope, count: Count) -> ResponseEvent:
    """The event in ``envelope``; its type becomes the canonical one. Raises ``UnreadableError``."""
    if is_avro(envelope.content_type):
        data = data_of(envelope)
        response = _as_it_is(data) or _translated(data, count)
    else:
        response = _in_one_step(require_data(envelope)) or _translated(data_of(envelope), count)
    return ResponseEvent(envelope.id, envelope.source, RESPONSE_COMPLETED, response, envelope.time)


def _translated(data: dict[str, Any], count: Count) -> Response:
    canonical = TABLE.canonical(data, count)
    if "status" not in canonical.fields and canonical.given_as.get("error_type", "error_type") != "error_type":
        canonical.fields["status"] = "error"  # OpenTelemetry says error.type and no status of its own
    return converted(canonical, Response)
