"""Why an event is not counted: every reason is stable, because operators alert on it and scripts read it."""

from app.core.events import Rejected

REASONS = {
    "empty_value": "the record has a value of no bytes",
    "too_large": "the value is larger than the codec reads",
    "not_utf8": "a text in the value is not UTF-8",
    "not_json": "the value is not JSON",
    "not_an_object": "the value, or its data, is JSON but no object",
    "too_deep": "objects or arrays are nested deeper than the codec reads",
    "too_many_fields": "the data has more names than the codec reads",
    "not_otlp": "the value, on the topic of spans, is no OTLP trace request",
    "not_a_cloudevent": "neither ce_ headers nor an envelope with specversion",
    "unsupported_specversion": "a CloudEvents version other than 1.0",
    "missing_attribute": "id, source or type is missing",
    "bad_attribute": "an attribute of the envelope has the wrong type or size",
    "bad_time": "the time is not RFC 3339 with an offset, or outside 1970-9999",
    "unsupported_content_type": "the data is neither JSON nor a format that is switched on",
    "avro_not_enabled": "the data is Avro with a schema id, and no schema registry is configured",
    "unknown_schema": "the schema of Avro data is not known, neither here nor to the registry",
    "bad_avro": "the data is not what its Avro schema says",
    "missing_data": "the event has no data",
    "bad_data": "a field of the data is missing, of the wrong type or out of bounds",
    "bad_command": "a command that cannot be obeyed: unknown verb, wrong arguments, a document with mistakes",
    "no_service": "the feedback names no service, neither by a receipt nor in its data",
    "no_score": "the feedback says nothing about quality",
    "internal_error": "a defect of the codec; the record is kept and the detail says where",
}
"""Reason -> what it means. ``app.core.events.Rejected.reason`` of the codec is always one of these."""

DETAIL_LIMIT = 300


class UnreadableError(Exception):
    """Raised inside the codec and turned into a ``Rejected`` at its border; never leaves it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def rejected(self) -> Rejected:
        """The value that the fold sees; details are cut to ``DETAIL_LIMIT`` characters."""
        return Rejected(self.reason, self.detail[:DETAIL_LIMIT])
