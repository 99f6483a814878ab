"""Fill a topic and know the exact answer: what every engine must write for it."""

import math
import random
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.bench.events import MODELS, Answer, draw, encoded, services

SIZES_S = (60, 300, 900, 3600)
STEP_US = 1000
"""Event time between two events."""
CLOSING_S = 2 * 3600
"""So long after the last event every key says a last word, which closes every pane whichever clock an engine has."""
FLUSH_S = 120.0
DELETED_S = 30.0


class Pane(msgspec.Struct, array_like=True):
    """The exact sums of one (service, model) in one window."""

    count: int
    errors: int
    latency_sum: float
    cost_sum: float
    tokens_sum: int
    latency_max: float
    latency_p95: float


class Filled(msgspec.Struct):
    """A topic with its exact answer: window size -> ``service|model|start`` -> pane."""

    topic: str
    events: int
    records: int
    keys: int
    partitions: int
    event_bytes: float
    close_from_s: int
    panes: dict[int, dict[str, Pane]]


Parts = dict[tuple[str, str, int], list[Answer]]


def fill(kafka: str, folder: Path, events: int, keys: int, partitions: int) -> Filled:
    """The topic of ``events`` events over ``keys`` keys, made unless broker and ``folder`` still have it."""
    topic = f"bench-{events}-k{keys}-p{partitions}"
    kept = folder / f"{topic}.json"
    admin = AdminClient({"bootstrap.servers": kafka})
    there = topic in admin.list_topics(timeout=10).topics
    if there and kept.exists():
        return msgspec.json.decode(kept.read_bytes(), type=Filled)
    if there:  # a fill that was broken off, or another folder's
        _delete(admin, topic)
    config = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}
    for made in admin.create_topics([NewTopic(topic, partitions, 1, config=config)]).values():
        made.result()
    filled = _produce(kafka, topic, events, keys, partitions)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(filled))
    return filled


def _delete(admin: AdminClient, topic: str) -> None:
    """Delete ``topic`` and wait until the broker shows it no more."""
    for deleted in admin.delete_topics([topic]).values():
        deleted.result()
    deadline_s = time.monotonic() + DELETED_S
    while topic in admin.list_topics(timeout=10).topics:
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{topic}, which has lost its answer, is still there {DELETED_S:g} s after its deletion")
        time.sleep(0.2)


def _produce(kafka: str, topic: str, events: int, keys: int, partitions: int) -> Filled:
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.kbytes": 1_000_000})
    source, names = random.Random(7), services(keys)
    base_s = (int(time.time()) // 3600 - 30) * 3600
    minutes: Parts = {}
    size = 0
    for number in range(events):
        answer, at_ms = draw(source, names), base_s * 1000 + number * STEP_US // 1000
        value = encoded(number, answer, at_ms)
        size += len(value)
        _send(producer, topic, answer, value)
        minutes.setdefault((answer.service, answer.model, at_ms // 60_000 * 60), []).append(answer)
    close_s = base_s + (events * STEP_US // 3_600_000_000) * 3600 + CLOSING_S
    for service in names:
        for model in MODELS:
            last = Answer(service, model, 1.0, 0, 0, 0.0, 0.0, "ok")
            _send(producer, topic, last, encoded(events, last, close_s * 1000))
    if producer.flush(FLUSH_S):
        raise RuntimeError(f"{topic}: not every event was acknowledged within {FLUSH_S:g} s")
    panes = {size_s: _panes(minutes, size_s) for size_s in SIZES_S}
    return Filled(topic, events, events + keys, keys, partitions, size / events, close_s, panes)


def _send(producer: Producer, topic: str, answer: Answer, value: bytes) -> None:
    while True:
        try:
            producer.produce(topic, value, answer.key)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _panes(minutes: Parts, size_s: int) -> dict[str, Pane]:
    found: dict[str, list[Answer]] = {}
    for (service, model, start_s), answers in minutes.items():
        found.setdefault(f"{service}|{model}|{start_s - start_s % size_s}", []).extend(answers)
    return {name: pane_of(answers) for name, answers in found.items()}


def pane_of(answers: Iterable[Answer]) -> Pane:
    """The exact sums; the quantile is the nearest rank, ceil(0.95 n)."""
    some = list(answers)
    latencies = sorted(answer.latency_ms for answer in some)
    return Pane(
        count=len(some),
        errors=sum(answer.status != "ok" for answer in some),
        latency_sum=math.fsum(latencies),
        cost_sum=math.fsum(answer.cost_usd for answer in some),
        tokens_sum=sum(answer.input_tokens + answer.output_tokens for answer in some),
        latency_max=latencies[-1],
        latency_p95=latencies[math.ceil(0.95 * len(some)) - 1],
    )
