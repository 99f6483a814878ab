"""Records in transactions, of which some are rolled back: only the log says what became of them, and it is what counts.

Mutable: the producer, and whether a transaction is open.
"""

import random
import time
from collections.abc import Callable

from confluent_kafka import KafkaException, Producer

ROLLED_BACK = 0.3
SHORT_S, LONG_S = 0.5, 4.0
LONG = 0.1
"""Share of transactions that stay open long: nothing behind their first record can be read before they end."""
ANSWER_S = 20.0
LONGEST_S = 240.0
"""How long a broker that is away is asked again."""


class Transactions:
    """A transactional producer that outlasts whatever happens to the broker; one transaction is open at a time."""

    def __init__(self, servers: str, name: str, seed: int, codec: str = "none") -> None:
        self._rnd = random.Random(f"transactions-{seed}")
        self._settings = {
            "bootstrap.servers": servers, "transactional.id": name, "compression.type": codec, "linger.ms": 5,
            "topic.metadata.refresh.interval.ms": 1000, "log_level": 0,
        }  # fmt: skip
        self._producer: Producer | None = None
        self._open = self._begun = False
        self._ends = 0.0
        self.committed = self.rolled_back = 0

    def send(self, topic: str, value: bytes, partition: int) -> None:
        """Send one record, in a transaction that ends when it is old enough."""
        producer = self._producer or self._new()
        if producer is None:
            return
        if not self._open:
            self._begun = True
            self._open = _done(lambda _: producer.begin_transaction())
            self._ends = time.monotonic() + (LONG_S if self._rnd.random() < LONG else SHORT_S)
        sent = self._open and _done(lambda _: _produce(producer, topic, value, partition))
        if not sent or time.monotonic() > self._ends:
            self.end()

    def end(self) -> None:
        """End the transaction, if one is open. When nobody knows whether it ended, the next producer sees to it."""
        producer = self._producer
        if producer is None:
            return
        back = self._rnd.random() < ROLLED_BACK
        if self._open and _done(producer.abort_transaction if back else producer.commit_transaction):
            self.rolled_back += back
            self.committed += not back
        else:
            self._producer = None
        self._open = False

    def settle(self) -> None:
        """End what is open, for certain: one that nobody knows the end of would hide what lies behind it for a minute."""
        self.end()
        if self._begun and self._producer is None:
            self._new()

    def _new(self) -> Producer | None:
        """One of the same id: what the one before has left open is rolled back by this."""
        producer = Producer(self._settings)
        self._producer = producer if _done(producer.init_transactions) else None
        return self._producer


def _produce(producer: Producer, topic: str, value: bytes, partition: int) -> None:
    try:
        producer.produce(topic, value, partition=partition)
    except BufferError:
        producer.poll(1.0)
        producer.produce(topic, value, partition=partition)
    producer.poll(0)


def _done(call: Callable[[float], None]) -> bool:
    """Whether the broker took it; asked again for as long as that may help."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        try:
            call(ANSWER_S)
        except BufferError:
            return False
        except KafkaException as error:
            if not error.args[0].retriable():
                return False
        else:
            return True
    return False
