"""What the Python peers share: the events, the sums of a pane, the record of a closed one, the marks of progress.

Knows no engine. The contract is the environment, the record and the two marks; see README.md.
"""

import math
import os
import time
from datetime import datetime
from pathlib import Path

import msgspec

KAFKA = os.environ["KAFKA"]
IN_TOPIC, OUT_TOPIC, RUN_ID = (os.environ[name] for name in ("IN_TOPIC", "OUT_TOPIC", "RUN_ID"))
STATE_DIR = os.environ["STATE_DIR"]
TOTAL = int(os.environ["N"])
SIZES_S = [int(text) for text in os.environ["WINDOWS"].split(",")]
GRACE_S = int(os.environ["GRACE"])
PARTITIONS = int(os.environ.get("PARTITIONS", "4"))


class Tokens(msgspec.Struct, gc=False):
    input: int = 0
    output: int = 0


class Answer(msgspec.Struct, gc=False):
    service: str
    model: str
    latency_ms: float
    tokens: Tokens
    cost_usd: float = 0.0
    status: str = "ok"


class Event(msgspec.Struct, gc=False):
    time: str
    data: Answer


decode = msgspec.json.Decoder(Event).decode
encode = msgspec.json.Encoder().encode

_seconds: dict[str, int] = {}


def second_of(time_: str) -> int:
    """Whole epoch seconds of a UTC time; the seconds of a log repeat, so they are remembered."""
    text = time_[:19]
    found = _seconds.get(text)
    if found is None:
        if len(_seconds) > 50_000:
            _seconds.clear()
        found = _seconds[text] = int(datetime.fromisoformat(text + "+00:00").timestamp())
    return found


# ---- a log histogram within 2 % ----
BASE = 1.04
SCALE = 1 / math.log(BASE)
log = math.log


def bucket(latency_ms: float) -> int:
    return int(log(latency_ms) * SCALE) if latency_ms >= 1 else 0


def p95(histogram: dict, n: int) -> float:
    """Nearest rank, ceil(0.95 n)."""
    left = math.ceil(0.95 * n)
    for index in sorted(histogram):
        left -= histogram[index]
        if left <= 0:
            return 2 * BASE ** (index + 1) / (BASE + 1)
    return 0.0


class Sums:
    """One pane of one (service, model)."""

    __slots__ = ("cost", "errors", "histogram", "latency", "most", "n", "tokens")

    def __init__(self) -> None:
        self.n = self.errors = self.tokens = 0
        self.latency = self.cost = self.most = 0.0
        self.histogram: dict[int, int] = {}

    def add(self, answer: Answer) -> None:
        latency = answer.latency_ms
        self.n += 1
        self.latency += latency
        self.cost += answer.cost_usd
        self.tokens += answer.tokens.input + answer.tokens.output
        if answer.status != "ok":
            self.errors += 1
        if latency > self.most:
            self.most = latency
        index = int(log(latency) * SCALE) if latency >= 1 else 0
        histogram = self.histogram
        histogram[index] = histogram.get(index, 0) + 1

    def record(self, service: str, model: str, size_s: int, start_s: int) -> bytes:
        sums = [self.n, self.errors, self.latency, self.cost, self.tokens, self.most]
        return encode(record(service, model, size_s, start_s, sums, p95(self.histogram, self.n)))


def record(service: str, model: str, size_s: int, start_s: int, sums: list, quantile: float) -> dict:
    """What every engine writes once for a closed pane; ``sums``: n, errors, latency, cost, tokens, largest latency."""
    names = ("count", "errors", "latency_sum", "cost_sum", "tokens_sum", "latency_max")
    pane = {"service": service, "model": model, "window": size_s, "start": start_s}
    return {**pane, **dict(zip(names, sums)), "latency_p95": quantile}


# ---- the marks ----
class Progress:
    """``begin`` before the first event is touched, ``seen(n)`` after every n events."""

    def __init__(self) -> None:
        self.n = 0

    def begin(self) -> None:
        if not self.n:
            _mark("first")
            self.n = 0.5  # begun

    def seen(self, n: int = 1) -> None:
        before = int(self.n)
        self.n = before + n
        if before < TOTAL <= self.n:
            _mark("last")


def _mark(what: str) -> None:
    used = os.times()
    with Path(os.environ["BENCH_MARK"]).open("a") as marks:
        marks.write(f"{what} {time.time():.6f} {used.user + used.system:.3f}\n")
