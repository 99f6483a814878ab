"""`llm-optimizer serve` as a process: orders and events reach the topics, answers come from them, it ends in order."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import msgspec
import pytest
import requests
import schemathesis
from confluent_kafka import Producer
from schemathesis.specs.openapi import checks as promises

from app.adapters.kafka.security import librdkafka
from app.adapters.readmodel.feed import roles_of
from tests.adapters.readmodel.worlds import records
from tests.e2e.harness.broker import ROOT, Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.serving import Serving
from tests.e2e.harness.topic import read
from tests.e2e.harness.waits import until

pytestmark = pytest.mark.e2e

EXAMPLES = 3
"""Of each operation, good ones and bad ones; all operations together take half a minute on a busy machine."""


@pytest.fixture(scope="module")
def deployment(kafka: Broker, tmp_path_factory: Any) -> Deployment:
    made = deploy(kafka, "serve", tmp_path_factory.mktemp("serve"))
    producer = Producer(librdkafka(made.settings.kafka))
    roles = roles_of(type(made.settings.topics)())
    for seen in records():
        topic = getattr(made.settings.topics, roles[seen.topic])
        producer.produce(topic, key=b"chat", value=seen.value, headers=list(seen.headers))
    assert producer.flush(10) == 0
    return made


@pytest.fixture(scope="module")
def serving(deployment: Deployment, tmp_path_factory: Any) -> Iterator[Serving]:
    open_wide = {"LLM_OPTIMIZER__API__RATE_PER_S": "1000000", "LLM_OPTIMIZER__API__RATE_BURST": "1000000"}
    one = Serving(deployment, tmp_path_factory.mktemp("logs") / "serve.log", **open_wide)
    until(lambda: requests.get(f"{one.url}/ready", timeout=30).status_code == 200, 120, "it did not catch up")
    yield one
    assert one.stop() == 0


def test_the_example_in_the_docs_sends_an_answer_and_its_score(serving: Serving) -> None:
    script = ROOT / "examples" / "02-emit-http" / "emit.py"
    env = {**os.environ, "LLM_OPTIMIZER_API": serving.url}
    done = subprocess.run(
        [sys.executable, script, "mail"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith('202 {"accepted":2'), done.stderr


async def test_an_order_and_an_event_reach_their_topics_and_are_told(deployment: Deployment, serving: Serving) -> None:
    topics, broker = deployment.settings.topics, deployment.settings.kafka.bootstrap_servers
    async with aiohttp.ClientSession() as session:
        order = {"service": "chat", "command": "pause", "reason": "e2e"}
        key = {"Idempotency-Key": "one"}
        async with session.post(f"{serving.url}/api/v1/commands", json=order, headers=key) as answer:
            assert answer.status == 202
            made = await answer.json()
        where = f"{serving.url}/api/v1/commands/{made['id']}"
        deadline = time.monotonic() + 120
        while (await _status(session, where)) != 200:
            assert time.monotonic() < deadline
        event = {
            "specversion": "1.0", "id": "e1", "source": "/t", "type": "io.llm-platform.response.completed",
            "data": {"request_id": "r1", "service": "chat", "model": "m", "latency_ms": 3},
        }  # fmt: skip
        kind = {"Content-Type": "application/cloudevents-batch+json"}
        body = msgspec.json.encode([event, {**event, "id": ""}])
        async with session.post(f"{serving.url}/api/v1/events", data=body, headers=kind) as answer:
            assert (answer.status, (await answer.json())["accepted"]) == (207, 1)
    (command,) = [m for m in read(broker, topics.commands) if dict(m.headers).get("ce_id") == made["id"].encode()]
    assert dict(command.headers)["ce_authid"] == b"anonymous"
    told = [msgspec.json.decode(m.value)["id"] for m in read(broker, topics.responses)]
    assert (told.count("e1"), told.count("")) == (1, 0)


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(url) as answer:
        return answer.status


def test_no_request_that_the_document_describes_or_forbids_breaks_it(serving: Serving) -> None:
    """Schemathesis, bounded: every operation, good and bad inputs; a broken promise of the document fails."""
    schema = schemathesis.openapi.from_url(f"{serving.url}/openapi.json")
    checks = [
        schemathesis.checks.not_a_server_error,
        promises.status_code_conformance,
        promises.content_type_conformance,
        promises.response_schema_conformance,
        promises.negative_data_rejection,
    ]
    wrong: list[str] = []
    operations = 0
    listed: list[Any] = list(schema.get_all_operations())
    for operation in (result.ok() for result in listed):
        operations += 1
        if operation.path.startswith("/api/") and not operation.path.endswith("/stream"):  # it has no end
            refused = operation.path == "/api/v1/optimize/prompt"  # 501 by design, and documented
            wrong += _tried(operation, checks[1:] if refused else checks)
    assert operations > 25
    assert not wrong, "\n".join(wrong[:10])


def _tried(operation: Any, checks: list[Any]) -> list[str]:
    wrong: list[str] = []
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

        @hypothesis.settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            try:
                case.call_and_validate(checks=checks, timeout=30)
            except schemathesis.errors.FailureGroup as error:  # collected, so that one run shows all
                wrong.append(f"{operation.label}: {error.exceptions[0]!r}"[:600])

        try:
            one()
        except hypothesis.errors.Unsatisfiable:
            continue
    return wrong


def test_a_wrong_setting_or_key_file_ends_it_with_a_clear_word(deployment: Deployment, tmp_path: Path) -> None:
    env = {
        **deployment.env,
        "LLM_OPTIMIZER__API__AUTH": "required",
        "LLM_OPTIMIZER__API__KEYS_FILE": str(tmp_path / "no.toml"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "app.cli.main", "serve"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 78
    assert "no.toml" in done.stderr
