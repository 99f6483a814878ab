import pytest

from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.subscriber import Subscriber
from app.sim.evidence_producer import DeliveryError, EvidenceProducer
from app.sim.outbox import Message

TOPICS = {"responses": "llm.responses", "feedback": "llm.feedback"}


@pytest.fixture(scope="module")
def written():
    with MockCluster(TOPICS.values()) as cluster:
        connection = {"bootstrap.servers": cluster.bootstrap_servers}
        producer = EvidenceProducer(connection, TOPICS)
        for k in range(40):
            producer.send(Message("responses", f"k{k}".encode(), f"v{k}".encode(), copies=2 if k == 7 else 1))
        producer.send(Message("feedback", b"k", b"score"))
        producer.flush()
        with Subscriber(connection, TOPICS.values()) as reader:
            yield producer, list(reader.until_now(timeout_s=10))


def test_everything_sent_is_delivered_and_counted(written):
    producer, seen = written
    assert producer.sent == {"responses": 41, "feedback": 1}
    assert producer.delivered == 42 == len(seen)


def test_consecutive_messages_go_to_different_partitions_so_no_clock_stands_still(written):
    _, seen = written
    by_partition = [sum(s.topic == "llm.responses" and s.partition == p for s in seen) for p in range(4)]
    assert min(by_partition) >= 10


def test_a_duplicate_lies_behind_its_original_in_the_same_partition(written):
    _, seen = written
    first, second = (s for s in seen if s.value == b"v7")
    assert (first.partition, first.offset + 1) == (second.partition, second.offset)


def test_events_say_that_they_are_structured_cloud_events(written):
    _, seen = written
    assert {dict(s.headers)["content-type"].split(b";")[0] for s in seen} == {b"application/cloudevents+json"}


def test_an_event_the_broker_does_not_take_is_an_error_that_names_its_size():
    with MockCluster(TOPICS.values()) as cluster:
        producer = EvidenceProducer({"bootstrap.servers": cluster.bootstrap_servers}, TOPICS)
        with pytest.raises(DeliveryError, match="2000000 bytes"):
            producer.send(Message("responses", b"k", b"x" * 2_000_000))


def test_a_broker_that_is_gone_is_an_error_after_a_bounded_wait():
    with MockCluster(TOPICS.values()) as cluster:
        connection = {"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0}
        producer = EvidenceProducer(connection, TOPICS, timeout_s=0.3)
    producer.send(Message("responses", b"k", b"v"))
    with pytest.raises(DeliveryError, match=r"is the broker up|timed out"):
        producer.flush()
