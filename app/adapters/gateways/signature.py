r"""Signatures of the desired-state document: both sides prove that they know the same key (HMAC-SHA256, RFC 2104).

A caller signs ``<unix seconds>\n<method>\n<path with query>`` and sends it as
``Authorization: HMAC-SHA256 t=<unix seconds>,v1=<hex>``; the answer carries ``X-Signature: t=...,v1=...`` over
``<unix seconds>\n<etag>\n`` and the body.
"""

import hashlib
import hmac

SCHEME = "HMAC-SHA256"
SKEW_S = 300
"""How far the two clocks may be apart; it bounds for how long a recorded call can be repeated."""


def signed(key: str, message: bytes, now_s: int) -> str:
    """``t=...,v1=...`` for ``message`` at ``now_s``."""
    return f"t={now_s},v1={_digest(key, now_s, message)}"


def is_signed(key: str, message: bytes, given: str, now_s: int) -> bool:
    """Is ``given`` a signature of ``message`` that is at most ``SKEW_S`` old? Any text may come."""
    fields = dict(part.partition("=")[::2] for part in given.split(","))
    at = fields.get("t", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(int(at) - now_s) > SKEW_S:
        return False
    return hmac.compare_digest(_digest(key, int(at), message).encode(), fields.get("v1", "").encode())


def request(method: str, path: str) -> bytes:
    """What a caller signs; ``path`` with its query."""
    return f"{method}\n{path}".encode()


def answer(etag: str, body: bytes) -> bytes:
    """What is signed of an answer."""
    return etag.encode() + b"\n" + body


def _digest(key: str, at_s: int, message: bytes) -> str:
    return hmac.new(key.encode(), b"%d\n" % at_s + message, hashlib.sha256).hexdigest()
