"""The read model of a process that is killed while it reads: what is in the file is the fold of the topics."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Subscriber
from app.adapters.readmodel.feed import Feed, roles_of
from app.adapters.readmodel.file import open_model
from tests.adapters.readmodel.reference import fold, held
from tests.adapters.readmodel.worlds import dead_letter, records
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import Deployment, deploy

pytestmark = pytest.mark.e2e

CHILD = """
import sys, time
from app.adapters.readmodel import feed
from app.adapters.readmodel.file import open_model
from app.settings import load
import os
feed.BATCH = 20
settings = load(env=os.environ)
one = feed.Feed(settings, open_model(settings).store)
one.start()
print("reading", flush=True)
time.sleep(60)
"""


def _produce(settings, rnd: random.Random) -> None:
    """Every record of the world on any partition of its topic, some twice, some with a changed payload."""
    producer = Producer(librdkafka(settings.kafka))
    roles = roles_of(type(settings.topics)())
    for seen in [*records(), *map(dead_letter, range(50))]:
        topic, partition = getattr(settings.topics, roles[seen.topic]), rnd.randrange(4)
        values = [seen.value] * (2 if rnd.random() < 0.1 else 1)
        if seen.type.endswith("aggregate") and rnd.random() < 0.02:
            values.append(seen.value.replace(b'"complete":true', b'"complete":false'))
        for value in values:
            producer.produce(topic, key=b"chat", value=value, headers=list(seen.headers), partition=partition)
    assert producer.flush(10) == 0


@pytest.mark.parametrize(("kind", "together"), [("sqlite", 1), ("postgres", 2)])
def test_after_kill_9_the_model_is_the_fold_of_the_topics(
    kafka: Broker, tmp_path: Path, request: Any, kind: str, together: int
) -> None:
    """A file has one writer; a database is filled by two processes at a time, both killed."""
    where = {}
    if kind == "postgres":
        schema = f"kill_{kafka.address.rpartition(':')[2]}"
        where = {"api__database_url": request.getfixturevalue("postgres"), "api__database_schema": schema}
    deployment = deploy(kafka, f"readmodel-{kind}", tmp_path, None, **where)
    settings, rnd = deployment.settings, random.Random(3)
    _produce(settings, rnd)
    for _ in range(3 - together // 2):
        children = [_reading(deployment) for _ in range(together)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "reading\n"
        time.sleep(rnd.uniform(0.0, 0.4))
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
        for child in children:
            child.communicate(timeout=60)
    opened = open_model(settings)
    feed = Feed(settings, opened.store)
    feed.start()
    assert feed.wait(60), feed.lag
    assert feed.lag.caught_up
    feed.stop()
    roles = roles_of(settings.topics)
    with Subscriber(librdkafka(settings.kafka), list(roles)) as reader:
        expected = fold(reader.until_now(), roles)
    assert expected["counts"]["conflicts"] > 0
    assert held(opened.store) == expected
    opened.close()


def _reading(deployment: Deployment) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", CHILD], env=dict(deployment.env), stdout=subprocess.PIPE, text=True)


def test_a_second_process_on_the_same_folder_has_a_file_of_its_own(kafka: Broker, tmp_path: Path) -> None:
    settings = deploy(kafka, "replicas", tmp_path).settings
    first, second = open_model(settings), open_model(settings)
    assert first.place != second.place
    first.close()
    again = open_model(settings)
    assert again.place == first.place
    again.close()
    second.close()
