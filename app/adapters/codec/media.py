"""What a content type says about the bytes, and which formats are switched on.

Avro has its place here: a schema registry adds its reader to ``READERS`` (the Confluent wire format and plain Avro
are the same media types; the magic byte tells them apart).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from app.adapters.codec.payload import read_object
from app.adapters.codec.reasons import UnreadableError

Reader = Callable[[bytes | msgspec.Raw], dict[str, Any]]

READERS: dict[str, Reader] = {"json": read_object}
"""Format -> reader of the data as an object."""

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


def reader(content_type: str) -> Reader:
    """The reader for data of ``content_type`` ("" means JSON). Raises ``UnreadableError`` when there is none."""
    kind = media_type(content_type)
    if not kind or kind.endswith(("/json", "+json")):
        return READERS["json"]
    if kind in _AVRO or kind.endswith("+avro"):
        if "avro" in READERS:
            return READERS["avro"]
        raise UnreadableError("avro_not_enabled", f"the data is {kind}; configure a schema registry or send JSON")
    raise UnreadableError("unsupported_content_type", f"the data is {kind!r}; send application/json")
