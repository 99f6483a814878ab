"""Load a changelog to its end: what the engines wrote, latest value per key (rule O6)."""

from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

Rows = Mapping[bytes, bytes]
"""Latest value per key of one changelog partition."""

POLL_MS = 200


async def load_rows(
    connection: Mapping[str, Any], topics: Collection[str], partitions: Collection[int]
) -> dict[str, dict[int, Rows]]:
    """``{topic: {partition: rows}}`` of ``topics``, read by a consumer without a group from the log start to its end.

    ``connection`` holds aiokafka's keyword arguments. The end is what ListOffsets says after the committed offset was
    read, so every row acked before that commit is in it. Raises ``KafkaError``; retriable ones should be tried again.
    """
    rows: dict[str, dict[int, dict[bytes, bytes]]] = {t: {p: {} for p in partitions} for t in topics}
    wanted = [TopicPartition(t, p) for t in topics for p in partitions]
    if not wanted:
        return {t: dict(by) for t, by in rows.items()}
    consumer = AIOKafkaConsumer(group_id=None, auto_offset_reset="earliest", enable_auto_commit=False, **connection)
    await consumer.start()
    try:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        starts = await consumer.beginning_offsets(wanted)
        for tp in wanted:
            consumer.seek(tp, starts[tp])
        left = {tp for tp in wanted if starts[tp] < ends[tp]}
        while left:
            for tp, records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
                _apply(rows[tp.topic][tp.partition], records)
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()
    return {t: dict(by) for t, by in rows.items()}


def _apply(rows: dict[bytes, bytes], records: Any) -> None:
    for record in records:
        if record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = record.value
