import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from app.adapters.codec import make_decode
from app.adapters.kafka.mock import MockCluster
from app.core.commands import About, Command, parse
from app.core.events import ControlEvent
from app.sim.operator import SendError, send
from app.sim.subscriber import Subscriber


def partition_of(key, partitions=4):
    """Where every Kafka client that follows the Java one puts ``key``."""
    return DefaultPartitioner()(key, list(range(partitions)), list(range(partitions)))


COMMAND = Command(service="chat", command="abort", args=About(), actor="ana", reason="looks wrong")


def test_a_command_is_written_as_an_event_the_worker_understands():
    with MockCluster(["llm.commands"]) as cluster:
        connection = {"bootstrap.servers": cluster.bootstrap_servers}
        sent = send(connection, "llm.commands", COMMAND, id_="c-1", time_s=1_700_000_000)
        with Subscriber(connection, ["llm.commands"]) as reader:
            (seen,) = reader.until_now(timeout_s=10)
    assert (sent.partition, sent.offset) == (seen.partition, seen.offset)
    assert seen.partition == partition_of(b"chat")
    assert msgspec.json.decode(msgspec.json.encode(sent))["command"] == "abort"
    event = make_decode()(seen.value, seen.headers)
    assert isinstance(event, ControlEvent)
    assert (event.id, event.service, event.time) == ("c-1", "chat", "2023-11-14T22:13:20Z")
    assert parse(event.data) == COMMAND


def test_without_a_broker_it_is_an_error_after_a_bounded_wait():
    with pytest.raises(SendError, match=r"kafka\.bootstrap_servers|not written"):
        send({"bootstrap.servers": "127.0.0.1:1", "log_level": 0}, "t", COMMAND, id_="1", time_s=0, timeout_s=0.3)
