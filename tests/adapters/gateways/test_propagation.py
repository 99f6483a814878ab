"""The lag counts everything between the first call with a split and the yes."""

import pytest

from app.adapters.gateways.breaker import Breaker, BreakerOptions
from app.adapters.gateways.memory import MemoryGateway
from app.adapters.gateways.metrics import readings
from app.adapters.gateways.propagation import MeasuredGateway
from app.adapters.telemetry import exposition
from app.core.ports import Unavailable
from tests.core.splits import split


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def test_tries_that_fail_count(clock):
    memory = MemoryGateway()
    gateway = MeasuredGateway(memory, clock)
    memory.failure = "down"
    with pytest.raises(Unavailable):
        await gateway.apply(split(1), None, "k")
    clock.now += 7
    memory.failure = ""
    await gateway.apply(split(1), None, "k")
    assert (gateway.lag.count, gateway.lag.last_s) == (1, 7)


async def test_an_act_whose_answer_was_lost_has_arrived_when_it_is_read(clock):
    memory = MemoryGateway()
    gateway = MeasuredGateway(memory, clock)
    memory.failure = "lost-answer"
    with pytest.raises(Unavailable):
        await gateway.apply(split(1), None, "k")
    memory.failure = ""
    clock.now += 3
    await gateway.read("bot")
    await gateway.read("bot")
    assert (gateway.lag.count, gateway.lag.total_s, gateway.lag.longest_s) == (1, 3, 3)


async def test_a_newer_split_begins_anew_and_an_older_state_is_no_arrival(clock):
    memory = MemoryGateway()
    gateway = MeasuredGateway(memory, clock)
    ack = await gateway.apply(split(1), None, "k")
    memory.failure = "down"
    for version in (2, 3):
        clock.now += 5
        with pytest.raises(Unavailable):
            await gateway.apply(split(version), ack.etag, f"k{version}")
    memory.failure = ""
    await gateway.read("bot")
    clock.now += 1
    await gateway.apply(split(3), ack.etag, "k3")
    assert (gateway.lag.count, gateway.lag.last_s) == (2, 1)


def test_the_metrics_show_the_lag_and_an_open_breaker(clock):
    gateway = MeasuredGateway(MemoryGateway(), clock)
    gateway.lag.observe(0.25)
    breaker = Breaker(BreakerOptions(failures=1), clock)
    breaker.failed()
    text = exposition(readings("orchestrator", gateway.lag, breaker))
    assert 'llm_optimizer_gateway_propagation_seconds_total{gateway="orchestrator"} 0.25' in text
    assert 'llm_optimizer_gateway_breaker_open{gateway="orchestrator"} 1' in text
