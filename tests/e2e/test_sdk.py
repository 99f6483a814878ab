"""The Python client against Kafka: a broker that is killed and comes back, a program that is killed, and a worker's counts.

The mock cluster cannot be killed; there a client whose broker is not there yet stands for it.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from llm_optimizer_client import Client

from app.adapters.codec import make_decode
from app.core.events import FeedbackEvent, ResponseEvent
from tests.chaos.broker import own_broker, why_no_kafka
from tests.e2e.harness.broker import ROOT, Broker, asked
from tests.e2e.harness.deployment import deploy
from tests.e2e.harness.topic import Message, read
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e

WITHIN_S = 120
TELLS = """
import sys
from llm_optimizer_client import Client
topics = {"response": sys.argv[2], "feedback": sys.argv[3]}
client = Client(kafka=sys.argv[1], topics=topics, spill=sys.argv[4])
n = 0
while True:
    if client.response("chat", "m", 1.0, event_id=f"k{n}"):
        print(f"k{n}", flush=True)  # said after it was accepted
    n += 1
"""


def ids_of(messages: list[Message]) -> list[str]:
    decode = make_decode()
    events = [decode(message.value, message.headers) for message in messages]
    assert all(isinstance(event, ResponseEvent | FeedbackEvent) for event in events)
    return [json.loads(message.value)["id"] for message in messages]


def test_a_program_killed_while_it_tells_loses_nothing_it_accepted(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "sdk", tmp_path)
    topics, address = deployment.settings.topics, kafka.address
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    command = [sys.executable, "-c", TELLS, address, topics.responses, topics.feedback, str(tmp_path / "spill")]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        said = [app.stdout.readline().strip() for _ in range(3_000)]
        app.send_signal(signal.SIGKILL)
        said += app.stdout.read().split()
    names = {"response": topics.responses, "feedback": topics.feedback}
    with Client(kafka=address, topics=names, spill=tmp_path / "spill") as client:  # type: ignore[arg-type]
        assert client.feedback(service="chat", quality=0.5, event_id="score")
        assert client.flush(WITHIN_S)
        assert client.counts().waiting == 0
    times = Counter(ids_of(read(address, topics.responses)))
    assert set(said[:-1]) <= set(times)  # the last line may be torn
    assert len(times) - len(said) in {-1, 0, 1}
    # what was on its way when it was killed may be there twice, on one partition, with one id: the worker counts it once
    assert sum(times.values()) - len(times) <= 2_000
    assert ids_of(read(address, topics.feedback)) == ["score"]


def test_a_broker_that_is_killed_and_comes_back_gets_every_accepted_event_once(tmp_path: Path):
    if asked() != "real" or why_no_kafka():
        pytest.skip(f"needs a real broker of its own: LLM_OPTIMIZER_TEST_KAFKA=real {why_no_kafka()}")
    with own_broker() as broker:
        names = ("sdk.responses", "sdk.feedback")
        admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 2})
        for done in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
            done.result(WITHIN_S)
        topics = {"response": names[0], "feedback": names[1]}
        client = Client(kafka=broker.address, topics=topics, queue=50, spill=tmp_path, spill_bytes=1_000_000)  # type: ignore[arg-type]
        accepted = [f"a{n}" for n in range(500) if client.response("chat", "m", 1.0, event_id=f"a{n}")]
        until(lambda: client.counts().sent > 0, WITHIN_S, "nothing is sent")
        broker.kill()
        refused = 0
        for n in range(10_000):  # more than there is room for
            if client.response("chat", "m", 1.0, event_id=f"b{n}"):
                accepted.append(f"b{n}")
            else:
                refused += 1
        assert client.feedback(service="chat", quality=1.0) is False
        assert refused > 0
        broker.start()
        assert client.close(WITHIN_S)
        counts = client.counts()
        assert (counts.sent, counts.waiting, counts.refused) == (len(accepted), 0, refused + 1)
        times = Counter(ids_of(read(broker.address, names[0])))
        assert sorted(times) == sorted(accepted)
        again = {id_: n for id_, n in times.items() if n > 1}
        partitions: dict[str, set[int]] = {id_: set() for id_ in again}
        for message in read(broker.address, names[0]):
            if (id_ := json.loads(message.value)["id"]) in again:
                partitions[id_].add(message.partition)
        assert all(len(found) == 1 for found in partitions.values()), "a repeat on another partition would be counted"
