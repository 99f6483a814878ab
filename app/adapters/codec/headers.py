"""What the Kafka headers say: content type, CloudEvents attributes, and whether they are spelled with a hyphen."""

import msgspec

from app.adapters.codec.reasons import UnreadableError
from app.core.batch import Headers

_ATTRIBUTES = frozenset(("specversion", "id", "source", "type", "time"))
_PREFIXES = ("ce_", "ce-")


class Said(msgspec.Struct, frozen=True, gc=False):
    """``attributes`` without prefix (only those in use); ``hyphen`` when any came as ``ce-``."""

    content_type: str
    attributes: dict[str, str]
    hyphen: bool


NOTHING = Said("", {}, hyphen=False)


def said(headers: Headers) -> Said:
    """Read ``headers``; the last of several with one name counts. Raises ``UnreadableError`` for what is not UTF-8."""
    content_type = ""
    hyphen = False
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name.lower() == "content-type":
            content_type = _text(name, value)
        elif name.startswith(_PREFIXES) and name[3:] in _ATTRIBUTES:
            hyphen |= name[2] == "-"
            attributes[name[3:]] = _text(name, value)
    return Said(content_type, attributes, hyphen)


def _text(name: str, value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise UnreadableError("bad_attribute", f"header `{name}` is not UTF-8") from None
