"""One span of a trace request, freed from how it came: what both OTLP readers give and what a response is made of."""

from typing import Any, NamedTuple

from app.adapters.codec.aliases import ANSWERING, MODEL, NAMESPACES, OPERATION, RESPONSE

MAX_BYTES = 4 << 20
"""Largest record read: the Collector's own default is 1 MB before compression."""
FIRST_CHUNK = ".content.completion.chunk"
"""End of the name of the span event that openllmetry's instrumentations write for every chunk of a stream."""

TELLING = frozenset((*OPERATION, *MODEL))
"""Attributes of which an answering span has at least one: the others are skipped with a look at their names."""

_BY_USER = ("service", "request_id", "session_id", "segment.")
CANONICAL = ("request_id", "session_id")
PLAIN = frozenset(
    (*CANONICAL, *(alias.name for alias in RESPONSE if "." not in alias.name and alias.field.startswith(_BY_USER)))
)
"""Attributes without a namespace that are read, because users name their tenants so; others (``version``, ``status``)
mean something else in a trace.
"""
_NAMESPACED = {alias.name for alias in RESPONSE if "." in alias.name and not alias.name.startswith(NAMESPACES)}
KNOWN = TELLING | PLAIN | _NAMESPACED
"""Attributes whose values are read at all."""

Attributes = dict[str, Any]
"""``KNOWN`` attribute -> text, number, truth value or list of texts; other values (bytes, maps) are left out."""


class Span(NamedTuple):
    """Times in nanoseconds since 1970, ids in lower-case hex. ``first_chunk_ns`` 0: no chunk was written down."""

    trace_id: str
    span_id: str
    start_ns: int
    end_ns: int
    failed: bool
    first_chunk_ns: int
    scope: str
    resource: Attributes
    attributes: Attributes


def answers(attributes: Attributes) -> bool:
    """Whether a span with ``attributes`` is one answered request of a model."""
    for name in OPERATION:
        operation = attributes.get(name)
        if operation is not None:
            return isinstance(operation, str) and operation.lower() in ANSWERING
    return any(isinstance(attributes.get(name), str) for name in MODEL)


_EXACT = float(1 << 53)


def whole(number: float) -> int | float:
    """JavaScript writes whole numbers as doubles, too; a count must come as an int."""
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
