"""The quick spelling of fetches is aiokafka's, byte for byte and value for value."""

import random
from io import BytesIO
from struct import error as StructError  # noqa: N812  # it is a class
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11, FetchResponse_v11

from app.adapters.kafka.fetch_codec import quick

SEEDS = range(12)
QUICK: Any = quick(FetchRequest(50, 1, 1, 1, []), 1, 50).build(FetchRequest_v11)


class Drawn:
    """Requests and responses of any values the fields have room for."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)

    def number(self, bits: int) -> int:
        return self.source.choice((0, -1, (1 << bits - 1) - 1, -(1 << bits - 1), self.source.getrandbits(bits - 1)))

    def several(self, make: Any) -> list[Any]:
        return [make() for _ in range(self.source.randrange(4))]

    def name(self) -> str:
        return self.source.choice(("t", "llm.facts", "größe", "x" * 249))

    def asked(self) -> tuple[str, list[tuple[int, int, int]]]:
        return self.name(), self.several(lambda: (self.number(32), self.number(64), self.number(32)))

    def given(self) -> tuple[Any, ...]:
        aborted = self.source.choice((None, self.several(lambda: (self.number(64), self.number(64)))))
        records = self.source.choice((None, self.source.randbytes(self.source.randrange(40))))
        offsets = (self.number(64), self.number(64), self.number(64))
        return (self.number(32), self.number(16), *offsets, aborted, self.number(32), records)

    def response(self) -> FetchResponse_v11:
        topics = self.several(lambda: (self.name(), self.several(self.given)))
        return FetchResponse_v11(self.number(32), self.number(16), self.number(32), topics)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_request_is_the_same_bytes(seed: int):
    drawn = Drawn(seed)
    wait, least, most, isolation = drawn.number(32), drawn.number(32), drawn.number(32), seed % 2
    topics, rack = drawn.several(drawn.asked), drawn.name()
    theirs = FetchRequest(wait, least, most, isolation, topics, rack_id=rack)
    ours = quick(FetchRequest(1, 2, most, isolation, topics, rack_id=rack), least, wait)
    assert ours.build(FetchRequest_v11).encode() == theirs.build(FetchRequest_v11).encode()
    assert ours.topics == theirs.topics


@pytest.mark.parametrize("seed", SEEDS)
def test_a_response_is_the_same_values(seed: int):
    data = Drawn(seed).response().encode()
    after_header = BytesIO(b"head" + data)
    after_header.seek(4)
    theirs = FetchResponse_v11.decode(BytesIO(data))
    for ours in (QUICK.RESPONSE_TYPE.decode(data), QUICK.RESPONSE_TYPE.decode(after_header)):
        for name in ("throttle_time_ms", "error_code", "session_id", "topics"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert ours.API_VERSION == 11


def test_a_response_that_ends_too_soon_is_refused():
    data = FetchResponse_v11(0, 0, 0, [("t", [(0, 0, 1, 1, 0, [], -1, b"records")])]).encode()
    for end in range(len(data)):
        with pytest.raises((ValueError, StructError)):
            QUICK.RESPONSE_TYPE.decode(data[:end])


def test_a_broker_that_speaks_an_older_version_is_asked_in_aiokafkas_own():
    request = FetchRequest(50, 1, 9, 1, [("t", [(0, 5, 9)])])
    ours = quick(request, 1, 50).build(FetchRequest_v4)
    assert type(ours) is FetchRequest_v4
    assert ours.encode() == request.build(FetchRequest_v4).encode()


def test_the_newest_version_aiokafka_speaks_is_the_one_written_here():
    assert FetchRequest._CLASSES[-1] is FetchRequest_v11
    assert quick(FetchRequest(50, 1, 1, 1, []), 1, 50).prepare({1: (4, 17)}).API_VERSION == 11
