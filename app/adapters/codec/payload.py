"""Bytes to a JSON object, within bounds: the only place that reads JSON of unknown shape.

Bounds: ``MAX_VALUE_BYTES`` bytes, ``MAX_DEPTH`` levels. The depth is counted here and not left to the interpreter's
recursion limit, which depends on who calls: whether a record is readable must depend on its bytes alone (rule I0).
"""

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from app.adapters.codec.reasons import UnreadableError

MAX_VALUE_BYTES = 1 << 20
MAX_DEPTH = 32

T = TypeVar("T")


def read(decoder: "msgspec.json.Decoder[T]", raw: bytes | msgspec.Raw, invalid: str) -> T:
    """Decode ``raw``; ``invalid`` is the reason for JSON of the wrong shape. Raises ``UnreadableError`` only."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise UnreadableError(invalid, str(error)) from None
    except msgspec.DecodeError as error:
        raise UnreadableError("not_json", str(error)) from None
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"byte {error.start} of a text is not UTF-8") from None
    except RecursionError:
        raise _too_deep() from None


def read_object(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """The JSON object in ``raw``. Raises ``UnreadableError`` (not_json, not_utf8, not_an_object, too_deep)."""
    value = read(_ANY, raw, "bad_data")
    if not isinstance(value, dict):
        raise UnreadableError("not_an_object", f"expected a JSON object, got {type(value).__name__}")
    text = bytes(raw)
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH:
        _bound_depth(value)
    return value


def from_base64(text: str) -> bytes:
    """The bytes of a ``data_base64`` member. Raises ``UnreadableError``."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableError("bad_attribute", f"{error} - at `$.data_base64`") from None


_ANY: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()


def _bound_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> UnreadableError:
    return UnreadableError("too_deep", f"objects or arrays are nested deeper than {MAX_DEPTH} levels")
