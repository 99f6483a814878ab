"""librdkafka's mock cluster: a broker inside the process, for the demo and for tests that need no JVM.

Limits: no CreateTopics (a topic is made by touching it, with ``partitions`` partitions), CreateTime only, no
compaction, and only the newest 5 MB of a partition are kept - silently.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException, Producer

PARTITIONS = 4
READY_S = 10.0


class MockCluster:
    """``with MockCluster(topics) as cluster:`` gives ``cluster.bootstrap_servers``; the cluster ends with the block."""

    def __init__(self, topics: Iterable[str] = (), *, partitions: int = PARTITIONS, brokers: int = 1) -> None:
        self.partitions = partitions
        self._topics = tuple(topics)
        self._producer = Producer(
            {
                "bootstrap.servers": "mock",  # replaced by the mock cluster's own address
                "test.mock.num.brokers": brokers,
                "log_level": 3,
            }
        )
        self.bootstrap_servers = self._address()

    def __enter__(self) -> Self:
        self.touch(*self._topics)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def touch(self, *topics: str) -> None:
        """Make ``topics`` by asking for their metadata; each gets the cluster's default of 4 partitions."""
        for topic in topics:
            found = self._producer.list_topics(topic, READY_S).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)

    def close(self) -> None:
        """Stop the brokers."""
        self._producer.flush(1)
        del self._producer

    def _address(self) -> str:
        brokers = self._producer.list_topics(timeout=READY_S).brokers.values()
        return ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
