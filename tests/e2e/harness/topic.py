"""Read topics from outside, with another client library than the product's lane."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from tests.e2e.harness.waits import TooSlow

IDLE_S = 0.2
ANSWER_S = 20.0
LONGEST_S = 300.0


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
        self._client = {
            "bootstrap.servers": address, "group.id": "e2e-reader", "enable.auto.commit": False, "log_level": 2,
        }  # fmt: skip
        self._consumer = Consumer({**self._client, "enable.partition.eof": True})
        # answers of a broker come in order: behind a fetch that waits they are late
        self._asked = Consumer(self._client)
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        self._at = {TopicPartition(topic, p): 0 for p in partitions}
        self._places = {p.partition: p for p in self._at}
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])

    def new(self) -> Iterator[Message]:
        """Everything up to the end that every partition has now, also while more comes."""
        ends = {place: self._end(place) for place in self._at}
        deadline = time.monotonic() + LONGEST_S
        while any(self._at[place] < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise TooSlow(f"{self._at} instead of {ends} after {LONGEST_S:.0f} s")
            for message in self._consumer.consume(10_000, IDLE_S):
                error, place = message.error(), self._places[message.partition() or 0]
                if error is None:
                    self._at[place] = int(message.offset() or 0) + 1
                    yield _message(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # what lies before may be rolled back, or a marker
                    self._at[place] = max(self._at[place], int(message.offset() or 0))

    def _end(self, place: TopicPartition) -> int:
        """Where a committed record written from now on would lie, at the earliest."""
        deadline = time.monotonic() + LONGEST_S
        while True:
            try:
                _, end = self._asked.get_watermark_offsets(place, ANSWER_S)
            except KafkaException:  # its leader is away, or the client has forgotten the topic, as old ones do
                if time.monotonic() > deadline:
                    raise
                time.sleep(IDLE_S)
                self._asked.close()
                self._asked = Consumer(self._client)
            else:
                return int(end)

    def close(self) -> None:
        self._consumer.close()
        self._asked.close()


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
