"""Deterministic ids and receipts: nothing here draws a random number."""

import base64
import binascii
import hashlib

import msgspec

from app.core.events import Receipt


def stable_id(*parts: object) -> str:
    """32 hex digits that are a function of ``parts`` (SHA-256 of their text, separated by U+001F)."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[
        str, str, str, str, str, str, int, int | None
    ]  # service, arm, tenant, task type, region, slice, version, group
).decode


def request_id(unique: str, receipt: Receipt) -> str:
    """A request id that carries its receipt: ``unique.base64url``. ``unique`` must hold no dot."""
    s = receipt.segment
    packed = _encode(
        (
            receipt.service,
            receipt.arm,
            s.tenant,
            s.task_type,
            s.region,
            receipt.slice,
            receipt.version,
            receipt.session_group,
        )
    )
    return f"{unique}.{base64.urlsafe_b64encode(packed).rstrip(b'=').decode()}"


def receipt_of(request: str) -> Receipt | None:
    """The receipt inside a request id, or None when there is none or it is damaged."""
    _, dot, packed = request.partition(".")
    if not dot:
        return None
    try:
        raw = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        service, arm, tenant, task, region, slice_, version, group = _decode(raw)
        return msgspec.convert(
            {
                "service": service,
                "arm": arm,
                "segment": {"tenant": tenant, "task_type": task, "region": region},
                "slice": slice_,
                "version": version,
                "session_group": group,
            },
            Receipt,
        )
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
