"""Spans from Kafka through real workers: counted once, in both encodings, with the same calls told as events shadowed."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from app.adapters.codec import encode_response
from app.core.events import Response, rfc3339
from tests.adapters.codec.spans import GENAI, as_json, request, span
from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.topic import read
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

pytestmark = pytest.mark.e2e
CALLS = 200
TAIL = {"service.name": "tail"}


def produce(deployment: Deployment, begin_s: int) -> None:
    """``CALLS`` calls of chatbot as spans, some requests sent twice, and the same calls as events; support has spans
    alone, in JSON.
    """
    topics = deployment.settings.topics
    producer = Producer({"bootstrap.servers": deployment.settings.kafka.bootstrap_servers, "enable.idempotence": True})
    for first in range(0, CALLS, 10):
        spans = [
            span(GENAI, trace_id=bytes(15) + bytes([1]), span_id=number.to_bytes(8, "big"),
                 start_time_unix_nano=(begin_s + number // 4) * 10**9 - 10**6,
                 end_time_unix_nano=(begin_s + number // 4) * 10**9)
            for number in range(first + 1, first + 11)
        ]  # fmt: skip
        value = request(*spans, span({"http.route": "/"})).SerializeToString()
        for _ in range(1 + (first % 20 == 0)):
            producer.produce(topics.spans, value, partition=first // 10 % 4)
        producer.produce(topics.spans, as_json(request(*spans, resource={"service.name": "support"})), partition=0)
    for number in range(1, CALLS + 1):
        told = Response(service="chatbot", model="gpt-4o-mini", latency_ms=1.0)
        message = encode_response(told, f"e{number}", "/gateway", rfc3339(begin_s + number // 4))
        producer.produce(topics.responses, message.value, headers=list(message.headers), partition=number % 4)
    for partition in range(4):  # every source moves on, so that the minutes close
        last_ns = (begin_s + 300) * 10**9
        tail = request(span(GENAI, start_time_unix_nano=last_ns, end_time_unix_nano=last_ns), resource=TAIL)
        producer.produce(topics.spans, tail.SerializeToString(), partition=partition)
        told = Response(service="tail", model="m", latency_ms=1.0)
        message = encode_response(told, f"tail{partition}", "/gateway", rfc3339(begin_s + 300))
        for topic in (topics.responses, topics.feedback):
            producer.produce(topic, message.value, headers=list(message.headers), partition=partition)
    assert producer.flush(30) == 0


def totals(deployment: Deployment) -> dict[str, Counter[str]]:
    """Requests and shadowed ones of every service, over its minutes."""
    found: dict[str, Counter[str]] = {}
    seen: set[bytes] = set()
    for message in read(deployment.settings.kafka.bootstrap_servers, deployment.settings.topics.aggregates):
        row: dict[str, Any] = json.loads(message.value)
        identity = dict(message.headers)["ce_id"]
        if row["window_s"] == 60 and row["service"] != "tail" and row["arm"] == "*" and identity not in seen:
            seen.add(identity)
            found.setdefault(row["service"], Counter()).update(count=row["count"], shadowed=row["shadowed"])
    return found


def test_calls_told_as_spans_and_as_events_are_counted_once(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "spans", tmp_path / "state")
    produce(deployment, int(time.time()) // 60 * 60 - 600)
    wanted = {"chatbot": Counter(count=CALLS, shadowed=CALLS), "support": Counter(count=CALLS, shadowed=0)}
    with Worker(deployment, tmp_path / "worker.log") as worker:
        until(lambda: totals(deployment) == wanted, 120, f"{wanted} is not reached; see {worker.log}")
        assert worker.terminate(30) == 0
    assert totals(deployment) == wanted
