"""The reader of the suite sees everything that was there when it was asked, and comes back although more arrives."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.e2e.harness.broker import Broker
from tests.e2e.harness.topic import Follower, Message, read
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e
PARTITIONS = 4


@pytest.fixture
def topic(kafka: Broker) -> str:
    name = f"follower-{time.time_ns()}"
    admin = AdminClient({"bootstrap.servers": kafka.address})
    if kafka.real:
        for made in admin.create_topics([NewTopic(name, PARTITIONS, -1)]).values():
            made.result(30)
    else:
        admin.list_topics(name, 10)
    return name


@pytest.fixture
def traffic(kafka: Broker, topic: str) -> Iterator[None]:
    """A record each few milliseconds, without end."""
    stop, producer = threading.Event(), Producer({"bootstrap.servers": kafka.address, "linger.ms": 0})

    def run() -> None:
        for n in itertools.count():
            producer.produce(topic, b"x", partition=n % PARTITIONS)
            producer.poll(0)
            if stop.wait(0.005):
                break
        producer.flush(30)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def _send(kafka: Broker, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.address})
    for n in range(count):
        producer.produce(topic, b"%d" % n, partition=n % PARTITIONS)
    assert producer.flush(30) == 0


@pytest.mark.usefixtures("traffic")
def test_it_comes_back_while_more_arrives(kafka: Broker, topic: str):
    follower, seen = Follower(kafka.address, topic), 0
    for _ in range(3):
        _send(kafka, topic, 40)
        seen += sum(message.value != b"x" for message in follower.new())
    follower.close()
    assert seen == 120


def test_each_look_has_all_that_came_before_it(kafka: Broker, topic: str):
    follower = Follower(kafka.address, topic)
    for count in (7, 0, 400, 1):
        _send(kafka, topic, count)
        assert len(list(follower.new())) == count
    follower.close()


def test_a_client_that_has_forgotten_the_topic_is_replaced(kafka: Broker, topic: str, monkeypatch: pytest.MonkeyPatch):
    class Forgetful:
        def get_watermark_offsets(self, *_: object) -> None:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))

        def close(self) -> None: ...

    follower = Follower(kafka.address, topic)
    _send(kafka, topic, 5)
    monkeypatch.setattr(follower, "_asked", Forgetful())
    assert len(list(follower.new())) == 5
    follower.close()


def test_what_is_rolled_back_at_the_end_is_passed(kafka: Broker, topic: str):
    if not kafka.real:
        pytest.skip("the mock cluster has no transactions")
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topic})
    producer.init_transactions(30)
    follower, found, total = Follower(kafka.address, topic), list[Message](), 0

    def all_found() -> bool:
        found.extend(follower.new())
        return len(found) >= total

    for back in (False, True, True, False, True):
        producer.begin_transaction()
        for n in range(8):
            producer.produce(topic, b"%d" % n, partition=n % PARTITIONS)
        (producer.abort_transaction if back else producer.commit_transaction)(30)
        total += 0 if back else 8
        until(all_found, 120, "what was committed is not seen")  # the broker says so before its marks are written
        assert len(found) == total
    follower.close()
    assert len(read(kafka.address, topic)) == total
