"""Fetch requests and responses of version 11 written and read a partition at a time.

aiokafka builds both out of one object and one call a field: for a worker of thirty partitions that is a good part of
what a fetch costs. The bytes and the values are the same; other versions are aiokafka's own.
"""

from io import BytesIO
from struct import Struct
from typing import Any, Self

from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

_REQUEST = Struct(">iiiibiii")  # replica, longest wait, least and most bytes, isolation, session, its epoch, topics
_ASKED = Struct(">iiqqi")  # partition, leader epoch, offset, log start, most bytes
_RESPONSE = Struct(">ihii")  # throttle time, error, session, topics
_GIVEN = Struct(">ihqqqi")  # partition, error, high watermark, last stable offset, log start, aborted transactions
_ABORTED = Struct(">qq")  # producer, first offset
_BODY = Struct(">ii")  # preferred replica, bytes of records
_INT, _SHORT = Struct(">i"), Struct(">h")


class _Response(FetchResponse_v11):  # type: ignore[misc]  # aiokafka has no types
    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        """Raises ``struct.error`` or ``ValueError`` where ``data`` ends too soon."""
        if isinstance(data, BytesIO):
            with data.getbuffer() as view:
                return cls(*_fields(view, data.tell()))
        return cls(*_fields(memoryview(data), 0))


def _fields(view: memoryview, at: int) -> tuple[int, int, int, list[Any]]:
    throttle_ms, error, session, n = _RESPONSE.unpack_from(view, at)
    at += _RESPONSE.size
    topics = []
    for _ in range(n):
        length = _SHORT.unpack_from(view, at)[0]
        at += _SHORT.size
        name = str(view[at : at + length], "utf-8")
        count = _INT.unpack_from(view, at + length)[0]
        at += length + _INT.size
        partitions = []
        for _ in range(count):
            given, at = _partition(view, at)
            partitions.append(given)
        topics.append((name, partitions))
    return throttle_ms, error, session, topics


def _partition(view: memoryview, at: int) -> tuple[tuple[Any, ...], int]:
    *marks, aborted = _GIVEN.unpack_from(view, at)
    at += _GIVEN.size
    transactions = None
    if aborted >= 0:
        transactions = [_ABORTED.unpack_from(view, at + i * _ABORTED.size) for i in range(aborted)]
        at += aborted * _ABORTED.size
    replica, size = _BODY.unpack_from(view, at)
    at += _BODY.size
    if size < 0:
        return (*marks, transactions, replica, None), at
    records = bytes(view[at : at + size])
    if len(records) != size:
        raise ValueError(f"a fetch response ends {size - len(records)} bytes too soon")
    return (*marks, transactions, replica, records), at + size


class _Request(FetchRequest_v11):  # type: ignore[misc]  # aiokafka has no types
    RESPONSE_TYPE = _Response

    def encode(self) -> bytes:
        """The request's body."""
        asked: Any = self.__dict__
        names = ("replica_id", "max_wait_time", "min_bytes", "max_bytes", "isolation_level")
        head = _REQUEST.pack(
            *(asked[name] for name in names), asked["session_id"], asked["session_epoch"], len(asked["topics"])
        )
        topics = [part for name, partitions in asked["topics"] for part in _topic(name, partitions)]
        return b"".join((head, *topics, _INT.pack(0), _text(asked["rack_id"])))


def _topic(name: str, partitions: list[tuple[int, ...]]) -> tuple[bytes, ...]:
    return _text(name), _INT.pack(len(partitions)), *(_ASKED.pack(*partition) for partition in partitions)


def _text(text: str) -> bytes:
    data = text.encode()
    return _SHORT.pack(len(data)) + data


class QuickFetch(FetchRequest):  # type: ignore[misc]  # aiokafka has no types
    """``FetchRequest`` in the spelling of this file, where the broker speaks version 11."""

    def build(self, request_struct_class: Any) -> Any:
        """The request in the version the broker speaks."""
        return super().build(_Request if request_struct_class is FetchRequest_v11 else request_struct_class)


def quick(request: FetchRequest, min_bytes: int, max_wait_ms: int) -> QuickFetch:
    """The same fetch, waiting for ``min_bytes`` or ``max_wait_ms``."""
    return QuickFetch(
        max_wait_ms,
        min_bytes,
        request._max_bytes,
        request._isolation_level,
        request._topics,
        rack_id=request._rack_id,
    )
