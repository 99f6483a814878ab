"""Rules L6 and L7: only the member and generation under which engines were built may commit for them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from app.adapters.kafka import fence as module
from app.adapters.kafka.fence import Fence, commit_once, restart_points
from app.core.ports import Point

TP, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)
POINTS = {TP: Point(7, "meta")}


class Coordinator:
    """aiokafka's group coordinator, as far as commits touch it."""

    def __init__(self) -> None:
        self.generation, self.member_id = 4, "m-1"
        self._commit_lock = asyncio.Lock()
        self.sent: list[tuple[int, str, dict[TopicPartition, OffsetAndMetadata]]] = []
        self.fails: Exception | None = None
        self.on_known: Callable[[], None] = lambda: None
        self.known = asyncio.Event()
        self.known.set()
        self.stored: dict[TopicPartition, OffsetAndMetadata] = {}
        self.on_fetch: Callable[[], None] = lambda: None

    async def ensure_coordinator_known(self) -> None:
        await self.known.wait()
        self.on_known()

    async def _do_commit_offsets(self, assignment: object, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        self.sent.append((self.generation, self.member_id, offsets))
        if self.fails:
            raise self.fails

    async def fetch_committed_offsets(self, wanted: object) -> dict[TopicPartition, OffsetAndMetadata]:
        self.on_fetch()
        return self.stored


class Consumer:
    def __init__(self) -> None:
        self._coordinator = Coordinator()
        self._subscription: Any = self
        self.subscription: Any = self

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    async def beginning_offsets(self, wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(wanted, 3)

    async def end_offsets(self, wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(wanted, 9)


async def test_a_commit_carries_offset_and_metadata_under_its_fence():
    consumer = Consumer()
    assert await commit_once(consumer, POINTS, Fence(4, "m-1")) == "accepted"
    assert consumer._coordinator.sent == [(4, "m-1", {TP: OffsetAndMetadata(7, "meta")})]


@pytest.mark.parametrize("fence", [Fence(3, "m-1"), Fence(4, "m-0"), Fence(-1, ""), Fence(4, "")])
async def test_a_commit_under_another_membership_is_refused_before_it_is_sent(fence: Fence):
    consumer = Consumer()
    assert await commit_once(consumer, POINTS, fence) == "refused"
    assert consumer._coordinator.sent == []


async def test_a_generation_that_changes_while_the_commit_waits_for_the_lock_refuses_it():
    consumer = Consumer()
    coordinator = consumer._coordinator
    async with coordinator._commit_lock:
        waiting = asyncio.ensure_future(commit_once(consumer, POINTS, Fence(4, "m-1")))
        await asyncio.sleep(0)
        coordinator.generation = 5
    assert await waiting == "refused"
    assert coordinator.sent == []


async def test_a_reset_while_the_coordinator_is_looked_up_refuses_the_commit():
    consumer = Consumer()
    coordinator = consumer._coordinator

    def reset() -> None:
        coordinator.generation, coordinator.member_id = -1, ""

    coordinator.on_known = reset
    assert await commit_once(consumer, POINTS, Fence(4, "m-1")) == "refused"
    assert coordinator.sent == []


@pytest.mark.parametrize("error", [IllegalGenerationError, UnknownMemberIdError, RebalanceInProgressError])
async def test_what_the_broker_refuses_is_refused_and_not_tried_again(error: type[Exception]):
    consumer = Consumer()
    consumer._coordinator.fails = error()
    assert await commit_once(consumer, POINTS, Fence(4, "m-1")) == "refused"
    assert len(consumer._coordinator.sent) == 1


async def test_a_passing_failure_is_unknown_and_not_tried_again():
    consumer = Consumer()
    consumer._coordinator.fails = GroupCoordinatorNotAvailableError()
    assert await commit_once(consumer, POINTS, Fence(4, "m-1")) == "unknown"
    assert len(consumer._coordinator.sent) == 1


async def test_a_broker_that_is_away_does_not_hold_the_commit_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "COORDINATOR_S", 0.01)
    consumer = Consumer()
    consumer._coordinator.known.clear()
    assert await commit_once(consumer, POINTS, Fence(4, "m-1")) == "unknown"


async def test_a_commit_that_can_never_succeed_is_an_error():
    consumer = Consumer()
    consumer._coordinator.fails = OffsetMetadataTooLargeError()
    with pytest.raises(OffsetMetadataTooLargeError):
        await commit_once(consumer, POINTS, Fence(4, "m-1"))


async def test_points_of_partitions_that_were_lost_are_not_committed():
    consumer = Consumer()
    assert await commit_once(consumer, {OTHER: Point(1, "")}, Fence(4, "m-1")) == "refused"
    assert consumer._coordinator.sent == []


async def test_the_fence_is_read_before_the_committed_offsets():
    consumer = Consumer()
    coordinator = consumer._coordinator

    def rebalance() -> None:
        coordinator.generation = 5

    coordinator.on_fetch = rebalance
    fence, _ = await restart_points(consumer, [TP])
    assert fence == Fence(4, "m-1")
    assert await commit_once(consumer, POINTS, fence) == "refused"


async def test_restart_points_tell_never_committed_from_committed_and_what_is_left_of_the_log():
    consumer = Consumer()
    consumer._coordinator.stored = {TP: OffsetAndMetadata(2, "x")}
    _, found = await restart_points(consumer, [TP, OTHER])
    assert found[TP].point == Point(2, "x")
    assert found[TP].lost == 1
    assert found[OTHER].point is None
    assert (found[OTHER].log_start, found[OTHER].log_end, found[OTHER].lost) == (3, 9, 0)
