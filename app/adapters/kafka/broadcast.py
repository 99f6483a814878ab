"""Read a whole topic in every process, without a group: for what each must know, like the kill switch."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from app.core.batch import Batch

log = logging.getLogger(__name__)

POLL_MS = 500
PAUSE_S = 1.0
MAX_RECORDS = 5_000


class Broadcast(msgspec.Struct, frozen=True):
    """``fold`` gets every batch, in offset order per partition; ``complete`` is called once, when the end of every
    partition as of the start has been folded.
    """

    topic: str
    fold: Callable[[Batch], None]
    complete: Callable[[], None]


async def follow(connection: Mapping[str, Any], broadcast: Broadcast) -> None:
    """Read until cancelled. A broker that is away is waited for; the position is kept, nothing is folded twice."""
    consumer = AIOKafkaConsumer(group_id=None, auto_offset_reset="earliest", enable_auto_commit=False, **connection)
    await consumer.start()
    try:
        await _follow(consumer, broadcast)
    finally:
        await consumer.stop()


async def _follow(consumer: Any, broadcast: Broadcast) -> None:
    partitions = [TopicPartition(broadcast.topic, p) for p in sorted(await _partitions(consumer, broadcast.topic))]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    await consumer.seek_to_beginning(*partitions)
    behind = set(partitions)
    complete = False
    while True:
        try:
            fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS)
            for tp, records in fetched.items():
                broadcast.fold(_batch(tp, records))
            behind = {tp for tp in behind if await consumer.position(tp) < ends[tp]}
        except KafkaError as error:
            if not error.retriable:
                raise
            log.warning("reading %s: %r, again in %g s", broadcast.topic, error, PAUSE_S)
            await asyncio.sleep(PAUSE_S)
        if not behind and not complete:
            complete = True
            broadcast.complete()


async def _partitions(consumer: Any, topic: str) -> set[int]:
    # a consumer that subscribes to nothing keeps no metadata of its own: ask the cluster
    cluster = await consumer._client.fetch_all_metadata()
    found: set[int] | None = cluster.partitions_for_topic(topic)
    if not found:
        raise LookupError(f"topic {topic} does not exist: make it with `llm-optimizer topics apply`")
    return found


def _batch(tp: TopicPartition, records: Sequence[Any]) -> Batch:
    return Batch(
        f"{tp.topic}-{tp.partition}",
        [record.value for record in records],
        [record.offset for record in records],
        start=records[0].offset,
        end=records[-1].offset + 1,
        segments=[(record.offset + 1, record.timestamp) for record in records],
        keys=[record.key for record in records],
        headers=[tuple((name, value or b"") for name, value in record.headers) for record in records],
    )
