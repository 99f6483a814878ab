"""What must come out, counted straight over the source logs with plain dictionaries; shares no code with the product.

The definition: a minute of a source closes when its watermark passes the end plus the lateness; duplicates are found
within (partition, minute) by (source, id); late events count as spend of the watermark's minute; a clock ahead is cut to
the append time plus ``ahead_s``; what cannot be read, or is over its producer's quota, is refused, once.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tests.chaos.traffic import TAIL
from tests.e2e.harness.topic import Message

Key = tuple[str, int, str]
"""Service, start of the minute (epoch seconds), arm; arm ``*`` is the service's total."""
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Row(msgspec.Struct):
    """One minute of one arm; lists are summed exactly at the end."""

    count: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_max: float = 0.0
    latency: list[float] = []
    cost: list[float] = []
    quality: dict[str, list[float]] = {}

    def answered(self, data: Mapping[str, Any]) -> None:
        self.count += 1
        self.errors += data.get("status", "ok") != "ok"
        self.input_tokens += data.get("input_tokens", 0)
        self.output_tokens += data.get("output_tokens", 0)
        self.latency_max = max(self.latency_max, data["latency_ms"])
        self.latency.append(data["latency_ms"])
        self.cost.append(data.get("cost_usd", 0.0))

    def scored(self, data: Mapping[str, Any]) -> None:
        self.quality.setdefault(data["source"], []).append(data["quality"])


class Account(msgspec.Struct):
    """``late``: events by (service, minute start). ``orders``: actor -> service, of every distinct command."""

    rows: dict[Key, Row]
    late: dict[tuple[str, int], int]
    refused: dict[Place, bytes] = {}
    over_quota: int = 0
    orders: dict[str, str] = {}
    duplicates: int = 0
    repeated_orders: int = 0
    events: int = 0

    @property
    def late_events(self) -> int:
        return sum(self.late.values())


def account() -> Account:
    return Account(defaultdict(Row), defaultdict(int))


class _Source:
    """One partition of an evidence topic."""

    def __init__(self) -> None:
        self.watermark: int | None = None
        self.seen: dict[int, set[tuple[str, str]]] = defaultdict(set)
        self.spent: dict[tuple[int, str], int] = defaultdict(int)


class Rules(msgspec.Struct, frozen=True):
    """Settings that decide what is counted. ``quota``: events of a producer per minute and partition; 0: no quota."""

    lateness_s: int
    ahead_s: int
    quota: int = 0


class Counter:
    """Counts one evidence topic as it is read, in offset order per partition."""

    def __init__(self, total: Account, topic: str, rules: Rules) -> None:
        self._total, self._topic, self._rules = total, topic, rules
        self._sources: dict[int, _Source] = defaultdict(_Source)

    def take(self, message: Message) -> None:
        event = _evidence(message.value)
        time_s = _seconds(event["time"]) if event is not None else None
        if event is not None and time_s is not None:
            time_s = min(time_s, message.append_ms // 1000 + self._rules.ahead_s)
            if _count(self._total, self._sources[message.partition], event, time_s, self._rules):
                return
        self._total.refused[self._topic, message.partition, message.offset] = message.value

    def forget(self, before_minute: int) -> None:
        """Forget what cannot matter any more: ids and quotas of minutes before."""
        for source in self._sources.values():
            for minute in [m for m in source.seen if m < before_minute]:
                del source.seen[minute]
            for place in [p for p in source.spent if p[0] < before_minute]:
                del source.spent[place]


def count_evidence(total: Account, topic: str, messages: Iterable[Message], rules: Rules) -> None:
    """Add what one evidence topic must give."""
    counter = Counter(total, topic, rules)
    for message in messages:
        counter.take(message)


def _count(total: Account, source: _Source, event: dict[str, Any], time_s: int, rules: Rules) -> bool:
    """False: it is refused, being over its producer's quota."""
    lateness_s = rules.lateness_s
    mark, data = source.watermark, event["data"]
    late = mark is not None and time_s // 60 <= (mark - lateness_s) // 60 - 1
    minute = (mark if late and mark is not None else time_s) // 60
    source.watermark = max(mark if mark is not None else time_s, time_s)
    if (event["source"], event["id"]) in source.seen[minute]:
        total.duplicates += 1
        return True
    source.spent[minute, event["source"]] += 1
    if rules.quota and source.spent[minute, event["source"]] > rules.quota:
        total.over_quota += 1
        return False
    source.seen[minute].add((event["source"], event["id"]))
    service = data["receipt"]["service"] if "receipt" in data else data["service"]
    if service == TAIL:
        return True
    total.events += 1
    if late:
        total.late[service, minute * 60] += 1
        return True
    whole = total.rows[service, minute * 60, "*"]
    if "latency_ms" in data:
        total.rows[service, minute * 60, data["model"]].answered(data)
        whole.answered(data)
    else:
        whole.scored(data)
        if "receipt" in data:
            total.rows[service, minute * 60, data["receipt"]["arm"]].scored(data)
    return True


def count_orders(total: Account, messages: Iterable[Message]) -> None:
    """Every distinct command; a repeat is the same CloudEvent again."""
    for message in messages:
        data = json.loads(message.value)["data"]
        if data["actor"] in total.orders:
            total.repeated_orders += 1
        total.orders[data["actor"]] = data["service"]


def until(total: Account, minute_s: int) -> Account:
    """The account of minutes that end at or before ``minute_s`` (epoch seconds)."""
    return msgspec.structs.replace(
        total,
        rows={key: row for key, row in total.rows.items() if key[1] + 60 <= minute_s},
        late={key: n for key, n in total.late.items() if key[1] + 60 <= minute_s},
    )


def _evidence(value: bytes) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(value)
        data = event["data"]
        return (
            event
            if event["id"] and (data["latency_ms"] >= 0 if "latency_ms" in data else data["quality"] >= 0)
            else None
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _seconds(time: str) -> int | None:
    if not re.match(r"\d{4}-\d\d-\d\dT", time):
        return None
    try:
        seconds = int(datetime.fromisoformat(time).timestamp() // 1)
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= 0 else None
