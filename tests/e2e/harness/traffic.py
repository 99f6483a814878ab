"""Evidence as the world sends it: random keys, duplicates, disorder, late events, garbage. All from one seed."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import Producer

from app.settings import Settings

BASE_S = 1_762_683_330
TAIL = "zz-tail"
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


def produce(settings: Settings, traffic: Traffic, *, tail_feedback: bool = True) -> Sent:
    """Send the traffic, then a tail far ahead in event time to every evidence partition, which closes all minutes."""
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5, "acks": "all"})
    topic, sent = settings.topics.responses, Sent()
    for key, value, kind in stream(traffic):
        setattr(sent, kind, getattr(sent, kind) + 1)
        _send(producer, topic, value, key=key)
    producer.flush(60)
    end_s = BASE_S + traffic.events * traffic.step_s + 4000
    for name, make in ((topic, _tail_response), (settings.topics.feedback, _tail_feedback)):
        if name == topic or tail_feedback:
            for partition in producer.list_topics(name, 10).topics[name].partitions:
                _send(producer, name, msgspec.json.encode(make(f"tail-{name}-{partition}", end_s)), partition=partition)
    left = producer.flush(60)
    assert left == 0, f"{left} records were not acked"
    return sent


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
    from datetime import UTC, datetime

    time = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
    return {"specversion": "1.0", "type": type_, "source": "/e2e", "id": id_, "time": time, "data": data}


def _send(producer: Producer, topic: str, value: bytes, **where: Any) -> None:
    while True:
        try:
            producer.produce(topic, value, **where)
        except BufferError:
            producer.poll(0.05)
        else:
            producer.poll(0)
            return
