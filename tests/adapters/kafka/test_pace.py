"""Fetches wait for many bytes while there are some, and long for the first byte while there are none."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest

from app.adapters.kafka.pace import keep_pace
from tests.adapters.kafka.worlds import OPTIONS, TP

BUSY = (OPTIONS.fetch_min_bytes, OPTIONS.fetch_max_wait_ms)
IDLE = (1, OPTIONS.fetch_idle_wait_ms)


class Broker:
    """aiokafka's fetcher as ``keep_pace`` sees it; ``waits`` are (least bytes, longest wait in ms) as they were sent."""

    def __init__(self) -> None:
        self.waits: list[tuple[int, int]] = []
        self.brings = True
        self._records: dict[Any, Any] = {}

    async def _proc_fetch_request(self, _assignment: Any, _node: int, request: FetchRequest) -> bool:
        self.waits.append((request._min_bytes, request._max_wait_ms))
        return self.brings


class World:
    """One partition on node 0."""

    def __init__(self, **options: Any) -> None:
        self.broker = Broker()
        self.state = SimpleNamespace(paused=False, has_valid_position=True)
        self.assignment = SimpleNamespace(tps={TP}, state_value=lambda _: self.state)
        keep_pace(self.broker, msgspec.structs.replace(OPTIONS, **options))

    async def fetch(self, *, brings: bool, node: int = 0) -> tuple[int, int]:
        self.broker.brings = brings
        request = FetchRequest(OPTIONS.fetch_max_wait_ms, OPTIONS.fetch_min_bytes, 1 << 20, 1, [])
        assert await self.broker._proc_fetch_request(self.assignment, node, request) is brings
        return self.broker.waits[-1]


async def test_the_fetch_after_an_empty_one_waits_for_the_first_byte_and_the_one_after_a_find_is_as_before():
    world = World()
    found = [await world.fetch(brings=brings) for brings in (True, False, False, True, True)]
    assert found == [BUSY, BUSY, IDLE, IDLE, BUSY]


async def test_each_broker_has_its_own_pace():
    world = World()
    await world.fetch(brings=False, node=1)
    assert [await world.fetch(brings=True, node=node) for node in (0, 1)] == [BUSY, IDLE]


@pytest.mark.parametrize("held", ["paused", "unknown", "buffered"])
async def test_while_a_partition_is_left_out_no_fetch_waits_long(held: str):
    world = World()
    await world.fetch(brings=False)
    world.state.paused, world.state.has_valid_position = held == "paused", held != "unknown"
    world.broker._records = {TP: object()} if held == "buffered" else {}
    assert await world.fetch(brings=False) == BUSY


async def test_who_wants_every_byte_at_once_never_waits_for_more():
    world = World(fetch_min_bytes=1)
    assert [await world.fetch(brings=True) for _ in range(2)] == [IDLE, IDLE]


async def test_a_gap_keeps_fetches_apart():
    world = World(fetch_gap_s=0.01)
    began = time.monotonic()
    await world.fetch(brings=True)
    await world.fetch(brings=True)
    assert time.monotonic() - began >= 0.01


async def test_the_first_fetch_after_a_silence_waits_for_no_gap():
    await asyncio.wait_for(World(fetch_gap_s=3600.0).fetch(brings=True), 30)


async def test_a_fetch_that_is_given_up_in_the_gap_ends_as_aiokafkas_own_do():
    world = World(fetch_gap_s=5.0)
    await world.fetch(brings=True)
    waiting = asyncio.ensure_future(world.fetch(brings=False))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == BUSY
    assert len(world.broker.waits) == 1


def test_aiokafka_still_has_what_is_replaced():
    request = FetchRequest(50, 1, 1, 1, [])
    assert (request._max_wait_ms, request._min_bytes) == (50, 1)
    assert callable(Fetcher._proc_fetch_request)
    assert callable(Fetcher._get_actions_per_node)
