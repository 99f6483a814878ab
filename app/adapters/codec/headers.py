"""What the Kafka headers say: content type, CloudEvents attributes, and whether they are spelled with a hyphen."""

import msgspec

from app.adapters.codec.reasons import UnreadableError
from app.core.batch import Headers

CONTENT_TYPE = "content-type"
_ATTRIBUTES = ("specversion", "id", "source", "type", "time", "dataschema")
_KNOWN = {f"ce{mark}{name}": (name, mark == "-") for mark in "_-" for name in _ATTRIBUTES}
_KNOWN |= dict.fromkeys((CONTENT_TYPE, "Content-Type", "Content-type"), (CONTENT_TYPE, False))
"""Header name -> (attribute, spelled with a hyphen)."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """``attributes`` without prefix (only those in use); ``hyphen`` when any came as ``ce-``."""

    content_type: str
    attributes: dict[str, str]
    hyphen: bool


NOTHING = Said("", {}, hyphen=False)


def said(headers: Headers) -> Said:
    """Read ``headers``; the last of several with one name counts. Raises ``UnreadableError`` for what is not UTF-8."""
    hyphen = False
    attributes: dict[str, str] = {}
    for name, value in headers:
        known = _KNOWN.get(name)
        if known is not None:
            hyphen |= known[1]
            attributes[known[0]] = _text(name, value)
    return Said(attributes.pop(CONTENT_TYPE, ""), attributes, hyphen)


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise UnreadableError("bad_attribute", f"header `{name}` is not UTF-8") from None
