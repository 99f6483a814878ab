"""Receipts: where a request was counted, carried inside its id, so that feedback needs nothing else.

A request id with a receipt is ``unique.base64url`` of a MessagePack array: service, arm, tenant, task type, region,
slice, version, session group (the optimizer's ``app/core/ids.py`` reads and writes the same bytes).
"""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import NamedTuple

SLICES = frozenset(("main", "trial", "control", "holdout", "shadow"))
GROUPS = 64
_MAX_NAME = 200


class Receipt(NamedTuple):
    """What was drawn for a request. ``session_group`` in [0, 64), or None."""

    service: str
    arm: str
    tenant: str = ""
    task_type: str = ""
    region: str = ""
    slice: str = "main"
    version: int = 0
    session_group: int | None = None


def with_receipt(unique: str, receipt: Receipt) -> str:
    """The request id that carries ``receipt``. ``unique`` holds no dot."""
    return f"{unique}.{_text_of(receipt)}"


def receipt_of(request_id: str) -> Receipt | None:
    """The receipt inside ``request_id``; None when there is none or it is damaged."""
    _, dot, text = request_id.partition(".")
    return _receipt_in(text) if dot else None


@lru_cache(maxsize=4096)  # a service has few: arms x slices x 64 session groups
def _text_of(receipt: Receipt) -> str:
    packed = bytes([0x90 | len(receipt)]) + b"".join([_packed(value) for value in receipt])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


@lru_cache(maxsize=4096)
def _receipt_in(text: str) -> Receipt | None:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return _checked(_unpacked(raw))
    except (binascii.Error, ValueError, IndexError):
        return None


_TYPES = ([*[str] * 6, int, int], [*[str] * 6, int, type(None)])


def _checked(values: list[str | int | None]) -> Receipt | None:
    if list(map(type, values)) not in _TYPES:
        return None
    receipt = Receipt(*values)  # type: ignore[arg-type]  # checked above and below
    group = receipt.session_group
    sound = (
        all(0 < len(name) <= _MAX_NAME for name in receipt[:2])
        and all(len(part) <= _MAX_NAME for part in receipt[2:5])
        and receipt.slice in SLICES
        and 0 <= receipt.version <= 2**53
        and (group is None or 0 <= group < GROUPS)
    )
    return receipt if sound else None


def _packed(value: str | int | None) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, int):
        if value < 0x80:
            return bytes([value])
        for mark, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4)):
            if value < 1 << 8 * size:
                return bytes([mark]) + value.to_bytes(size, "big")
        return b"\xcf" + value.to_bytes(8, "big")
    raw = value.encode()
    if len(raw) < 32:
        return bytes([0xA0 | len(raw)]) + raw
    return (b"\xd9" + bytes([len(raw)]) if len(raw) < 256 else b"\xda" + len(raw).to_bytes(2, "big")) + raw


_INTEGERS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}


def _unpacked(raw: bytes) -> list[str | int | None]:
    """The values of one MessagePack array of texts, integers from 0 and nil. ValueError, IndexError: it is none."""
    if raw[0] & 0xF0 != 0x90:
        raise ValueError("not a short array")
    values: list[str | int | None] = []
    at = 1
    for _ in range(raw[0] & 0x0F):
        value, at = _value(raw, at)
        values.append(value)
    if at != len(raw):
        raise ValueError("more than one value")
    return values


def _value(raw: bytes, at: int) -> tuple[str | int | None, int]:
    mark, at = raw[at], at + 1
    if mark < 0x80:
        return mark, at
    if mark == 0xC0:
        return None, at
    if mark in _INTEGERS:
        end = at + _INTEGERS[mark]
        return int.from_bytes(_part(raw, at, end), "big"), end
    if mark in _TEXTS:
        start = at + _TEXTS[mark]
        end = start + int.from_bytes(_part(raw, at, start), "big")
    elif 0xA0 <= mark <= 0xBF:
        start, end = at, at + (mark & 0x1F)
    else:
        raise ValueError("not a value of a receipt")
    return _part(raw, start, end).decode(), end


def _part(raw: bytes, start: int, end: int) -> bytes:
    if end > len(raw):
        raise ValueError("cut off")
    return raw[start:end]
