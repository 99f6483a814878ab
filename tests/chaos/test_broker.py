"""The brokers of chaos: a start outlasts a busy machine, and a node is found by its number."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.chaos.broker import SLOW, Node, OwnBroker, partition_of


@pytest.fixture(autouse=True)
def _folders_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def _done(code: int, said: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess([], code, "", said)


def test_a_node_that_is_slow_to_answer_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    answers = [_done(1, f"Kafka {SLOW} 127.0.0.1:1 after 60 s; see x"), _done(1, f"Kafka {SLOW} it"), _done(0)]
    monkeypatch.setattr(Node, "_script", lambda _, __: answers.pop(0))
    Node(1).start()
    assert not answers


def test_a_node_that_ended_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Node, "_script", lambda _, __: _done(1, "Kafka ended while starting; see x"))
    with pytest.raises(RuntimeError, match="ended while starting"):
        Node(1).start()


def test_nodes_of_a_cluster_know_each_other():
    cluster = OwnBroker(3)
    assert len(set(cluster.address.split(","))) == 3
    [voters] = {node._env["KAFKA_VOTERS"] for node in cluster.nodes}
    assert [voter.partition("@")[0] for voter in voters.split(",")] == ["1", "2", "3"]
    assert [node._env["KAFKA_NODE"] for node in cluster.nodes] == ["1", "2", "3"]


@pytest.mark.parametrize(("group", "partition"), [("", 0), ("a", 47), ("hello", 22), ("polygenelubricants", 0)])
def test_a_group_is_kept_where_its_broker_keeps_it(group: str, partition: int):
    assert (
        partition_of(group, 50) == partition
    )  # by Java: "".hashCode(), "a" 97, "hello" 99162322, the last one its least
