"""The lane without a broker: rebuilding, admitting, committing, losing the right to commit."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError, NotLeaderForPartitionError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from app.adapters.kafka.fence import Committed, Fence
from app.adapters.kafka.flush import Pump
from app.adapters.kafka.idleness import LogEnd
from app.adapters.kafka.lane import Lane, StateError
from app.adapters.kafka.options import EXIT_STATE
from app.core.ports import Point, Record
from tests.adapters.kafka.test_broker_clock import ack
from tests.adapters.kafka.worlds import OPTIONS, TP, Counting, FakeReader, batch, ended, lane_of

OTHER = TopicPartition("t", 9)


def engine_of(lane: Lane) -> Counting:
    engine = lane.engines["t-0"]
    assert isinstance(engine, Counting)
    return engine


async def built(reader: FakeReader, **kwargs: Any) -> Lane:
    lane = lane_of(reader, **kwargs)
    await lane.rebuild()
    return lane


# ---- L2
async def test_without_a_committed_offset_it_seeks_to_the_log_start_itself():
    reader = FakeReader()
    reader.points[TP] = Committed(None, 17, 1000)
    await built(reader)
    assert reader.seeks == [{TP: 17}]


async def test_every_assignment_forgets_all_engines_and_opens_them_from_the_committed_point():
    reader = FakeReader()
    lane = await built(reader)
    first = engine_of(lane)
    first.fold(batch(0, 40))
    reader.points[TP] = Committed(Point(30, "30"), 0, 1000)
    await lane.rebuild()
    assert engine_of(lane) is not first
    assert (engine_of(lane).position, engine_of(lane).n) == (30, 30)
    assert reader.seeks[-1] == {TP: 30}


async def test_every_incarnation_is_another_writer():
    reader = FakeReader()
    lane = await built(reader)
    first = engine_of(lane).start.writer
    await lane.rebuild()
    assert engine_of(lane).start.writer != first
    assert engine_of(await built(reader)).start.writer != first


async def test_partitions_of_other_topics_get_no_engine():
    reader = FakeReader()
    reader.owned = {TP, TopicPartition("changelog", 0)}
    assert set((await built(reader)).engines) == {"t-0"}


async def test_between_two_memberships_nothing_is_built():
    reader = FakeReader()
    reader.fence = Fence(-1, "")
    lane = await built(reader)
    assert lane.engines == {}
    assert lane.fence is None


async def test_a_broker_that_is_still_electing_is_asked_again():
    reader = FakeReader()
    reader.failures = [NotLeaderForPartitionError(), KafkaConnectionError("away")]
    lane = await built(reader, options=msgspec.structs.replace(OPTIONS, broker_wait_s=5.0))
    assert set(lane.engines) == {"t-0"}


async def test_an_error_that_no_wait_can_mend_ends_the_process():
    reader, endings = FakeReader(), []
    reader.failures = [TopicAuthorizationFailedError("t")]
    lane = lane_of(reader)
    lane._on_fatal = lambda *why: endings.append(why)  # type: ignore[assignment]  # the test goes on
    await lane.rebuild()
    await asyncio.sleep(0)
    assert endings[0][0] == EXIT_STATE


async def test_a_newer_assignment_replaces_a_rebuild_under_way():
    reader = FakeReader()
    held = asyncio.Event()

    async def rows(_: object) -> dict[str, Any]:
        await held.wait()
        return {}

    lane = lane_of(reader, load_rows=rows)
    older = asyncio.ensure_future(lane.rebuild())
    await asyncio.sleep(0)
    reader.fence = Fence(2, "member")
    newer = asyncio.ensure_future(lane.rebuild())
    await asyncio.sleep(0)
    held.set()
    await asyncio.gather(older, newer)
    assert lane.fence == Fence(2, "member")
    assert lane.built == 1


async def test_a_rebuild_outlives_the_patience_of_its_caller():
    reader = FakeReader()
    held = asyncio.Event()

    async def rows(_: object) -> dict[str, Any]:
        await held.wait()
        return {}

    lane = lane_of(reader, load_rows=rows)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lane.rebuild(), 0.01)
    held.set()
    assert lane._building is not None
    await lane._building
    assert set(lane.engines) == {"t-0"}


async def test_a_revocation_during_a_rebuild_leaves_no_engine_behind():
    reader = FakeReader()
    lane = lane_of(reader)
    building = asyncio.ensure_future(lane.rebuild())
    await asyncio.sleep(0)
    lane.forget()
    await building
    assert lane.engines == {}


async def test_committed_points_are_read_before_the_changelogs():
    reader, order = FakeReader(), []
    restart = reader.restart_points

    async def points(tps: Any) -> Any:
        order.append("points")
        return await restart(tps)

    async def rows(partitions: Any) -> dict[str, Any]:
        order.append(f"rows {partitions}")
        return {"services": {0: {b"k": b"v"}}}

    reader.restart_points = points  # type: ignore[method-assign]
    lane = await built(reader, load_rows=rows)
    assert order == ["points", "rows [0]"]
    assert engine_of(lane).start.rows == {"services": {b"k": b"v"}}


async def test_an_agent_that_starts_at_the_log_start_ignores_and_makes_no_commits():
    reader = FakeReader()
    reader.points[TP] = Committed(Point(30, "30"), 4, 1000)
    lane = await built(reader, from_start=True)
    assert engine_of(lane).position == 4
    assert not await lane.commit()
    assert reader.commits == []


# ---- retention and lost topics
async def test_records_deleted_before_they_were_read_end_the_worker_with_the_number_and_the_way_out():
    reader = FakeReader()
    reader.points[TP] = Committed(Point(30, "30"), 50, 1000)
    lane = lane_of(reader)
    with pytest.raises(StateError, match=r"t-0: retention deleted 20 records.*on_retention_gap"):
        await lane._build()
    assert lane.counts["records_lost_to_retention"] == 20


async def test_a_gap_that_is_accepted_is_counted_and_passed():
    reader = FakeReader()
    reader.points[TP] = Committed(Point(30, "30"), 50, 1000)
    lane = await built(reader, options=msgspec.structs.replace(OPTIONS, on_retention_gap="accept"))
    assert (engine_of(lane).position, engine_of(lane).n) == (50, 30)
    assert lane.counts["records_lost_to_retention"] == 20


async def test_a_commit_past_the_end_of_the_log_is_not_guessed_around():
    reader = FakeReader()
    reader.points[TP] = Committed(Point(30, "30"), 0, 20)
    with pytest.raises(StateError, match="past the end 20"):
        await lane_of(reader)._build()


async def test_records_deleted_before_they_were_read_end_the_worker_also_while_it_runs():
    reader, fatal = FakeReader(), []
    lane = lane_of(reader)
    await lane.rebuild()
    lane._on_fatal = lambda code, reason: fatal.append((code, reason))  # type: ignore[assignment,return-value]  # it returns here
    reader.points[TP] = Committed(None, 40, 1000)
    reader.seeks.clear()
    assert lane.admit(batch(40, 3)) is None
    await asyncio.sleep(0.01)
    assert reader.seeks == []
    [(code, reason)] = fatal
    assert code == EXIT_STATE
    assert "t-0: retention deleted 40 records from offset 0" in reason


async def test_accepted_the_gap_is_counted_and_the_fold_goes_on_behind_it():
    reader = FakeReader()
    lane = await built(reader, options=msgspec.structs.replace(OPTIONS, on_retention_gap="accept"))
    reader.points[TP] = Committed(None, 40, 1000)
    assert lane.admit(batch(40, 3)) is None
    await asyncio.sleep(0.01)
    assert reader.seeks[-1] == {TP: 40}
    assert lane.counts["records_lost_to_retention"] == 40
    assert lane.admit(batch(40, 3)) is engine_of(lane)


# ---- L1
async def test_a_hole_seeks_back_and_a_batch_of_a_partition_not_owned_is_dropped():
    reader = FakeReader()
    lane = await built(reader)
    reader.seeks.clear()
    assert lane.admit(batch(5, 3)) is None
    await asyncio.sleep(0)
    assert reader.seeks == [{TP: 0}]
    assert lane.admit(batch(0, 3, source="t-1")) is None
    assert lane.admit(batch(0, 3)) is engine_of(lane)
    assert lane.counts == {"batches_after_hole": 1, "resyncs": 1, "batches_unowned": 1}


async def test_every_hole_is_refilled_and_every_record_is_folded_once_whatever_is_thrown_away():
    reader = FakeReader()
    lane = await built(reader)
    position = 0
    for turn in range(400):
        if reader.seeks:
            position = reader.seeks[-1][TP]
            reader.seeks.clear()
        fetched = batch(position, min(7, 900 - position))
        position = fetched.end
        if turn % 3:  # every third batch is lost on the way
            engine = lane.admit(fetched)
            if engine is not None:
                engine.fold(fetched)
        lane._resync.clear()  # a second passes
        await asyncio.sleep(0)
    assert engine_of(lane).n == engine_of(lane).position
    assert engine_of(lane).n == 900


async def test_a_last_batch_that_never_came_is_fetched_again_though_nothing_follows_it():
    reader = FakeReader()
    lane = await built(reader)
    reader.seeks.clear()
    reader.fetched = 5
    await lane.commit()
    assert reader.seeks == []  # it may still be on its way
    await lane.commit()
    await asyncio.sleep(0)
    assert reader.seeks == [{TP: 0}]


async def test_a_fold_that_is_behind_but_moves_is_left_alone():
    reader = FakeReader()
    lane = await built(reader)
    reader.seeks.clear()
    reader.fetched = 100
    for first in range(0, 50, 10):
        engine_of(lane).fold(batch(first, 10))
        await lane.commit()
    await asyncio.sleep(0)
    assert reader.seeks == []


# ---- L3, L6, L7, L8
async def test_only_acked_points_are_committed():
    reader = FakeReader()
    lane = await built(reader)
    engine = engine_of(lane)
    engine.fold(batch(0, 10))
    cut = engine.cut()
    engine.fold(batch(10, 10))
    assert await lane.commit()
    assert reader.commits == [({TP: Point(0, "0")}, Fence(1, "member"))]
    engine.acked(cut)
    assert await lane.commit()
    assert reader.commits[-1][0] == {TP: Point(10, "10")}


async def test_the_engine_hears_of_the_point_that_was_accepted_not_of_one_acked_meanwhile():
    reader = FakeReader()
    lane = await built(reader)
    engine = engine_of(lane)

    def ack_more() -> None:
        engine.point = Point(99, "99")

    reader.before_answer = ack_more
    await lane.commit()
    assert engine.committed_points == [Point(0, "0")]


async def test_a_refused_commit_is_not_remembered_and_takes_the_right_to_commit_and_to_cut():
    reader = FakeReader()
    lane = await built(reader)
    reader.verdict = "refused"
    assert not await lane.commit()
    assert engine_of(lane).committed_points == []
    assert lane.fence is None
    reader.verdict = "accepted"
    assert not await lane.commit()
    assert len(reader.commits) == 1


async def test_a_refusal_of_the_former_membership_does_not_touch_the_next_one():
    reader = FakeReader()
    lane = await built(reader)
    reader.verdict = "refused"

    def rebuilt() -> None:
        lane.fence = Fence(2, "member")

    reader.before_answer = rebuilt
    await lane.commit()
    assert lane.fence == Fence(2, "member")


async def test_a_commit_nobody_knows_about_keeps_the_fence_and_is_offered_again():
    reader = FakeReader()
    lane = await built(reader)
    reader.verdict = "unknown"
    assert not await lane.commit()
    assert engine_of(lane).committed_points == []
    assert lane.fence is not None
    reader.verdict = "accepted"
    assert await lane.commit()


async def test_counts_survive_the_engines_that_made_them():
    reader = FakeReader()
    lane = await built(reader)
    engine_of(lane).fold(batch(0, 5))
    await lane.rebuild()
    engine_of(lane).fold(batch(0, 5))
    assert lane.tallies() == {"counted": 10}


# ---- I5
IDLE = msgspec.structs.replace(OPTIONS, idle_after_s=10.0, session_timeout_s=6.0, lateness_s=30.0)


async def test_idleness_is_claimed_only_after_an_accepted_commit_that_came_after_the_observation():
    reader = FakeReader()
    lane = await built(reader, options=IDLE)
    engine = engine_of(lane)
    first = batch(0, 5, append_ms=1_000_000)
    assert lane.admit(first) is engine
    engine.fold(first)
    engine.watermark = 995
    lane.clock.acked([ack(1100.0)], local_s=1100.0)
    reader.end = LogEnd(5, 1001.0)
    await lane.commit()
    reader.end = LogEnd(5, 1012.0)
    reader.verdict = "unknown"
    await lane.commit()
    assert engine.idle == []
    reader.verdict = "accepted"
    await lane.commit()
    assert engine.idle == [1006]


async def test_idleness_is_claimed_by_the_broker_s_clock_and_not_by_one_an_hour_ahead():
    t0 = 1_700_000_000.0
    reader = FakeReader()
    lane = await built(reader, options=IDLE)
    engine = engine_of(lane)
    engine.watermark = -(1 << 60)
    for end in (LogEnd(0, t0 + 3601), LogEnd(0, t0 + 3612)):
        reader.end = end
        await lane.commit()
    assert engine.idle == []  # no ack yet
    lane.clock.acked([ack(t0 + 12)], local_s=t0 + 3612.5)
    await lane.commit()
    assert engine.idle == [int(t0) + 5]


async def test_a_source_with_records_to_come_or_to_be_acked_is_not_idle():
    reader = FakeReader()
    lane = await built(reader, options=IDLE)
    engine = engine_of(lane)
    for end, caught_up in ((LogEnd(5, 1000.0), True), (LogEnd(0, 1011.0), False), (LogEnd(0, 1012.0), True)):
        reader.end, engine.caught_up = end, caught_up
        await lane.commit()
    assert engine.idle == []


async def two_sources() -> tuple[FakeReader, Lane, Counting, Counting]:
    reader = FakeReader()
    other = TopicPartition("t", 1)
    reader.owned.add(other)
    reader.points[other] = Committed(None, 0, 1000)
    lane = await built(reader, options=IDLE)
    heard, never = lane.engines["t-0"], lane.engines["t-1"]
    assert isinstance(heard, Counting)
    assert isinstance(never, Counting)
    return reader, lane, heard, never


async def test_a_source_without_any_event_follows_a_neighbour_that_is_idle():
    reader, lane, heard, never = await two_sources()
    heard.watermark, heard.appended_s, never.watermark = 995, 1000, -(1 << 60)
    lane.clock.acked([ack(1100.0)], local_s=1100.0)
    for end in (LogEnd(0, 1001.0), LogEnd(0, 1012.0)):
        reader.end = end
        await lane.commit()
    assert (heard.idle, never.idle) == ([1006], [995])  # what the neighbour was ten seconds ago
    reader.end = LogEnd(0, 1023.0)
    await lane.commit()
    assert (heard.idle[-1], never.idle[-1]) == (1017, 1006)


async def test_before_the_first_event_anywhere_nothing_is_called_idle():
    reader = FakeReader()
    lane = await built(reader, options=IDLE)
    engine = engine_of(lane)
    engine.watermark = -(1 << 60)
    lane.clock.acked([ack(1100.0)], local_s=1100.0)
    for ends, idle in (({TP: 0}, []), ({TP: 3, OTHER: 3}, []), ({TP: 0, OTHER: 3}, [1017])):
        reader.ends = ends
        for seen_s in (1001.0, 1012.0, 1023.0):
            reader.end = LogEnd(0, seen_s)
            await lane.commit()
        assert engine.idle[-1:] == idle


async def test_a_source_without_any_event_does_not_run_ahead_with_a_log_that_is_being_filled():
    reader, lane, heard, never = await two_sources()
    heard.watermark, never.watermark = -(1 << 60), -(1 << 60)
    lane.clock.acked([ack(1100.0)], local_s=1100.0)
    reader.ends = {}
    for seen_s, watermark in ((1001.0, None), (1012.0, 100), (1013.0, 5000), (1021.0, 9000)):
        heard.watermark = heard.watermark if watermark is None else watermark
        reader.end = LogEnd(0, seen_s)
        await lane.commit()
    assert never.idle == []  # it may still get events as old as the first ones
    reader.end = LogEnd(0, 1022.5)
    await lane.commit()
    assert never.idle == [100]


# ---- what is folded and not acked is bounded
async def test_folding_waits_when_too_much_is_not_acked_and_goes_on_with_the_acks():
    lane = await built(FakeReader(), options=msgspec.structs.replace(OPTIONS, max_unflushed_records=10))
    assert lane.admit(batch(0, 10)) is not None
    assert lane.unflushed == 10
    waiting = asyncio.ensure_future(lane.room())
    await asyncio.sleep(0)
    lane.cut()
    await asyncio.sleep(0)
    assert not waiting.done()
    lane.acked()
    await asyncio.wait_for(waiting, 1)
    assert lane.unflushed == 0
    assert lane.waited_s > 0


async def test_a_rebuild_makes_room_since_what_was_folded_is_forgotten():
    lane = await built(FakeReader(), options=msgspec.structs.replace(OPTIONS, max_unflushed_records=10))
    lane.admit(batch(0, 10))
    waiting = asyncio.ensure_future(lane.room())
    await asyncio.sleep(0)
    await lane.rebuild()
    await asyncio.wait_for(waiting, 1)


async def test_a_flush_makes_room():
    lane = await built(FakeReader())
    lane.admit(batch(0, 10))

    async def send(records: Iterable[Record]) -> "list[asyncio.Future[Any]]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return [future]

    await Pump(lane, send, 0.1, ended).flush()
    assert lane.unflushed == 0


# ---- how far behind, and recovered
async def test_lag_in_seconds_is_the_age_of_what_was_folded_last_where_there_is_lag():
    reader = FakeReader()
    lane = await built(reader)
    reader.end = LogEnd(100, 50.0)
    lane.admit(batch(0, 40, append_ms=20_000))
    engine_of(lane).fold(batch(0, 40))
    assert lane.lag_seconds(50.0) == {"t-0": 30.0}
    engine_of(lane).fold(batch(40, 60))
    assert lane.lag_seconds(50.0) == {"t-0": 0.0}
    assert lane.fetched_s() == 50.0


async def test_recovery_lasts_until_every_engine_has_read_again_what_was_done():
    lane = await built(FakeReader())
    engine_of(lane).recovered = False  # type: ignore[attr-defined]  # the stand-in gets what engines have
    await lane.commit()
    stands = [(lane.recovered, lane.recovery_s > 0)]
    engine_of(lane).recovered = True  # type: ignore[attr-defined]
    await lane.commit()
    assert [*stands, (lane.recovered, lane.recovery_s > 0)] == [(False, False), (True, True)]
