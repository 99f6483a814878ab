"""The pump: phases in order, every ack awaited, a failure ends the process (rules L8, L9)."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from app.adapters.kafka.flush import SETTLE_S, Pump
from app.adapters.kafka.lane import Lane
from app.adapters.kafka.options import EXIT_FLUSH
from app.core.ports import Point, Record
from tests.adapters.kafka.worlds import Counting, Ended, FakeReader, batch, ended, lane_of


class Wire:
    """A producer whose acks come when the test says so."""

    def __init__(self, *, acks: bool = True) -> None:
        self.sent: list[Record] = []
        self.futures: list[asyncio.Future[Any]] = []
        self.acks = acks
        self._news = asyncio.Condition()

    async def sends(self, n: int) -> None:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(lambda: len(self.futures) >= n), 5)

    async def __call__(self, records: Iterable[Record]) -> "list[asyncio.Future[Any]]":
        self.sent += records
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        if self.acks:
            future.set_result(None)
        async with self._news:
            self._news.notify_all()
        return [future]


async def filled() -> tuple[Lane, Counting]:
    lane = lane_of(FakeReader())
    await lane.rebuild()
    engine = lane.engines["t-0"]
    assert isinstance(engine, Counting)
    engine.fold(batch(0, 3))
    return lane, engine


async def test_a_flush_acks_the_cut_once_all_its_records_are_durable():
    lane, engine = await filled()
    pump = Pump(lane, Wire(), 0.1, ended)
    await pump.flush()
    assert engine.point == Point(3, "3")
    assert (pump.records, pump.flushes) == (2, 1)


async def test_a_phase_is_sent_only_after_every_record_of_the_one_before_is_acked():
    lane, engine = await filled()
    wire = Wire(acks=False)
    flushing = asyncio.ensure_future(Pump(lane, wire, 0.1, ended).flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [record.role for record in wire.sent] == ["facts"]
    assert engine.point == Point(0, "0")
    wire.futures[0].set_result(None)
    await wire.sends(2)
    assert engine.point == Point(0, "0")
    wire.futures[1].set_result(None)
    await flushing
    assert [record.role for record in wire.sent] == ["facts", "services"]
    assert engine.point == Point(3, "3")


async def test_a_failed_flush_ends_the_process_and_acks_nothing():
    lane, engine = await filled()
    wire = Wire(acks=False)
    pumping = asyncio.ensure_future(Pump(lane, wire, 0.1, ended).run())
    await wire.sends(1)
    wire.futures[0].set_exception(TimeoutError("expired"))
    with pytest.raises(Ended) as end:
        await pumping
    assert end.value.args[0] == EXIT_FLUSH
    assert engine.point == Point(0, "0")


async def test_a_producer_that_cannot_send_ends_the_process_too():
    lane, _ = await filled()

    async def dead(records: Iterable[Record]) -> "list[asyncio.Future[Any]]":
        raise ConnectionError("closed")

    with pytest.raises(Ended):
        await Pump(lane, dead, 0.1, ended).run()


async def test_a_flush_that_is_never_acked_ends_the_process_too():
    lane, engine = await filled()
    lane.options = msgspec.structs.replace(lane.options, producer_timeout_s=0.01)
    with pytest.raises(Ended) as end:
        await Pump(lane, Wire(acks=False), 0.1, ended).run()
    assert end.value.args[0] == EXIT_FLUSH
    assert engine.point == Point(0, "0")


async def test_a_cancelled_flush_poisons_what_was_cut():
    lane, engine = await filled()
    wire = Wire(acks=False)
    pumping = asyncio.ensure_future(Pump(lane, wire, 0.1, ended).run())
    await wire.sends(1)
    pumping.cancel()
    await asyncio.wait({pumping})
    assert lane.engines == {}
    assert not await lane.commit()
    assert engine.point == Point(0, "0")


async def test_without_the_right_to_commit_nothing_is_cut():
    lane, engine = await filled()
    lane.fence = None
    wire = Wire()
    await Pump(lane, wire, 0.1, ended).flush()
    assert wire.sent == []
    assert not engine.flying


async def test_stop_lets_the_flush_under_way_finish_and_starts_no_other():
    lane, engine = await filled()
    wire = Wire(acks=False)
    pump = Pump(lane, wire, 0.001, ended)
    pumping = asyncio.ensure_future(pump.run())
    await wire.sends(1)
    pump.stop()
    wire.futures[0].set_result(None)
    await wire.sends(2)
    wire.futures[1].set_result(None)
    await pumping
    assert engine.point == Point(3, "3")
    assert pump.flushes == 1


async def test_an_eager_pump_flushes_after_a_fetch_not_when_the_interval_is_over():
    lane, _ = await filled()
    wire = Wire()
    pump = Pump(lane, wire, 3600.0, ended, eager=True)
    pumping = asyncio.ensure_future(pump.run())
    await wire.sends(2)
    assert lane.admit(batch(3, 6)) is not None
    await wire.sends(4)
    pump.stop()
    await pumping
    assert pump.flushes == 2


async def test_an_eager_pump_waits_for_the_last_fetch_before_the_interval_is_over():
    lane, _ = await filled()
    pump = Pump(lane, Wire(), 0.1, ended, eager=True)
    pump._fetched_s = began = time.monotonic()
    waiting = asyncio.ensure_future(pump._last_fetch_before(began + 3600))
    lane.news.set()  # the next, as far off as this one was, is long before that
    await asyncio.sleep(4 * SETTLE_S)
    assert not waiting.done()
    pump._fetched_s -= 3600
    lane.news.set()
    await asyncio.wait_for(waiting, 30)


async def test_an_eager_pump_flushes_without_any_fetch_too():
    lane, _ = await filled()
    wire = Wire()
    pump = Pump(lane, wire, 0.001, ended, eager=True)
    pumping = asyncio.ensure_future(pump.run())
    await wire.sends(6)
    pump.stop()
    await pumping
    assert pump.flushes >= 3
