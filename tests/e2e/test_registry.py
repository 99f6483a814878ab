"""A real schema registry (Apicurio): the client's rules, Avro through real workers, and what happens without it.

``LLM_OPTIMIZER_TEST_REGISTRY`` = ``real`` (started here), an address, or unset: as the suite's Kafka.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
from confluent_kafka import Producer

from app.adapters.codec.avro_schemas import parsed, text_of
from app.adapters.codec.registry import HttpRegistry, IncompatibleError
from app.adapters.kafka.options import EXIT_REGISTRY
from app.core.events import RESPONSE_COMPLETED, rfc3339
from tests.e2e.harness.broker import ROOT, Broker, asked, free_port
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.topic import Message, read
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

pytestmark = pytest.mark.e2e
SCRIPT = ROOT / "deploy" / "registry" / "registry.py"
VARIABLE = "LLM_OPTIMIZER_TEST_REGISTRY"
EVENTS = 40


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    choice = os.environ.get(VARIABLE, "mock" if asked() == "mock" else "real")
    if choice == "mock":
        pytest.skip(f"needs a real schema registry: {VARIABLE}=real")
    if choice != "real":
        yield choice
        return
    env = {**os.environ, "REGISTRY_PORT": str(free_port()), "REGISTRY_HOME_DIR": tempfile.mkdtemp(prefix="registry-")}
    started = subprocess.run([sys.executable, SCRIPT, "start"], env=env, capture_output=True, text=True, check=False)
    if started.returncode:
        pytest.skip(f"no schema registry here: {started.stderr.strip()[-500:]}")
    yield f"http://127.0.0.1:{env['REGISTRY_PORT']}/apis/ccompat/v7"
    subprocess.run([sys.executable, SCRIPT, "stop"], env=env, check=True, stdout=subprocess.DEVNULL)


def test_the_registry_keeps_the_rules_that_its_twin_keeps(address):
    registry = HttpRegistry(address)
    subject = f"rules-{os.getpid()}/x-value"
    first = registry.register(subject, text_of("response.completed"))
    assert registry.register(subject, text_of("response.completed")) == first
    schema = json.loads(text_of("response.completed"))
    later = {**schema, "fields": [*schema["fields"], {"name": "mood", "type": "string", "default": ""}]}
    second = registry.register(subject, json.dumps(later))
    assert list(registry.known(subject)) == [first, second]
    assert json.loads(registry.schema(second) or "")["fields"][-1]["name"] == "mood"
    schema["fields"][0]["type"] = "int"
    with pytest.raises(IncompatibleError, match="409"):
        registry.register(subject, json.dumps(schema))
    assert registry.schema(2**31 - 1) is None
    assert registry.known(f"nothing-{os.getpid()}") == {}


def avro(schema: dict[str, Any], data: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, data)
    return buffer.getvalue()


def produce(deployment: Deployment, address: str, begin_s: int) -> None:
    """``EVENTS`` events in Confluent's wire format, one with an id nobody knows, and what moves every source on."""
    topics = deployment.settings.topics
    identity = HttpRegistry(address).register(f"{topics.responses}-value", text_of("response.completed"))
    producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers, "enable.idempotence": True})

    def send(topic: str, partition: int, name: str, service: str, time_s: int, schema_id: int = identity) -> None:
        said = {"specversion": "1.0", "id": name, "source": "/gw", "type": RESPONSE_COMPLETED, "time": rfc3339(time_s)}
        headers: list[tuple[str, str | bytes | None]] = [
            *((f"ce_{key}", text.encode()) for key, text in said.items()),
            ("content-type", b"application/avro"),
        ]
        body = avro(parsed("response.completed"), {"service": service, "model": "m", "latency_ms": 12.5})
        producer.produce(topic, b"\0" + schema_id.to_bytes(4, "big") + body, partition=partition, headers=headers)

    for number in range(EVENTS):
        send(topics.responses, number % 4, f"e{number}", "chatbot", begin_s + number)
    send(topics.responses, 0, "unknown", "chatbot", begin_s, 2**31 - 1)
    for partition in range(4):
        for topic in (topics.responses, topics.feedback, topics.spans):
            if topic != topics.spans:
                send(topic, partition, f"tail{partition}", "tail", begin_s + 300)
            else:
                producer.produce(topic, _tail_span((begin_s + 300) * 10**9), partition=partition)
    assert producer.flush(30) == 0


def _tail_span(end_ns: int) -> bytes:
    from tests.adapters.codec.spans import GENAI, request, span

    last = span(GENAI, start_time_unix_nano=end_ns, end_time_unix_nano=end_ns)
    value: bytes = request(last, resource={"service.name": "tail"}).SerializeToString()
    return value


def row_of(message: Message, registry: HttpRegistry) -> dict[str, Any]:
    """An aggregate as a stranger reads it: by the schema that its id names."""
    assert message.value[:1] == b"\0"
    schema = fastavro.parse_schema(json.loads(registry.schema(int.from_bytes(message.value[1:5], "big")) or ""))
    row: Any = fastavro.schemaless_reader(io.BytesIO(message.value[5:]), schema, None)
    return dict(row)


def test_events_in_avro_become_aggregates_in_avro(address, kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "avro", tmp_path / "state", codec__schema_registry_url=address, codec__aggregates="avro")
    topics = deployment.settings.topics
    produce(deployment, address, int(time.time()) // 60 * 60 - 600)
    registry = HttpRegistry(address)

    def counted() -> int:
        messages = read(deployment.settings.kafka.bootstrap_servers, topics.aggregates)
        rows = [row_of(message, registry) for message in messages]
        return sum(r["count"] for r in rows if r["service"] == "chatbot" and r["window_s"] == 60 and r["arm"] == "*")

    with Worker(deployment, tmp_path / "worker.log") as worker:
        until(lambda: counted() == EVENTS, 120, f"{EVENTS} events are not counted; see {worker.log}")
        assert worker.terminate(30) == 0
    (dead,) = read(deployment.settings.kafka.bootstrap_servers, topics.dead_letters)
    assert dict(dead.headers)["reason"] == b"unknown_schema"
    assert list(registry.known(f"{topics.aggregates}-value")) == list(
        registry.known(f"{topics.aggregates_hourly}-value")
    )


def test_a_worker_whose_registry_is_down_says_so_and_exits(kafka: Broker, tmp_path: Path):
    nobody = f"http://127.0.0.1:{free_port()}"
    deployment = deploy(kafka, "nobody", tmp_path / "state", codec__schema_registry_url=nobody)
    command = [sys.executable, "-m", "app.cli.main", "worker", "--agent", "ingest"]
    ended = subprocess.run(
        command, cwd=ROOT, env=dict(deployment.env), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == EXIT_REGISTRY
    assert f"the schema registry at {nobody} gives no answer" in ended.stderr
