"""Evidence as the world sends it: random keys, duplicates, disorder, late events, garbage. All from one seed."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import msgspec
from confluent_kafka import Producer

from app.settings import Settings

BASE_S = 1_762_683_330
TAIL = "zz-tail"
PACE = 250
"""Events between two looks at the clock."""
GARBAGE = (b"", b"not json", b"\xff\xfe\x00", b'{"specversion":"1.0"}', b"[]", b'{"a":' * 40)


class Traffic(msgspec.Struct, frozen=True):
    """``events`` responses over ``events * step_s`` seconds of event time. Shares are of the events."""

    events: int
    step_s: float = 0.02
    seed: int = 7
    services: int = 12
    models: int = 4
    disorder_s: float = 4.0
    duplicates: float = 0.03
    late: float = 0.01
    garbage: float = 0.0


class Sent(msgspec.Struct):
    """What went out."""

    events: int = 0
    duplicates: int = 0
    garbage: int = 0
    bad: int = 0


def produce(
    settings: Settings, traffic: Traffic, *, rate: float = 0.0, during: Callable[[], None] | None = None,
    tail_feedback: bool = True,
) -> Sent:  # fmt: skip
    """Send the traffic, then a tail far ahead in event time to every evidence partition, which closes all minutes.

    ``rate``: events a second (0: as fast as they go). ``during`` runs beside it; the tail follows when both are done.
    """
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_stream_out, settings, traffic, rate)
        if during is not None:
            during()
        sent = sending.result()
    _tail(settings, traffic, feedback=tail_feedback)
    return sent


def _stream_out(settings: Settings, traffic: Traffic, rate: float) -> Sent:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5, "acks": "all"})
    topic, sent, began = settings.topics.responses, Sent(), time.monotonic()
    for key, value, kind in stream(traffic):
        setattr(sent, kind, getattr(sent, kind) + 1)
        _send(producer, topic, value, key=key)
        if rate and sent.events % PACE == 0:
            time.sleep(max(0.0, began + sent.events / rate - time.monotonic()))
    _settle(producer)
    return sent


def _tail(settings: Settings, traffic: Traffic, *, feedback: bool) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "acks": "all"})
    end_s = BASE_S + traffic.events * traffic.step_s + 4000
    tails = {settings.topics.responses: _tail_response}
    if feedback:
        tails[settings.topics.feedback] = _tail_feedback
    for topic, make in tails.items():
        for partition in producer.list_topics(topic, 10).topics[topic].partitions:
            _send(producer, topic, msgspec.json.encode(make(f"tail-{topic}-{partition}", end_s)), partition=partition)
    _settle(producer)


def _settle(producer: Producer) -> None:
    left = producer.flush(60)
    assert left == 0, f"{left} records were not acked"


def stream(traffic: Traffic) -> Iterator[tuple[bytes, bytes, str]]:
    """(key, value, what it is: events | duplicates | garbage | bad), in sending order."""
    rnd = random.Random(traffic.seed)
    recent: list[tuple[bytes, bytes]] = []
    for number in range(traffic.events):
        key, value = rnd.randbytes(8), msgspec.json.encode(_response(rnd, traffic, number))
        yield key, value, "events"
        recent = [*recent[-200:], (key, value)]
        if rnd.random() < traffic.duplicates:
            yield *rnd.choice(recent), "duplicates"
        if rnd.random() < traffic.garbage:
            yield key, rnd.choice(GARBAGE), "garbage"
        if rnd.random() < traffic.garbage:
            yield key, _unacceptable(rnd, traffic, number), "bad"


def _response(rnd: random.Random, traffic: Traffic, number: int) -> dict[str, Any]:
    time_s = BASE_S + number * traffic.step_s
    if rnd.random() < 0.2:
        time_s -= rnd.random() * traffic.disorder_s
    if rnd.random() < traffic.late:
        time_s -= 90 + rnd.random() * 600
    data = {
        "request_id": f"req-{number:08d}",
        "service": f"svc-{rnd.randrange(traffic.services):03d}",
        "model": f"model-{min(traffic.models - 1, int(rnd.expovariate(0.7)))}",
        "latency_ms": round(rnd.lognormvariate(6.5, 0.6), 2),
        "input_tokens": rnd.randrange(20, 2000),
        "output_tokens": rnd.randrange(10, 900),
        "cost_usd": round(rnd.random() * 0.05, 6),
        "status": "ok" if rnd.random() < 0.98 else "error",
    }
    return _event(f"e-{traffic.seed}-{number:08d}", "io.llm-platform.response.completed", time_s, data)


def _unacceptable(rnd: random.Random, traffic: Traffic, number: int) -> bytes:
    event = _response(rnd, traffic, number)
    event["id"] += "-bad"
    event["data"]["latency_ms"] = -1.0
    return msgspec.json.encode(event)


def _tail_response(id_: str, time_s: float) -> dict[str, Any]:
    return _event(id_, "io.llm-platform.response.completed", time_s, {"service": TAIL, "model": "m", "latency_ms": 1.0})


def _tail_feedback(id_: str, time_s: float) -> dict[str, Any]:
    data = {"service": TAIL, "source": "user", "quality": 1.0}
    return _event(id_, "io.llm-platform.feedback.recorded", time_s, data)


def _event(id_: str, type_: str, time_s: float, data: dict[str, Any]) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
    return {"specversion": "1.0", "type": type_, "source": "/e2e", "id": id_, "time": stamp, "data": data}


def _send(producer: Producer, topic: str, value: bytes, **where: Any) -> None:
    while True:
        try:
            producer.produce(topic, value, **where)
        except BufferError:
            producer.poll(0.05)
        else:
            producer.poll(0)
            return
