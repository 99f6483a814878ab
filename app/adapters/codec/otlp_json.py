"""OTLP trace requests as JSON (``otlp_json``): bytes to spans.

Source: OTLP specification 1.x, JSON Protobuf encoding: lowerCamelCase names, ids in hex, 64-bit integers as text or
number, enumerations as numbers (their names are read, too). Unknown members are ignored.
"""

from collections.abc import Iterator
from typing import Any

from app.adapters.codec.otlp_span import FIRST_CHUNK, KNOWN, PLAIN, TELLING, Attributes, Span, answers, whole
from app.adapters.codec.payload import read_object
from app.adapters.codec.reasons import UnreadableError

_ERROR = (2, "STATUS_CODE_ERROR")
_MAX_DIGITS = 20


def read_json(value: bytes) -> tuple[list[Span], int]:
    """The answering spans in ``value``, and the number of the others. Raises ``UnreadableError``."""
    request = read_object(value)
    if "resourceSpans" not in request:
        raise UnreadableError("not_otlp", "expected an OTLP trace request - `$.resourceSpans` is missing")
    found: list[Span] = []
    others = 0
    for of_resource in _objects(request, "resourceSpans"):
        resource = _attributes(_object(of_resource, "resource"))
        for of_scope in _objects(of_resource, "scopeSpans"):
            scope = _text(_object(of_scope, "scope"), "name")
            for span in _objects(of_scope, "spans"):
                attributes = _attributes(span)
                if TELLING.isdisjoint(attributes) or not answers(attributes):
                    others += 1
                else:
                    found.append(_span(span, scope, resource, attributes))
    return found, others


def _span(span: dict[str, Any], scope: str, resource: Attributes, attributes: Attributes) -> Span:
    chunks = (e for e in _objects(span, "events") if _text(e, "name").endswith(FIRST_CHUNK))
    return Span(
        trace_id=_text(span, "traceId").lower(),
        span_id=_text(span, "spanId").lower(),
        start_ns=_whole(span.get("startTimeUnixNano", 0)),
        end_ns=_whole(span.get("endTimeUnixNano", 0)),
        failed=_object(span, "status").get("code") in _ERROR,
        first_chunk_ns=next((_whole(chunk.get("timeUnixNano", 0)) for chunk in chunks), 0),
        scope=scope,
        resource=resource,
        attributes=attributes,
    )


def _attributes(holder: dict[str, Any]) -> Attributes:
    found: Attributes = {}
    for pair in _objects(holder, "attributes"):
        name = _text(pair, "key")
        value = _value(_object(pair, "value")) if name in KNOWN else None
        if value is not None:
            found[name] = str(value) if name in PLAIN and type(value) is int else value
    return found


def _value(value: dict[str, Any]) -> Any:
    for kind, inner in value.items():
        if kind == "stringValue" and isinstance(inner, str):
            return inner
        if kind == "intValue":
            return _whole(inner)
        if kind == "doubleValue" and isinstance(inner, int | float):
            return inner if isinstance(inner, int) else whole(inner)
        if kind == "boolValue" and isinstance(inner, bool):
            return inner
        if kind == "arrayValue" and isinstance(inner, dict):
            return [text for item in _objects(inner, "values") if (text := item.get("stringValue")) is not None]
    return None


def _objects(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The objects in the list ``name``; absent and null are empty."""
    items = holder.get(name)
    if items is None:
        return
    if not isinstance(items, list):
        raise UnreadableError("not_otlp", f"expected an array - at `{name}`")
    for item in items:
        if not isinstance(item, dict):
            raise UnreadableError("not_otlp", f"expected an array of objects - at `{name}`")
        yield item


def _object(holder: dict[str, Any], name: str) -> dict[str, Any]:
    inner = holder.get(name)
    if inner is None:
        return {}
    if not isinstance(inner, dict):
        raise UnreadableError("not_otlp", f"expected an object - at `{name}`")
    return inner


def _text(holder: dict[str, Any], name: str) -> str:
    text = holder.get(name, "")
    if not isinstance(text, str):
        raise UnreadableError("not_otlp", f"expected a text - at `{name}`")
    return text


def _whole(number: Any) -> int:
    """A 64-bit integer: a number, or its digits as text."""
    if isinstance(number, str) and len(number) <= _MAX_DIGITS and number.removeprefix("-").isdecimal():
        return int(number)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise UnreadableError("not_otlp", f"expected a whole number, got {str(number)[:40]!r}")
