"""An independent count of what the optimizer must say: straight over the source log, with plain dictionaries.

It shares the definition (a minute per source closes when its watermark passes the end plus the lateness; duplicates are
found within minute and partition; late events count as spend in the watermark's minute) and no code with the product.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from tests.e2e.harness.topic import Message
from tests.e2e.harness.traffic import TAIL

Key = tuple[str, int, str]
"""Service, start of the minute (epoch seconds), model."""


class Expected(msgspec.Struct):
    """One minute of one service and model; lists are summed exactly at the end."""

    count: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_max: float = 0.0
    latency: list[float] = []
    cost: list[float] = []

    def add(self, data: dict[str, Any]) -> None:
        self.count += 1
        self.errors += data.get("status", "ok") != "ok"
        self.input_tokens += data.get("input_tokens", 0)
        self.output_tokens += data.get("output_tokens", 0)
        self.latency_max = max(self.latency_max, data["latency_ms"])
        self.latency.append(data["latency_ms"])
        self.cost.append(data.get("cost_usd", 0.0))


class Recount(msgspec.Struct):
    """What must be found: rows by key, late events by (service, minute start), the events that must be refused."""

    rows: dict[Key, Expected]
    late: dict[tuple[str, int], int]
    refused: set[tuple[int, int]]
    duplicates: int = 0


def recount(messages: Iterable[Message], lateness_s: int) -> Recount:
    """Count the messages of one evidence topic (tail events are not reported: their minute stays open)."""
    total = Recount(defaultdict(Expected), defaultdict(int), set())
    watermark: dict[int, int] = {}
    seen: dict[tuple[int, int], set[str]] = defaultdict(set)
    for message in messages:
        event = _acceptable(message.value)
        if event is None:
            total.refused.add((message.partition, message.offset))
            continue
        data, time_s = event["data"], _seconds(event["time"])
        mark = watermark.get(message.partition)
        late = mark is not None and time_s // 60 <= (mark - lateness_s) // 60 - 1
        minute = (mark if late and mark is not None else time_s) // 60
        watermark[message.partition] = max(mark if mark is not None else time_s, time_s)
        if event["id"] in seen[message.partition, minute]:
            total.duplicates += 1
            continue
        seen[message.partition, minute].add(event["id"])
        if data["service"] == TAIL:
            continue
        if late:
            total.late[data["service"], minute * 60] += 1
        else:
            total.rows[data["service"], minute * 60, data["model"]].add(data)
    return total


def _acceptable(value: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(value)
        return event if event["data"]["latency_ms"] >= 0 and event["id"] else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp() // 1)


def close_enough(found: float, parts: list[float]) -> bool:
    """``found`` is the sum of ``parts``, up to the rounding of any order of addition."""
    return math.isclose(found, math.fsum(parts), rel_tol=1e-9, abs_tol=1e-9)
