"""Everything the world may send, from one seed: several topics, hot keys, duplicates, disorder, lies about time.

``Sender.quiet`` names partitions that get nothing from now on.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from confluent_kafka import Producer

from app.settings import Settings
from tests.chaos.transactions import Transactions

Role = Literal["responses", "feedback", "commands"]

TAIL = "zz-tail"
BASE_S = 1_762_683_330
GARBAGE = (b"", b"not json", b"\xff\xfe\x00", b'{"specversion":"1.0"}', b"[]", b'{"a":' * 40)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
"""How record batches are compressed: two of these by seed, one in transactions and one outside."""
NEVER_YET = ("1969-12-31T23:59:59.000Z", "0001-01-01T00:00:00Z", "-5", "2025-13-45T99:00:00Z")
"""Times before the first second or none at all: refused, with the place."""
GREEDY = "/chaos/greedy"
"""The CloudEvents source of the producer that sends more than its share."""
PACE = 100
"""Records between two looks at the clock."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``events`` responses, ``step_s`` apart in event time from ``base_s``, ``rate`` a second (0: as fast as they go).

    Shares are of the responses. ``future``: clocks ahead by an hour to centuries (only where event time is the clock's).
    ``behind``: clocks an hour to decades behind. ``greedy``: responses of one producer, the others being another's.
    ``transactions``: share of all records that are sent in transactions, some of which are rolled back.
    ``idle``: the last partition of responses never gets anything. ``live``: event time is the time of sending.
    """

    events: int
    seed: int
    step_s: float = 0.02
    base_s: float = BASE_S
    rate: float = 0.0
    services: int = 12
    models: int = 4
    hot: float = 0.4
    feedback: float = 0.15
    disorder_s: float = 4.0
    duplicates: float = 0.05
    late: float = 0.01
    garbage: float = 0.002
    negative: float = 0.0005
    future: float = 0.0
    behind: float = 0.0005
    greedy: float = 0.0
    transactions: float = 0.1
    commands: int = 40
    repeats: float = 0.4
    idle: bool = True
    live: bool = False


class Letter(msgspec.Struct, frozen=True):
    """One record on its way: ``spread`` in [0, 1) picks the partition; ``partition`` names it."""

    role: Role
    value: bytes
    spread: float = 0.0
    partition: int | None = None


class Sender:
    """Sends a plan; ``partitions`` may grow while it sends. ``stop`` ends a live stream early."""

    def __init__(self, settings: Settings, plan: Plan, partitions: dict[Role, int]) -> None:
        self.plan, self.partitions, self.sent = plan, dict(partitions), 0
        self.stop = threading.Event()
        self.done = False
        self.quiet: set[tuple[Role, int]] = set()
        codec, other = CODECS[plan.seed % len(CODECS)], CODECS[(plan.seed + 2) % len(CODECS)]
        self._transactions = Transactions(settings.kafka.bootstrap_servers, settings.kafka.group, plan.seed, other)
        self._in_transaction = random.Random(plan.seed)
        self._topics = {role: getattr(settings.topics, role) for role in partitions}
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "linger.ms": 5,
                "acks": "all",
                "compression.type": codec,
                "enable.idempotence": True,  # duplicates are this plan's own, so that they are known
                "topic.metadata.refresh.interval.ms": 1000,
                "delivery.timeout.ms": 240_000,
                "log_level": 2,
            }
        )

    def run(self) -> None:
        """All of the plan, acked."""
        try:
            self._run()
        finally:
            self.done = True

    def _run(self) -> None:
        began = time.monotonic()
        for letter in letters(self.plan):
            if self.stop.is_set():
                break
            self._send(letter)
            self.sent += 1
            if self.plan.rate and self.sent % PACE == 0:
                time.sleep(max(0.0, began + self.sent / self.plan.rate - time.monotonic()))
        self.settle()

    def tail(self, ahead_s: float = 4000.0) -> None:
        """Far ahead in event time, to every partition that may have had something: closes all its minutes."""
        end_s = self.plan.base_s + self.plan.events * self.plan.step_s + ahead_s
        tails: dict[Role, Callable[[str, float], dict[str, Any]]]
        tails = {"responses": _tail_response, "feedback": _tail_feedback}
        for role, make in tails.items():
            for partition in range(self.partitions[role]):
                self._produce(
                    self._topics[role], msgspec.json.encode(make(f"tail-{role}-{partition}", end_s)), partition
                )
        self.settle()

    @property
    def transactions(self) -> str:
        """How many there were, for the notes."""
        return f"{self._transactions.committed} committed, {self._transactions.rolled_back} rolled back"

    def grow(self, role: Role, count: int) -> None:
        """Use the partitions that were added to a topic, as soon as the producer sees them."""
        deadline = time.monotonic() + 30
        while len(self._producer.list_topics(self._topics[role], 10).topics[self._topics[role]].partitions) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self._topics[role]} does not show {count} partitions after 30 s")
            time.sleep(0.2)
        self.partitions[role] = count

    def settle(self) -> None:
        """Wait until everything is acked."""
        self._transactions.settle()
        left = self._producer.flush(240)
        if left:
            raise RuntimeError(f"{left} records were not acked in 240 s")

    def _send(self, letter: Letter) -> None:
        partition = self._partition(letter) if letter.partition is None else letter.partition
        if self.plan.transactions and self._in_transaction.random() < self.plan.transactions:
            self._transactions.send(self._topics[letter.role], letter.value, partition)
        else:
            self._produce(self._topics[letter.role], letter.value, partition)

    def _produce(self, topic: str, value: bytes, partition: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, partition=partition)
            except BufferError:
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return

    def _partition(self, letter: Letter) -> int:
        count = self.partitions[letter.role]
        if letter.role == "responses" and self.plan.idle:
            count -= 1
        chosen = int(letter.spread**2 * count)  # uneven: the first partition gets the most
        while (letter.role, chosen) in self.quiet:
            chosen = (chosen + 1) % count
        return chosen


def letters(plan: Plan) -> Iterator[Letter]:
    """The plan in sending order; the same plan gives the same letters (of a live one: but for the times)."""
    rnd = random.Random(plan.seed)
    recent: list[Letter] = []
    orders = _orders(plan, rnd)
    every = max(1, plan.events // max(1, len(orders)))
    for number in range(plan.events):
        letter = _response(rnd, plan, number)
        yield letter
        recent = [*recent[-200:], letter]
        if rnd.random() < plan.feedback:
            yield (scored := _feedback(rnd, plan, number))
            recent.append(scored)
        if rnd.random() < plan.duplicates:
            yield rnd.choice(recent)
        if rnd.random() < plan.garbage:
            yield Letter(rnd.choice(("responses", "feedback")), rnd.choice(GARBAGE), letter.spread)
        if rnd.random() < plan.garbage:
            yield _refused(rnd, plan, number, latency_ms=-1.0)
        if rnd.random() < plan.negative:
            yield _refused(rnd, plan, number, time=rnd.choice(NEVER_YET))
        if number % every == every - 1 and orders:
            yield from orders.pop(0)


# ---- evidence ----
def _response(rnd: random.Random, plan: Plan, number: int) -> Letter:
    return Letter("responses", msgspec.json.encode(_response_event(rnd, plan, number)), rnd.random())


def _response_event(rnd: random.Random, plan: Plan, number: int) -> dict[str, Any]:
    data = {
        "request_id": f"req-{number:08d}",
        "service": _service(rnd, plan),
        "model": f"model-{min(plan.models - 1, int(rnd.expovariate(0.7)))}",
        "latency_ms": round(rnd.lognormvariate(6.5, 0.6), 2),
        "input_tokens": rnd.randrange(20, 2000),
        "output_tokens": rnd.randrange(10, 900),
        "cost_usd": round(rnd.random() * 0.05, 6),
        "status": "ok" if rnd.random() < 0.98 else "error",
    }
    id_ = f"r-{plan.seed}-{number:08d}"
    event = _event(id_, "io.llm-platform.response.completed", _time(rnd, plan, number), data)
    if plan.greedy and rnd.random() < plan.greedy:
        event["source"] = GREEDY
    return event


def _feedback(rnd: random.Random, plan: Plan, number: int) -> Letter:
    service = _service(rnd, plan)
    data: dict[str, Any] = {"source": rnd.choice(("user", "judge")), "quality": round(rnd.random(), 3)}
    if rnd.random() < 0.7:
        data["receipt"] = {"service": service, "arm": f"model-{rnd.randrange(plan.models)}"}
    else:
        data["service"] = service
    event = _event(f"f-{plan.seed}-{number:08d}", "io.llm-platform.feedback.recorded", _time(rnd, plan, number), data)
    return Letter("feedback", msgspec.json.encode(event), rnd.random())


def _refused(rnd: random.Random, plan: Plan, number: int, *, time: str = "", latency_ms: float = 1.0) -> Letter:
    event = _response_event(rnd, plan, number)
    event["id"] += f"-refused-{latency_ms}{time}"
    event["data"]["latency_ms"] = latency_ms
    event["time"] = time or event["time"]
    return Letter("responses", msgspec.json.encode(event), rnd.random())


def _service(rnd: random.Random, plan: Plan) -> str:
    return "svc-000" if rnd.random() < plan.hot else f"svc-{rnd.randrange(plan.services):03d}"


def _time(rnd: random.Random, plan: Plan, number: int) -> float:
    time_s = time.time() if plan.live else plan.base_s + number * plan.step_s
    if rnd.random() < 0.2:
        time_s -= rnd.random() * plan.disorder_s
    if rnd.random() < plan.late:
        time_s -= 90 + rnd.random() * 600
    if plan.behind and rnd.random() < plan.behind:
        time_s -= rnd.choice((3_600.0, 86_400.0, 1.5e9))
    if rnd.random() < plan.future:
        time_s += rnd.choice((3_600.0, 86_400.0, 3e9, 2e11))
    return time_s


# ---- commands ----
def _orders(plan: Plan, rnd: random.Random) -> list[list[Letter]]:
    """Commands in sending order, each with the repeats that come with it (at once, or with one of the next)."""
    orders: list[list[Letter]] = [[] for _ in range(plan.commands)]
    for number in range(plan.commands):
        service = "*" if rnd.random() < 0.1 else f"svc-{rnd.randrange(plan.services):03d}"
        letter = Letter("commands", _order(plan, number, service), (number % 7) / 7)
        orders[number].append(letter)
        if rnd.random() < plan.repeats:
            orders[min(plan.commands - 1, number + rnd.randrange(3))].append(letter)
    return orders


def _order(plan: Plan, number: int, service: str) -> bytes:
    data: dict[str, Any] = {
        "service": service,
        "command": "pause" if number % 2 else "resume",
        "args": {},
        "actor": f"order-{number:04d}",
        "reason": "chaos",
    }
    time_s = plan.base_s + number
    return msgspec.json.encode(_event(f"c-{plan.seed}-{number:04d}", "io.llm-platform.optimizer.command", time_s, data))


# ---- envelopes ----
def _tail_response(id_: str, time_s: float) -> dict[str, Any]:
    return _event(id_, "io.llm-platform.response.completed", time_s, {"service": TAIL, "model": "m", "latency_ms": 1.0})


def _tail_feedback(id_: str, time_s: float) -> dict[str, Any]:
    data: dict[str, Any] = {"service": TAIL, "source": "user", "quality": 1.0}
    return _event(id_, "io.llm-platform.feedback.recorded", time_s, data)


def _event(id_: str, type_: str, time_s: float, data: dict[str, Any]) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"
    return {"specversion": "1.0", "type": type_, "source": "/chaos", "id": id_, "time": stamp, "data": data}
