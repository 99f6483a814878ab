"""Read topics from outside, with another client library than the product's lane."""

from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

IDLE_S = 0.2


class Message(msgspec.Struct, frozen=True):
    """One record as it lies in the log."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    append_ms: int = 0


class Follower:
    """Reads all partitions of a topic from the start; ``new`` gives what has come since the last call."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": address, "group.id": "e2e-reader", "enable.auto.commit": False, "log_level": 2,
             "enable.partition.eof": True}
        )  # fmt: skip
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._count = len(partitions)
        self._ended: set[int] = set()
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])

    def new(self) -> Iterator[Message]:
        """Everything up to the present end of every partition."""
        while True:
            messages = self._consumer.consume(10_000, IDLE_S)
            for message in messages:
                error = message.error()
                if error is None:
                    self._ended.discard(message.partition())
                    yield _message(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._ended.add(int(message.partition() or 0))
            if not messages and len(self._ended) == self._count:
                return

    def close(self) -> None:
        self._consumer.close()


def read(address: str, topic: str) -> list[Message]:
    """The whole topic, in offset order per partition."""
    follower = Follower(address, topic)
    try:
        return list(follower.new())
    finally:
        follower.close()


def _message(message: Any) -> Message:
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    return Message(
        message.partition(), message.offset(), message.key(), message.value() or b"", headers, message.timestamp()[1]
    )
