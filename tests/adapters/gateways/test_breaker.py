"""The circuit breaker."""

import pytest

from app.adapters.gateways.breaker import Breaker, BreakerGateway, BreakerOptions
from app.adapters.gateways.memory import ALL_CAPABILITIES, MemoryGateway
from app.core.ports import Conflict, Unavailable
from tests.core.splits import split


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def behind():
    return MemoryGateway()


@pytest.fixture
def gateway(clock, behind):
    return BreakerGateway(behind, Breaker(BreakerOptions(failures=2, pause_s=5.0), clock))


async def fails(gateway):
    with pytest.raises(Unavailable) as caught:
        await gateway.read("bot")
    return caught.value


async def opened(gateway, behind):
    behind.failure = "down"
    await fails(gateway)
    await fails(gateway)
    assert gateway.breaker.state == "open"


async def test_closed_it_is_not_there(gateway):
    ack = await gateway.apply(split(1), None, "k")
    assert (await gateway.read("bot")).etag == ack.etag
    assert (await gateway.revert(split(2, frozen=True), ack.etag, "k2")).status == "applied"
    assert gateway.plan(None, split(1)).changes
    assert (gateway.name, gateway.capabilities) == ("memory", ALL_CAPABILITIES)


async def test_it_opens_after_failures_in_a_row_and_says_how_long(gateway, behind, clock):
    await opened(gateway, behind)
    behind.failure = ""
    clock.now = 3.0
    error = await fails(gateway)
    assert error.retry_after_s == 2.0
    assert gateway.breaker.counts == {"breaker_opened": 1, "breaker_turned_away": 1}


async def test_a_success_between_failures_starts_the_count_again(gateway, behind):
    for _ in range(3):
        behind.failure = "down"
        await fails(gateway)
        behind.failure = ""
        await gateway.read("bot")
    assert gateway.breaker.state == "closed"


async def test_after_the_pause_one_call_closes_it(gateway, behind, clock):
    await opened(gateway, behind)
    behind.failure, clock.now = "", 5.0
    await gateway.read("bot")
    assert gateway.breaker.state == "closed"


async def test_after_the_pause_one_failure_opens_it_again(gateway, behind, clock):
    await opened(gateway, behind)
    clock.now = 5.0
    await fails(gateway)
    assert gateway.breaker.state == "open"
    assert (await fails(gateway)).retry_after_s == 5.0


async def test_half_open_lets_a_single_call_through(gateway, behind, clock):
    await opened(gateway, behind)
    clock.now = 5.0
    gateway.breaker.admit()
    with pytest.raises(Unavailable):
        gateway.breaker.admit()


async def test_an_answer_that_says_no_is_an_answer(gateway, behind):
    await gateway.apply(split(1), None, "k")
    for key in ("a", "b", "c"):
        with pytest.raises(Conflict):
            await gateway.apply(split(2), None, key)
    assert gateway.breaker.state == "closed"
