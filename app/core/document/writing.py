"""From a document to JSON and TOML. Defaults are left out; both read back to the same document."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from app.core.document.service_document import ServiceDocument

_encode = msgspec.json.Encoder(order="deterministic").encode
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def to_json(document: ServiceDocument) -> bytes:
    """The document as one JSON object with sorted keys."""
    return _encode(document)


def to_object(document: ServiceDocument) -> dict[str, Any]:
    """The document as plain values: the ``document`` argument of a configure command."""
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


def to_toml(document: ServiceDocument) -> str:
    """The document as TOML a person can edit."""
    return "\n".join(_table(to_object(document), ())).strip() + "\n"


def _table(table: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Scalars first, then sub-tables, then lists of tables, as TOML wants it."""
    for key, value in table.items():
        if value is not None and not isinstance(value, dict) and not _is_tables(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, dict):
            if not value or not all(isinstance(item, dict) for item in value.values()):
                yield from ("", f"[{_header((*path, key))}]")
            yield from _table(value, (*path, key))
        elif _is_tables(value):
            for item in value:
                yield from ("", f"[[{_header((*path, key))}]]")
                yield from _table(item, (*path, key))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, dict) for item in value)


def _header(path: tuple[str, ...]) -> str:
    return ".".join(map(_key, path))


def _key(key: str) -> str:
    return key if _BARE.match(key) else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    return repr(value)


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's, but U+007F must be escaped as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
