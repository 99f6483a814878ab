"""The CloudEvents 1.0 envelope, from a structured value or from Kafka headers, with its data still unread.

Source: CloudEvents 1.0.2, JSON event format (section 3) and Kafka protocol binding (section 3). Extension attributes
are allowed and not used. ``null`` counts as absent.
"""

from collections.abc import Mapping

import msgspec

from app.adapters.codec.payload import from_base64, read
from app.adapters.codec.reasons import UnreadableError
from app.core.events import NO_TIME, SPECVERSION, Name, second_of


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The attributes in use. ``data``: the bytes as they came; ``content_type``: that of the data, "" if unsaid."""

    id: str
    source: str
    type: str
    time: str
    content_type: str
    data: bytes
    dataschema: str = ""


class _Structured(msgspec.Struct, frozen=True, gc=False):
    specversion: str | None = None
    id: Name | None = None
    source: Name | None = None
    type: Name | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None
    dataschema: str | None = None


_STRUCTURED = msgspec.json.Decoder(_Structured)
_NO_DATA = (b"", b"null")


def structured(value: bytes) -> Envelope:
    """The envelope in a structured JSON value. Raises ``UnreadableError``."""
    if value.lstrip(b" \t\r\n")[:1] not in {b"{", b""}:
        read(_ANY, value, "not_json")
        raise UnreadableError("not_an_object", "expected a CloudEvent as a JSON object")
    event = read(_STRUCTURED, value, "bad_attribute")
    if event.specversion is None:
        raise UnreadableError("not_a_cloudevent", "no ce_ headers, and `$.specversion` is missing")
    data = bytes(event.data)
    if data in _NO_DATA and event.data_base64 is not None:
        data = from_base64(event.data_base64)
    return _checked(event, event.specversion, data)


def binary(attributes: Mapping[str, str], content_type: str, value: bytes) -> Envelope:
    """The envelope in header ``attributes`` (names without prefix). Raises ``UnreadableError``."""
    get = attributes.get
    for name in ("id", "source", "type"):
        if len(get(name) or "") > 200:
            raise UnreadableError("bad_attribute", f"Expected `str` of length <= 200 - at header `ce_{name}`")
    version = get("specversion") or ""
    named = get("id"), get("source"), get("type"), get("time")
    event = _Structured(version, *named, content_type, dataschema=get("dataschema"))
    return _checked(event, version, value)


_ANY = msgspec.json.Decoder(msgspec.Raw)


def _checked(event: _Structured, specversion: str, data: bytes) -> Envelope:
    if specversion != SPECVERSION:
        raise UnreadableError(
            "unsupported_specversion", f"specversion must be {SPECVERSION!r}, not {specversion[:20]!r}"
        )
    if not (event.id and event.source and event.type):
        raise UnreadableError("missing_attribute", f"{_missing(event)} is required")
    if event.time:
        _check_time(event.time)
    kind, schema = event.datacontenttype or "", event.dataschema or ""
    return Envelope(event.id, event.source, event.type, event.time or "", kind, data, schema)


def _missing(event: _Structured) -> str:
    return " and ".join(f"`{name}`" for name in ("id", "source", "type") if not getattr(event, name))


def _check_time(time: str) -> None:
    if second_of(time) == NO_TIME:  # as the fold reads it, so a fraction of digits or not makes no difference
        raise UnreadableError("bad_time", f"not an RFC 3339 time with an offset: {time[:40]!r}")


def require_data(envelope: Envelope) -> bytes:
    """The data bytes. Raises ``UnreadableError`` when there are none."""
    if envelope.data in _NO_DATA:
        raise UnreadableError("missing_data", f"a {envelope.type} event needs data")
    return envelope.data
