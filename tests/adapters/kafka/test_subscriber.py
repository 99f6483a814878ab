import pytest
from confluent_kafka import Producer

from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.subscriber import SubscribeError, Subscriber


@pytest.fixture(scope="module")
def cluster():
    with MockCluster(["decisions", "empty", "tailed"]) as running:
        yield running


def write(cluster, topic, values, key=None, partition=-1, headers=()):
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for value in values:
        producer.produce(topic, value=value, key=key, partition=partition, headers=list(headers))
    assert producer.flush(10) == 0


def test_it_reads_every_partition_from_the_beginning_to_the_present_end_and_stops(cluster):
    headers = [("ce_type", b"t"), ("ce_id", b"i"), ("ce_time", b"2026-01-01T00:00:00Z")]
    for partition in range(3):
        write(cluster, "decisions", [b"a", b"b"], key=b"chat", partition=partition, headers=headers)
    with Subscriber({"bootstrap.servers": cluster.bootstrap_servers}, ["decisions", "empty"]) as reader:
        seen = list(reader.until_now(timeout_s=10))
    assert sorted((s.partition, s.offset, s.value) for s in seen) == [
        (p, k, v) for p in range(3) for k, v in enumerate([b"a", b"b"])
    ]
    assert {(s.key, s.type, s.id, s.time) for s in seen} == {("chat", "t", "i", "2026-01-01T00:00:00Z")}


def test_after_the_end_it_gets_what_comes_later(cluster):
    with Subscriber({"bootstrap.servers": cluster.bootstrap_servers}, ["empty"]) as reader:
        assert list(reader.until_now(timeout_s=10)) == []
        write(cluster, "empty", [b"late"])
        (seen,) = reader.poll(timeout_s=10)
    assert (seen.value, seen.type, seen.key) == (b"late", "", "")


def test_a_tail_reads_only_the_newest_records_of_each_partition(cluster):
    write(cluster, "tailed", [b"1", b"2", b"3"], partition=0)
    write(cluster, "tailed", [b"4"], partition=1)
    with Subscriber({"bootstrap.servers": cluster.bootstrap_servers}, ["tailed"], tail=2) as reader:
        assert sorted(s.value for s in reader.until_now(timeout_s=10)) == [b"2", b"3", b"4"]


def test_an_address_without_a_broker_is_an_error_that_names_the_setting(monkeypatch):
    monkeypatch.setattr("app.adapters.kafka.subscriber.METADATA_TIMEOUT_S", 0.2)
    with pytest.raises(SubscribeError, match=r"kafka\.bootstrap_servers"):
        Subscriber({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, ["decisions"])
