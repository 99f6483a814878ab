"""Events over Kafka: an idempotent producer; the same key and id again when a delivery is not confirmed in time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llm_optimizer_client.events import Kind, Record
from llm_optimizer_client.journal import POLITE
from llm_optimizer_client.transport import Rejection, Sent

DELIVERY_S = 10.0
HEADERS = [("content-type", b"application/cloudevents+json")]
_LEAKED: list[Any] = []
"""Producers of a parent process: ending one in the child would wait for threads that do not exist there."""


class KafkaTransport:
    """``kafka``: host:port,... or a configuration of librdkafka. Mutable. RuntimeError: confluent-kafka is missing."""

    max_records = 2_000

    def __init__(
        self, kafka: str | Mapping[str, Any], topics: Mapping[Kind, str], *, delivery_s: float = DELIVERY_S
    ) -> None:
        try:
            from confluent_kafka import KafkaError, KafkaException, Producer
        except ImportError as error:
            raise RuntimeError("Kafka needs one more package: pip install 'llm-optimizer-client[kafka]'") from error
        self._make, self._error, self._exception = Producer, KafkaError, KafkaException
        given = {"bootstrap.servers": kafka} if isinstance(kafka, str) else dict(kafka)
        self._configuration = {
            "client.id": "llm-optimizer-client",
            "linger.ms": 5,
            "log_level": 2,
            "delivery.timeout.ms": int(delivery_s * 1000),
            **given,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # equal keys, equal partitions: a repeat is found where the first one lies
        }
        self._topics, self._delivery_s = dict(topics), delivery_s
        self._producer: Any = None
        self._hopeless = {
            KafkaError.MSG_SIZE_TOO_LARGE: "too_large",
            KafkaError.INVALID_MSG: "invalid_record",
            KafkaError.INVALID_RECORD: "invalid_record",
        }
        self._of_a_topic = {
            KafkaError.UNKNOWN_TOPIC_OR_PART,
            KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  # librdkafka's names for what it finds itself
            KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.TOPIC_EXCEPTION,
        }

    def send(self, records: list[Record]) -> Sent:
        """Produce them and wait for their confirmations, a little longer than ``delivery_s`` at most."""
        if self._producer is None:
            self._producer = self._make(self._configuration)
        outcomes: list[Any] = [None] * len(records)
        for index, record in enumerate(records):
            self._produce(record, index, outcomes)
            if index % POLITE == 0:
                time.sleep(0)
        deadline = time.monotonic() + self._delivery_s + 5.0
        while None in outcomes and time.monotonic() < deadline:
            self._producer.poll(0.1)
        if None in outcomes:
            self._producer.purge()
            self._producer.poll(1.0)
        return self._told(records, outcomes)

    def close(self) -> None:
        """Nothing is on its way between calls."""
        self._producer = None

    def after_fork(self) -> None:
        """The child gets a producer of its own."""
        _LEAKED.append(self._producer)
        self._producer = None

    def _produce(self, record: Record, index: int, outcomes: list[Any]) -> None:
        def delivered(error: Any, _message: Any) -> None:
            outcomes[index] = error or _OK

        deadline = time.monotonic() + self._delivery_s
        while True:
            try:
                self._producer.produce(
                    self._topics[record.kind],
                    key=record.key,
                    value=record.value,
                    headers=HEADERS,
                    on_delivery=delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.1)
                if time.monotonic() > deadline:
                    outcomes[index] = self._error(self._error._QUEUE_FULL)  # noqa: SLF001  # librdkafka's name for it
                    return
            except self._exception as error:
                outcomes[index] = error.args[0]
                return

    def _told(self, records: list[Record], outcomes: list[Any]) -> Sent:
        delivered, rejected, again, why, others_may_go = 0, [], [], "", False
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome is _OK:
                delivered += 1
            elif outcome is not None and (reason := self._hopeless.get(outcome.code())):
                rejected.append(Rejection(record, reason, outcome.str()))
            else:
                again.append(record)
                why = why or (outcome.str() if outcome is not None else "no confirmation in time")
                if outcome is None:
                    continue
                others_may_go |= outcome.code() in self._of_a_topic
                if outcome.fatal():
                    self._producer = None  # the idempotent producer has given up: a new one begins anew
        return Sent(delivered, rejected, again, error=why, others_may_go=others_may_go)


_OK = object()
