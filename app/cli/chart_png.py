"""Paints the marks of a plot as PNG (ISO/IEC 15948), with letters of three by five dots."""

import struct
import zlib
from collections.abc import Sequence
from math import ceil, floor

from app.cli.chart import Box, Mark, Stroke, Words

SCALE = 2
"""Dots of the picture per dot of a letter."""
ADVANCE = 4 * SCALE
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz-.:+_/, ?()"
DOTS = (
    "755572622771747717175571174717747577122275757757177575565656744476555674647746447455755755"
    "722271115755655444475775565555255527574475571656557471772222555575555255775552555522271247"
    "0070000002020200272000007112440002400000713021222142224"
)
GLYPHS = {letter: DOTS[5 * i : 5 * i + 5] for i, letter in enumerate(LETTERS)}
"""Five rows a letter, each three dots as an octal digit. What is not here is drawn as a question mark."""


def png(marks: Sequence[Mark], width: int, height: int) -> bytes:
    """A whole PNG file of ``width`` x ``height`` dots, 8 bits a colour."""
    canvas = _Canvas(width, height)
    for mark in marks:
        if isinstance(mark, Stroke):
            canvas.fill(mark.x, mark.top, 1, max(mark.bottom - mark.top, 1.0), mark.colour)
        elif isinstance(mark, Box):
            canvas.fill(mark.x, mark.y, mark.width, mark.height, mark.colour)
        else:
            canvas.write(mark)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(row) for row in canvas.rows)
    pieces = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_piece(kind, content) for kind, content in pieces)


def _piece(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class _Canvas:
    """Mutable rows of red, green, blue bytes; what lies outside is cut off."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [bytearray(3 * width) for _ in range(height)]

    def fill(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        left, right = max(floor(x), 0), min(ceil(x + width), self.width)
        if right <= left:
            return
        paint = bytes.fromhex(colour[1:]) * (right - left)
        for row in self.rows[max(floor(y), 0) : max(min(round(y + height), self.height), 0)]:
            row[3 * left : 3 * right] = paint

    def write(self, words: Words) -> None:
        wide = ADVANCE * len(words.text) - SCALE
        x = words.x - (wide if words.anchor == "end" else 0)
        y = words.y - 2.5 * SCALE
        for place, letter in enumerate(words.text):
            for line, octal in enumerate(GLYPHS.get(letter.lower(), GLYPHS["?"])):
                for dot in range(3):
                    if int(octal) >> (2 - dot) & 1:
                        at = x + place * ADVANCE + dot * SCALE
                        self.fill(round(at), round(y) + line * SCALE, SCALE, SCALE, words.colour)
