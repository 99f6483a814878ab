"""The lane under Faust: its consumer thread, consumer, producer and transport. One Faust message is one ``Batch``.

Faust keeps membership, assignment, rebalance callbacks and flow control. Its ack list, its recovery and its read
offsets are switched off here: the engines own positions and commit points.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import conn
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.structs import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from app.adapters.kafka import record_batches
from app.adapters.kafka.admit import ReadOffsets
from app.adapters.kafka.drain import drain
from app.adapters.kafka.fence import Committed, Fence, Verdict, commit_once, restart_points
from app.adapters.kafka.idleness import LogEnd
from app.adapters.kafka.lane import Lane
from app.adapters.kafka.pace import keep_pace
from app.core.batch import Batch
from app.core.ports import Point

log = logging.getLogger(__name__)

LAST_COMMIT_S = 5.0
COORDINATOR_S = 1.0
FINAL = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""What joining again does not mend."""


class LaneThread(driver.AIOKafkaConsumerThread):
    """Fetches whole record batches."""

    app: Any

    def _create_worker_consumer(self, transport: Any) -> Any:
        options = self.app.lane.options
        # at aiokafka's 64 KiB the socket is paused and resumed again for every piece of a fetch
        conn.READER_LIMIT = max(conn.READER_LIMIT, 4 * options.fetch_max_partition_bytes)
        record_batches.install()
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = options.fetch_max_wait_ms  # rule L4: Faust hard-codes 1500 ms
        consumer._fetch_min_bytes = options.fetch_min_bytes
        consumer._isolation_level = "read_committed"  # what a producer rolled back is not evidence
        return consumer

    async def on_start(self) -> None:
        """The fetcher is made when the consumer starts, and fetches nothing before partitions are assigned."""
        await super().on_start()
        keep_pace(self._ensure_consumer()._fetcher, self.app.lane.options)

    @Service.task
    async def _join_again(self) -> None:
        """After an answer it does not expect (to a join, a sync, a heartbeat) aiokafka's coordinator stands still until
        somebody asks for the error, which only its own ``getmany`` does: the worker would be out of its group for good.
        """
        while not self.should_stop:
            await self.sleep(COORDINATOR_S)
            if self._consumer is None:
                continue
            coordinator = self._consumer._coordinator
            try:
                coordinator.check_errors()
            except FINAL:
                raise
            except KafkaError as error:
                log.warning("%s: the group answers %r; joining again", coordinator.group_id, error)
                coordinator.request_rejoin()

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Fetch nothing until the lane has sought every partition; changelogs are read elsewhere, so never."""
        consumer = self._ensure_consumer()
        consumer.pause(*(tp for tp in consumer.assignment()))
        await super().on_partitions_assigned(assigned, generation_id)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Collection[Any],
        timeout: float | None = None,  # noqa: ASYNC109  # the driver's own signature
        max_records: int | None = None,  # noqa: ARG002  # the lane bounds batches itself
    ) -> dict[Any, list[Any]]:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            deadline = time.monotonic() + (timeout or 0)
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    await _done(fetcher._subscriptions.wait_for_assignment())
                taken = self._drain(fetcher, active_partitions)
                left_s = deadline - time.monotonic()
                if taken or left_s <= 0 or not await _next_fetch(fetcher, left_s):
                    return taken

    def _drain(self, fetcher: Any, active: Collection[Any]) -> dict[Any, list[Any]]:
        """One batch of every partition that has something; an error is raised only when nothing else is at hand."""
        limit = self.app.lane.options.batch_records
        taken: dict[Any, list[Any]] = {}
        for tp in list(fetcher._records):
            if active and tp not in active:
                if not fetcher._subscriptions.is_assigned(tp):
                    del fetcher._records[tp]
                continue
            result = fetcher._records[tp]
            failed = type(result) is not FetchResult
            if failed and taken:
                return taken
            batch = None if failed else drain(result, limit)
            if failed or not result.has_more():
                del fetcher._records[tp]
                fetcher._notify(fetcher._wait_consume_future)
            if failed:
                result.check_raise()
            if batch is not None:
                taken[tp] = [batch]
        return taken


async def _next_fetch(fetcher: Any, within_s: float) -> bool:
    """Wait for the fetcher to have something; False when it did not, or was closed."""
    waiter = fetcher._create_fetch_waiter()
    if not await _done(waiter, within_s) or fetcher._closed:
        waiter.cancel()
        return False
    return True


async def _done(waiter: Any, within_s: float | None = None) -> bool:
    """Wait for ``waiter``; False when it took too long. An error of the coordinator is ``_join_again``'s."""
    done, _ = await asyncio.wait([waiter], timeout=within_s)
    for known in done:
        known.cancelled() or known.exception()  # asked for, so that asyncio does not say that nobody did
    return bool(done)


class LaneConsumer(driver.Consumer):
    """Hands Faust's callbacks to the lane (``app.lane``)."""

    app: Any
    lane: Lane

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lane = self.app.lane
        self.lane.reader = ThreadReader(self._thread, self.lane.topics)
        self._read_offset = ReadOffsets(self.lane.topics)

    def _new_consumer_thread(self) -> LaneThread:
        return LaneThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: Any, record: Any) -> Any:
        if type(record) is not Batch:
            return super()._to_message(tp, record)
        whole: Any = record
        return ConsumerMessage(
            tp.topic, tp.partition, record.end - 1, 0.0, 0, None, None, whole, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A batch covers many offsets; gaps mean nothing here."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock alarms count messages; the lane's own metrics say more."""

    async def perform_seek(self) -> None:
        """Faust: seek to the committed offsets. Here: rebuild the engines (rule L2)."""
        await self.lane.rebuild()

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002
        """Faust: commit what was acked by streams. Here: the engines' last fully acked points (rule L3)."""
        return await self.lane.commit()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """A last commit only shortens the re-read; exactness does not need it."""
        await asyncio.wait({asyncio.ensure_future(self.commit())}, timeout=LAST_COMMIT_S)
        self.lane.forget()
        await super().on_partitions_revoked(revoked)


class ThreadReader:
    """``app.adapters.kafka.lane.Reader``: the lane's questions, answered in the consumer thread's loop."""

    def __init__(self, thread: Any, topics: Collection[str]) -> None:
        self._thread = thread
        self._topics = topics

    def assigned(self) -> set[TopicPartition]:
        return {TopicPartition(tp.topic, tp.partition) for tp in self._thread.assignment()}

    def partition_counts(self) -> Mapping[str, int]:
        cluster = self._thread._ensure_consumer()._client.cluster
        counts = {topic: cluster.partitions_for_topic(topic) for topic in sorted(self._topics)}
        return {topic: len(found) for topic, found in counts.items() if found}

    def log_end(self, tp: TopicPartition) -> LogEnd | None:
        state = self._state(tp)
        if state is None or state.highwater is None or state.timestamp is None:
            return None
        return LogEnd(state.highwater, state.timestamp / 1000)

    def fetch_position(self, tp: TopicPartition) -> int | None:
        state = self._state(tp)
        return state.position if state is not None and state.has_valid_position else None

    def _state(self, tp: TopicPartition) -> Any:
        subscription = self._thread._ensure_consumer()._subscription.subscription
        if subscription is None or subscription.assignment is None or tp not in subscription.assignment.tps:
            return None
        return subscription.assignment.state_value(tp)

    async def restart_points(self, tps: Collection[TopicPartition]) -> tuple[Fence, Mapping[TopicPartition, Committed]]:
        consumer = self._thread._ensure_consumer()
        found: tuple[Fence, Mapping[TopicPartition, Committed]] = await self._call(restart_points, consumer, tps)
        return found

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        await self._call(_seek, self._thread._ensure_consumer(), positions)

    async def log_start(self, tp: TopicPartition) -> int:
        starts: Mapping[TopicPartition, int] = await self._call(_beginnings, self._thread._ensure_consumer(), tp)
        return starts[tp]

    async def log_ends(self, topics: Collection[str]) -> Mapping[TopicPartition, int]:
        consumer = self._thread._ensure_consumer()
        counts = self.partition_counts()
        tps = [TopicPartition(topic, n) for topic in sorted(topics) for n in range(counts.get(topic, 0))]
        ends: Mapping[TopicPartition, int] = await self._call(_ends, consumer, tps)
        return ends

    async def commit(self, points: Mapping[TopicPartition, Point], fence: Fence) -> Verdict:
        verdict: Verdict = await self._call(commit_once, self._thread._ensure_consumer(), points, fence)
        return verdict

    async def _call(self, function: Any, *args: Any) -> Any:
        return await self._thread.call_thread(function, *args)


async def _beginnings(consumer: Any, tp: TopicPartition) -> Mapping[TopicPartition, int]:
    starts: Mapping[TopicPartition, int] = await consumer.beginning_offsets([tp])
    return starts


async def _ends(consumer: Any, tps: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    ends: Mapping[TopicPartition, int] = await consumer.end_offsets(tps)
    return ends


def _seek(consumer: Any, positions: Mapping[TopicPartition, int]) -> None:
    owned = consumer.assignment()  # what was lost meanwhile comes with the next assignment
    for tp in owned & positions.keys():
        consumer.seek(tp, positions[tp])
        consumer.resume(tp)


class LaneProducer(driver.Producer):
    """Idempotent: no duplicate and no reordering within a partition (rule L5). Dead after an expired batch."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class LaneTransport(driver.Transport):
    """What ``faust.App`` builds its consumer and producer from."""

    Consumer = LaneConsumer
    Producer = LaneProducer
