"""Sends simulated telemetry to Kafka, spread over the partitions in turn so that no partition's clock stands still.

Idempotent, acks=all. A delivery that fails is kept as the reason and raised by the next call: the exactness of a run
is worth nothing when an event was lost on the way in.
"""

from collections.abc import Mapping
from typing import Any

from app.adapters.kafka.subscriber import QUIET
from app.sim.outbox import Message
from app.sim.telemetry import CONTENT_TYPE


class DeliveryError(RuntimeError):
    """An event could not be written to Kafka."""


class EvidenceProducer:
    """Writes messages to the topic of their role. ``topics`` maps role -> topic name."""

    def __init__(self, configuration: Mapping[str, Any], topics: Mapping[str, str], *, timeout_s: float = 30.0) -> None:
        from confluent_kafka import KafkaException, Producer

        self._refused = KafkaException
        timeout_ms = int(timeout_s * 1000)
        own = {"enable.idempotence": True, "linger.ms": 5, "delivery.timeout.ms": timeout_ms, "log_level": QUIET}
        self._producer = Producer({**own, **configuration})
        self._topics = dict(topics)
        self._timeout_s = timeout_s
        self._partitions = {role: self._partition_count(topic) for role, topic in self._topics.items()}
        self._turn = dict.fromkeys(self._topics, 0)
        self._failure: str = ""
        self.sent = dict.fromkeys(self._topics, 0)
        self.delivered = 0

    def send(self, message: Message) -> None:
        """Queue ``message`` (its copies go to one partition, one behind the other)."""
        role = message.role
        partition = self._turn[role] = (self._turn[role] + 1) % self._partitions[role]
        for _ in range(message.copies):
            self._produce(self._topics[role], message, partition)
            self.sent[role] += 1

    def flush(self) -> None:
        """Wait until everything sent is acknowledged; ``DeliveryError`` when something is not in time."""
        left = self._producer.flush(self._timeout_s)
        self._raise_failure()
        if left:
            raise DeliveryError(f"{left} events not acknowledged within {self._timeout_s:.0f} s: is the broker up?")

    def _produce(self, topic: str, message: Message, partition: int) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value=message.value,
                    key=message.key,
                    partition=partition,
                    headers=[CONTENT_TYPE],
                    on_delivery=self._delivered,
                )
            except BufferError:  # the queue is full: give it time to drain, the callback reports what does not
                self._producer.poll(0.1)
                self._raise_failure()
            except self._refused as error:
                raise DeliveryError(f"{topic} does not take an event of {len(message.value)} bytes: {error}") from error
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._failure = f"{message.topic()}-{message.partition()}: {error}"

    def _raise_failure(self) -> None:
        if self._failure:
            raise DeliveryError(f"an event was not written to {self._failure}")

    def _partition_count(self, topic: str) -> int:
        listed = self._producer.list_topics(topic, self._timeout_s).topics[topic]
        if listed.error is not None or not listed.partitions:
            raise DeliveryError(f"topic {topic} cannot be written: {listed.error or 'it has no partitions'}")
        return len(listed.partitions)
