import json
from collections.abc import Iterator
from functools import partial

import pytest

from app.adapters.kafka import admin
from app.adapters.kafka.mock import MockCluster
from app.cli.main import run


@pytest.fixture
def server() -> Iterator[list[str]]:
    with MockCluster() as cluster:
        yield ["--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}"]


def test_plan_shows_what_apply_does_and_apply_does_it_once(server: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*server, "topics", "plan", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert {
        "action": "make: would be done",
        "topic": "llm.responses",
        "setting": "partitions",
        "wanted": "8",
        "found": "-",
    } in planned
    assert run([*server, "topics", "apply", "--json"]) == 0
    assert [row["topic"] for row in json.loads(capsys.readouterr().out)] == [row["topic"] for row in planned]
    assert run([*server, "topics", "apply"]) == 0
    assert capsys.readouterr().out == "the topics are as declared: nothing to do\n"


def test_the_number_of_partitions_may_be_given(server: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*server, "topics", "plan", "--partitions", "16"]) == 0
    first = capsys.readouterr().out.splitlines()[1].split()
    assert first == ["llm.responses", "make:", "would", "be", "done", "partitions", "16", "-"]


def test_an_impossible_number_of_partitions_is_wrong_usage():
    assert run(["topics", "apply", "--partitions", "0"]) == 2


def test_without_a_broker_it_fails_with_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(admin, "KafkaAdmin", partial(admin.KafkaAdmin, timeout_s=0.2))
    assert run(["--set", "kafka.bootstrap_servers=127.0.0.1:1", "topics", "plan"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llm-optimizer: no answer from Kafka at 127.0.0.1:1 in 0.2 s")
