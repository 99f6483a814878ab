"""Events out: what the product says in binary mode (``ce_`` headers, JSON data, key = service), telemetry structured.

Source: CloudEvents 1.0.2, Kafka protocol binding (sections 3.2 and 3.3) and JSON event format (section 3).
"""

import msgspec

from app.core.events import RESPONSE_COMPLETED, SPECVERSION, Response, ResponseEvent, rfc3339
from app.core.outputs import Output
from app.core.ports import Record

OPTIMIZE = "/llm-optimizer/optimize"
"""CloudEvents source of everything the brain says; ingest ignores events that carry it, findings excepted."""
JSON = "application/json"
STRUCTURED = (("content-type", b"application/cloudevents+json"),)

_SPECVERSION = ("ce_specversion", SPECVERSION.encode())
_CONTENT_TYPE = ("content-type", JSON.encode())

_encode = msgspec.json.Encoder().encode


class Message(msgspec.Struct, frozen=True, gc=False):
    """A record for a topic the product does not own: telemetry of the simulator, commands of the CLI."""

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def encode_output(output: Output, source: str = OPTIMIZE) -> Record:
    """The record of ``output``; equal outputs give equal bytes."""
    headers = _binary(output.type, source, output.id, output.service, rfc3339(output.time_s))
    return Record(output.role, output.service.encode(), output.data, headers=headers)


def encode_event(type_: str, source: str, id_: str, service: str, data: bytes, time: str = "") -> Message:
    """A binary-mode event with JSON ``data`` for ``service`` (``*`` = all); ``time`` is RFC 3339, or empty for none."""
    return Message(service.encode(), data, _binary(type_, source, id_, service, time))


def encode_response(response: Response, id_: str, source: str, time: str) -> Message:
    """A structured ``response.completed``, keyed by request id (else event id); ``decode`` reads it back equal."""
    value = _encode(ResponseEvent(id_, source, RESPONSE_COMPLETED, response, time))
    return Message((response.request_id or id_).encode(), value, STRUCTURED)


def _binary(type_: str, source: str, id_: str, subject: str, time: str) -> tuple[tuple[str, bytes], ...]:
    attributes = (
        _SPECVERSION,
        ("ce_type", type_.encode()),
        ("ce_source", source.encode()),
        ("ce_id", id_.encode()),
        ("ce_time", time.encode()),
        ("ce_subject", subject.encode()),
        _CONTENT_TYPE,
    )
    if type_ and source and id_ and time and subject:
        return attributes
    return tuple(attribute for attribute in attributes if attribute[1])
