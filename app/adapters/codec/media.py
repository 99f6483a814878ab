"""What a content type says about the bytes, and how the data of an event is read.

Confluent's wire format and plain Avro are the same media types; the magic byte tells them apart
(``app.adapters.codec.avro``).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from app.adapters.codec.avro import read_avro
from app.adapters.codec.envelope import Envelope, require_data
from app.adapters.codec.payload import read_object
from app.adapters.codec.reasons import UnreadableError

Reader = Callable[[bytes | msgspec.Raw], dict[str, Any]]

_AVRO = frozenset(("application/avro", "avro/binary", "application/x-avro", "application/vnd.confluent.avro"))
_UTF8 = frozenset(("utf-8", "utf8", "us-ascii"))


@lru_cache(maxsize=64)
def media_type(content_type: str) -> str:
    """The type without parameters, in lower case. Raises ``UnreadableError`` for a charset other than UTF-8."""
    kind, *parameters = content_type.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in _UTF8:
            raise UnreadableError("unsupported_content_type", f"the data must be UTF-8, not {value.strip()!r}")
    return kind.strip().lower()


def is_avro(content_type: str) -> bool:
    """Whether data of ``content_type`` is Avro, else JSON ("" means JSON). Raises ``UnreadableError`` for others."""
    kind = media_type(content_type)
    if kind in _AVRO or kind.endswith("+avro"):
        return True
    if kind and not kind.endswith(("/json", "+json")):
        raise UnreadableError("unsupported_content_type", f"the data is {kind!r}; send application/json")
    return False


def data_of(envelope: Envelope) -> dict[str, Any]:
    """The data of an event as an object, JSON or Avro. Raises ``UnreadableError``."""
    return read_avro(envelope) if is_avro(envelope.content_type) else read_object(require_data(envelope))


def reader(content_type: str) -> Reader:
    """The reader for data of ``content_type`` without an envelope. Raises ``UnreadableError`` when there is none."""
    if is_avro(content_type):
        why = f"{media_type(content_type)} needs an event in binary mode: send ce_ headers"
        raise UnreadableError("unsupported_content_type", why)
    return read_object
