"""Kafka value and headers in, one ``Event`` out, whatever the bytes: the border between the world and the fold.

Forms read: structured JSON; binary mode (``ce_`` headers); and, counted as ``compat``, what requirements/002
produces: ``ce-`` headers or a whole envelope in the value of a binary event. A structured ``response.completed`` with
canonical names costs one msgspec decode, and so does every further one of a spelling that was seen; everything else
takes the slow way, which gives the same event where both can read it.
"""

from collections.abc import Callable

from app.adapters.codec import control, feedback, response
from app.adapters.codec.encode import OPTIMIZE
from app.adapters.codec.envelope import Envelope, binary, structured
from app.adapters.codec.headers import NOTHING, Said, said
from app.adapters.codec.media import media_type, reader
from app.adapters.codec.payload import MAX_VALUE_BYTES
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.spelling import CountMany, Spellings
from app.core.batch import Headers
from app.core.events import RESPONSE_COMPLETED, Event, Ignored, Rejected, ResponseEvent
from app.core.outputs import FINDING
from app.core.ports import Decode, Usual
from app.core.usual import FOREIGN

Count = Callable[[str], None]

TOMBSTONE = "tombstone"
"""``Ignored.type`` of a record without a value."""


_BINARY_HEADERS = 4
"""A binary event has at least ce_specversion, ce_id, ce_source and ce_type."""


def make_decode(count: Count = lambda _: None, count_many: CountMany | None = None) -> Decode:
    """A ``decode`` that calls ``count`` with what it had to put up with: compat, aliased, alias_conflict,
    unknown_fields, service_conflict, internal_error. ``decode`` never raises; see ``reasons.REASONS``.
    ``count_many`` does the same for many at once.
    """
    return _Decoder(count, count_many or _each(count))


def _each(count: Count) -> CountMany:
    def many(what: str, n: int) -> None:
        for _ in range(n):
            count(what)

    return many


class _Decoder:
    """``app.core.ports.DecodeUsual``."""

    def __init__(self, count: Count, count_many: CountMany) -> None:
        self._count = count
        self._known = Spellings(count, count_many)

    @property
    def usual(self) -> Usual | None:
        return self._known.usual

    def bare(self, headers: Headers) -> bool:
        """Whether a record may be structured: a binary one has four headers."""
        return len(headers) < _BINARY_HEADERS

    def missed(self, value: bytes | None) -> None:
        """Have ``usual`` read the names of ``value``, too, if they are canonical ones."""
        if value is not None:
            self._known.widen(value)

    def __call__(self, value: bytes | None, headers: Headers) -> Event:
        if not self.bare(headers):
            return _guarded(value, headers, self._count)
        try:
            event: ResponseEvent = self._known.read(value)  # type: ignore[arg-type]  # None is a TypeError, caught below
        except FOREIGN:
            return self._slowly(value, headers)
        if event.type == RESPONSE_COMPLETED and isinstance(event, ResponseEvent):
            return event
        return self._slowly(value, headers)

    def _slowly(self, value: bytes | None, headers: Headers) -> Event:
        found = self._known.read_other(value) if value is not None else None
        if found is not None:
            return found
        event = _guarded(value, headers, self._count)
        if value is not None and isinstance(event, ResponseEvent):
            self._known.learn(value, event)
        return event


def _guarded(value: bytes | None, headers: Headers, count: Count) -> Event:
    try:
        return _read(value, headers, count)
    except UnreadableError as unreadable:
        return unreadable.rejected()
    except Exception as error:  # noqa: BLE001 - a defect here may cost one record, never a partition
        count("internal_error")
        return Rejected("internal_error", f"{type(error).__name__}: {error}"[:300])


def _read(value: bytes | None, headers: Headers, count: Count) -> Event:
    if value is None:
        return Ignored(TOMBSTONE)
    if not value:
        raise UnreadableError("empty_value", "the value has no bytes")
    if len(value) > MAX_VALUE_BYTES:
        raise UnreadableError("too_large", f"{len(value)} bytes, more than {MAX_VALUE_BYTES}")
    return _dispatch(_envelope(value, said(headers) if headers else NOTHING, count), count)


def _envelope(value: bytes, headers: Said, count: Count) -> Envelope:
    kind = media_type(headers.content_type)
    if kind.startswith("application/cloudevents"):
        if kind != "application/cloudevents+json":
            raise UnreadableError(
                "unsupported_content_type", f"the event is {kind!r}; send application/cloudevents+json"
            )
        return structured(value)
    if not headers.attributes:
        reader(kind)  # anything but JSON is refused with its reason
        return structured(value)
    inner = _inner_envelope(value)
    if headers.hyphen or inner is not None:
        count("compat")
    return inner or binary(headers.attributes, headers.content_type, value)


def _inner_envelope(value: bytes) -> Envelope | None:
    """The whole envelope that requirements/002 puts into the value of a binary event, if it is there."""
    if b'"specversion"' not in value:
        return None
    try:
        return structured(value)
    except UnreadableError as unreadable:
        if unreadable.reason in {"not_a_cloudevent", "not_json", "not_an_object"}:
            return None
        raise


def _dispatch(envelope: Envelope, count: Count) -> Event:
    kind = envelope.type
    if kind in response.TYPES:
        return response.response_event(envelope, count)
    if kind in feedback.TYPES:
        return feedback.feedback_event(envelope, count)
    if control.is_control(kind) and (envelope.source != OPTIMIZE or kind == FINDING):  # own findings reach the rules
        return control.control_event(envelope)
    return Ignored(kind)
