"""The ceiling of Python: librdkafka's consumer, msgspec, a dict. Keeps no state and commits nothing: not durable."""

from collections import defaultdict

import common
from common import IN_TOPIC, KAFKA, OUT_TOPIC, PARTITIONS, RUN_ID, SIZES_S, Progress, Sums, decode, second_of
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

consumer = Consumer(
    {
        "bootstrap.servers": KAFKA,
        "group.id": RUN_ID,
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 100,
        "max.partition.fetch.bytes": 4_000_000,
        "queued.min.messages": 200_000,
    }
)
consumer.assign([TopicPartition(IN_TOPIC, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
producer = Producer({"bootstrap.servers": KAFKA, "linger.ms": 20, "queue.buffering.max.messages": 2_000_000})
progress = Progress()


def empty() -> dict:
    return {size: defaultdict(lambda: defaultdict(Sums)) for size in SIZES_S}


panes = [empty() for _ in range(PARTITIONS)]  # partition -> size -> start -> (service, model) -> sums
watermark = [0] * PARTITIONS
due = [0] * PARTITIONS


def close(partition: int, until_s: int) -> None:
    for size, starts in panes[partition].items():
        for start in sorted(start for start in starts if start + size <= until_s):
            for (service, model), sums in starts.pop(start).items():
                producer.produce(OUT_TOPIC, sums.record(service, model, size, start), f"{service}|{model}")
                producer.poll(0)


while True:
    messages = consumer.consume(10_000, 0.2)
    if messages:
        progress.begin()
    for message in messages:
        event = decode(message.value())
        partition, second, answer = message.partition(), second_of(event.time), event.data
        if second > watermark[partition]:
            watermark[partition] = second
            if second - common.GRACE_S >= due[partition]:
                close(partition, second - common.GRACE_S)
                due[partition] = (second - common.GRACE_S) // 60 * 60 + 60
        key = (answer.service, answer.model)
        for size, starts in panes[partition].items():
            starts[second - second % size][key].add(answer)
    progress.seen(len(messages))
    producer.poll(0)
