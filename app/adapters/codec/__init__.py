"""CloudEvents in and out: bytes to ``app.core.events.Event`` and outputs to records."""

from app.adapters.codec.decode import make_decode
from app.adapters.codec.encode import Message, encode_event, encode_output, encode_response
from app.adapters.codec.otlp import make_decode_spans

__all__ = ["Message", "encode_event", "encode_output", "encode_response", "make_decode", "make_decode_spans"]
