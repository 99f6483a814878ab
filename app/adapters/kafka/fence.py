"""Commits that only the owner of a generation can make (rules L3, L6, L7). Runs in the consumer thread's loop."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from aiokafka.errors import (
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from app.core.ports import Point

Verdict = Literal["accepted", "refused", "unknown"]
"""Of a commit: the broker has it; the group has moved on; nobody knows (the broker is away), ask again later."""

COORDINATOR_S = 5.0


class Fence(msgspec.Struct, frozen=True):
    """The membership under which engines were built; a commit under any other is refused here, before it is sent."""

    generation: int
    member: str

    @property
    def valid(self) -> bool:
        return self.generation >= 0 and bool(self.member)


class Committed(msgspec.Struct, frozen=True):
    """Where one partition starts: its committed point (None: never committed), and what the log still holds."""

    point: Point | None
    log_start: int
    log_end: int

    @property
    def lost(self) -> int:
        """Records between the commit point and the log start that retention deleted before they were read."""
        return max(0, self.log_start - self.point.offset) if self.point is not None else 0


def fence_of(coordinator: Any) -> Fence:
    """The membership as of now."""
    return Fence(coordinator.generation, coordinator.member_id)


async def restart_points(
    consumer: Any, partitions: Iterable[TopicPartition]
) -> tuple[Fence, dict[TopicPartition, Committed]]:
    """The fence, read first (rule L6), then what the group has committed for ``partitions``.

    Raises ``KafkaError``: retriable ones should be tried again.
    """
    coordinator = consumer._coordinator
    fence = fence_of(coordinator)
    wanted = list(partitions)
    offsets = await coordinator.fetch_committed_offsets(wanted)
    starts = await consumer.beginning_offsets(wanted)
    ends = await consumer.end_offsets(wanted)
    return fence, {tp: Committed(_point(offsets.get(tp)), starts[tp], ends[tp]) for tp in wanted}


def _point(committed: OffsetAndMetadata | None) -> Point | None:
    if committed is None or committed.offset < 0:
        return None
    return Point(committed.offset, committed.metadata or "")


async def commit_once(consumer: Any, points: Mapping[TopicPartition, Point], fence: Fence) -> Verdict:
    """One attempt to commit ``points`` under ``fence``.

    aiokafka's own ``commit`` retries under whatever generation it has by then, or with (-1, "") after a reset, which a
    broker accepts for an empty group. Here the membership is compared under the commit lock and nothing is retried.
    Raises the ``KafkaError`` that no retry can mend (metadata too large, not authorised).
    """
    coordinator = consumer._coordinator
    owned = consumer.assignment()
    offsets = {tp: OffsetAndMetadata(p.offset, p.metadata) for tp, p in points.items() if tp in owned}
    if not offsets or not fence.valid:
        return "refused"
    try:
        await asyncio.wait_for(coordinator.ensure_coordinator_known(), COORDINATOR_S)
        async with coordinator._commit_lock:
            subscription = consumer._subscription.subscription
            if fence_of(coordinator) != fence or subscription is None or subscription.assignment is None:
                return "refused"
            await coordinator._do_commit_offsets(subscription.assignment, offsets)
    except (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError):
        return "refused"
    except TimeoutError:
        return "unknown"
    except KafkaError as error:
        if not error.retriable:
            raise
        return "unknown"
    return "accepted"
