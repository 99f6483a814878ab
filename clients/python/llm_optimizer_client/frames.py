r"""How records lie in a spill file: frames that tell their length and a checksum.

A frame is ``\xff E V`` + kind + length (4 bytes, big-endian) + CRC-32 of kind and payload + payload. The byte 0xff is
in no UTF-8 text, so after damage reading goes on at the next frame. A record's payload is the length of its key (2
bytes), key, value; a mark's payload is (segment, offset) of 8 bytes each: all before it has been settled.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Literal, NamedTuple

from llm_optimizer_client.events import Kind, Record

MAGIC = b"\xffEV"
_HEAD = struct.Struct(">3scII")
HEAD_BYTES = _HEAD.size
MAX_PAYLOAD = 1 << 20
_KINDS: dict[bytes, Kind] = {b"r": "response", b"f": "feedback"}
_CODES = {kind: code for code, kind in _KINDS.items()}
MARK = b"m"
_MARK = struct.Struct(">QQ")


class Frame(NamedTuple):
    """A frame read back: ``what`` it holds and where the next one begins. ``damage``: bytes that hold no frame."""

    what: Literal["record", "mark", "damage"]
    end: int
    record: Record | None = None
    mark: tuple[int, int] = (0, 0)


def record_frame(record: Record) -> bytes:
    """The bytes of one record."""
    payload = len(record.key).to_bytes(2, "big") + record.key + record.value
    return _frame(_CODES[record.kind], payload)


def mark_frame(segment: int, offset: int) -> bytes:
    """The bytes of one mark."""
    return _frame(MARK, _MARK.pack(segment, offset))


def frames(data: bytes, base: int, *, more: bool) -> Iterator[Frame]:
    """Frames of ``data``, which begins at offset ``base``. ``more``: the file goes on after it."""
    at = 0
    while at < len(data):
        frame = _read(data, at, base)
        if frame is not None:
            yield frame
            at = frame.end - base
            continue
        if more and _may_continue(data, at):
            return
        at = _next(data, at)
        yield Frame("damage", base + at)


def _frame(code: bytes, payload: bytes) -> bytes:
    return _HEAD.pack(MAGIC, code, len(payload), zlib.crc32(payload, zlib.crc32(code))) + payload


def _read(data: bytes, at: int, base: int) -> Frame | None:
    if len(data) - at < HEAD_BYTES:
        return None
    magic, code, length, crc = _HEAD.unpack_from(data, at)
    start, end = at + HEAD_BYTES, at + HEAD_BYTES + length
    if magic != MAGIC or length > MAX_PAYLOAD or end > len(data):
        return None
    payload = data[start:end]
    if zlib.crc32(payload, zlib.crc32(code)) != crc:
        return None
    if code == MARK:
        return Frame("mark", base + end, mark=_MARK.unpack(payload))
    if code not in _KINDS:
        return None
    split = 2 + int.from_bytes(payload[:2], "big")
    return Frame("record", base + end, Record(_KINDS[code], payload[2:split], payload[split:]))


def _may_continue(data: bytes, at: int) -> bool:
    """Whether what stands at ``at`` may be a frame whose rest has not been read."""
    if len(data) - at < HEAD_BYTES:
        return MAGIC.startswith(data[at : at + 3])
    magic, _, length, _ = _HEAD.unpack_from(data, at)
    return bool(magic == MAGIC and length <= MAX_PAYLOAD and at + HEAD_BYTES + length > len(data))


def _next(data: bytes, at: int) -> int:
    found = data.find(MAGIC, at + 1)
    return len(data) if found < 0 else found
