"""Kept bytes of large rows, deflated: probabilities of 32 versions repeat the same names (RFC 1950, level 1).

Small values stay as they are: they are the many, and a MessagePack array never begins with the byte a deflated value
begins with, so both are read, those of before as well.
"""

import zlib

LARGE = 16_384
"""Bytes from which a value is deflated: about .4 ms for 64 kB, a quarter of which is left."""
_DEFLATED = b"\x78"


def compact(value: bytes) -> bytes:
    """``value``, deflated if it is large."""
    return value if len(value) < LARGE else zlib.compress(value, 1)


def expanded(value: bytes) -> bytes:
    """Inverse of ``compact``; ``ValueError`` for bytes that are damaged."""
    if value[:1] != _DEFLATED:
        return value
    try:
        return zlib.decompress(value)
    except zlib.error as error:
        raise ValueError(f"a kept value of {len(value)} bytes is damaged: {error}") from None
