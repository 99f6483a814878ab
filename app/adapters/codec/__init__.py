"""CloudEvents in and out: bytes to ``app.core.events.Event`` and outputs to records."""

from app.adapters.codec.decode import make_decode
from app.adapters.codec.encode import Message, encode_event, encode_output, encode_response

__all__ = ["Message", "encode_event", "encode_output", "encode_response", "make_decode"]
