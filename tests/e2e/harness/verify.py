"""Compare ``llm.aggregates`` with the recount: every minute row, nothing more, nothing twice with two payloads."""

import json
import time
from datetime import datetime
from typing import Any

import msgspec

from tests.e2e.harness.deployment import Deployment
from tests.e2e.harness.recount import Expected, Key, Recount, close_enough
from tests.e2e.harness.topic import Follower, Message
from tests.e2e.harness.traffic import TAIL


class Found(msgspec.Struct):
    """The aggregates read so far. ``conflicts``: ids seen with two payloads."""

    rows: dict[Key, dict[str, Any]] = {}
    totals: dict[tuple[str, int], dict[str, Any]] = {}
    payloads: dict[bytes, bytes] = {}
    conflicts: list[bytes] = []
    repeated: int = 0

    def take(self, message: Message) -> None:
        id_ = dict(message.headers)["ce_id"]
        known = self.payloads.setdefault(id_, message.value)
        if known is not message.value:
            self.repeated += 1
            if known != message.value:
                self.conflicts.append(id_)
            return
        row = json.loads(message.value)
        if row["window_s"] != 60 or row["service"] == TAIL:
            return
        start_s = int(datetime.fromisoformat(row["window_start"]).timestamp())
        if row["arm"] == "*":
            self.totals[row["service"], start_s] = row
        elif row["slice"] == "*":
            self.rows[row["service"], start_s, row["arm"]] = row


def await_aggregates(deployment: Deployment, expected: Recount, within_s: float) -> Found:
    """Read until every expected row is there (or time is up), then to the end once more."""
    settings = deployment.settings
    follower, found = Follower(settings.kafka.bootstrap_servers, settings.topics.aggregates), Found()
    deadline = time.monotonic() + within_s
    try:
        while time.monotonic() < deadline and not _all_there(found, expected):
            for message in follower.new():
                found.take(message)
        for message in follower.new():
            found.take(message)
    finally:
        follower.close()
    return found


def _all_there(found: Found, expected: Recount) -> bool:
    return expected.rows.keys() <= found.rows.keys() and expected.late.keys() <= found.totals.keys()


def differences(found: Found, expected: Recount) -> list[str]:
    """Every way in which what was found is not what was counted; empty when it is exact."""
    wrong = [f"two payloads for id {id_!r}" for id_ in found.conflicts]
    wrong += [f"missing {key}" for key in sorted(expected.rows.keys() - found.rows.keys())]
    wrong += [f"unexpected {key}" for key in sorted(found.rows.keys() - expected.rows.keys())]
    for key in sorted(expected.rows.keys() & found.rows.keys()):
        wrong += [f"{key}: {text}" for text in _row(found.rows[key], expected.rows[key])]
    late = {key: row["late"] for key, row in found.totals.items() if row["late"]}
    wrong += [
        f"late {key}: found {late.get(key, 0)}, expected {expected.late.get(key, 0)}"
        for key in sorted(late.keys() | expected.late.keys())
        if late.get(key, 0) != expected.late.get(key, 0)
    ]
    return wrong


def _row(row: dict[str, Any], expected: Expected) -> list[str]:
    exact = {
        name: (row[name], getattr(expected, name)) for name in ("count", "errors", "input_tokens", "output_tokens")
    }
    wrong = [f"{name} {found}, expected {wanted}" for name, (found, wanted) in exact.items() if found != wanted]
    if not close_enough(row["latency_ms"]["mean"] * row["count"], expected.latency):
        wrong.append(f"latency sum {row['latency_ms']['mean'] * row['count']}, expected {sum(expected.latency)}")
    if not close_enough(row["cost_usd"], expected.cost):
        wrong.append(f"cost {row['cost_usd']}, expected {sum(expected.cost)}")
    if row["latency_ms"]["max"] != expected.latency_max:
        wrong.append(f"largest latency {row['latency_ms']['max']}, expected {expected.latency_max}")
    return wrong
