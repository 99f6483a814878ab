"""Compare what came out with the account: lost, doubled, conflicting, late, dead letters, commands. Pure."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tests.chaos.account import Account, Key, Place, Row
from tests.chaos.traffic import TAIL
from tests.e2e.harness.topic import Message

SHOWN = 8
"""Violations of a kind that are shown; the rest is a number."""


class Found(msgspec.Struct):
    """What was read of the public topics so far, the first of every id. ``conflicts``: ids seen with two payloads."""

    rows: dict[Key, dict[str, Any]] = {}
    letters: dict[Place, bytes] = {}
    decisions: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    conflicts: list[str] = []
    repeated: int = 0
    incomplete: set[tuple[str, int]] = set()
    _payloads: dict[bytes, bytes] = {}

    @property
    def size(self) -> int:
        """Records read so far."""
        return len(self._payloads) + len(self.letters) + self.repeated

    def _new(self, message: Message) -> bool:
        id_ = dict(message.headers)["ce_id"]
        known = self._payloads.get(id_)
        if known is None:
            self._payloads[id_] = message.value
            return True
        self.repeated += 1
        if known != message.value:
            self.conflicts.append(f"id {id_.decode()} came with two payloads: {known!r} and {message.value!r}"[:1500])
        return False

    def take_aggregate(self, message: Message) -> None:
        """Minutes only; rows of one slice are parts of the others."""
        if not self._new(message):
            return
        row = json.loads(message.value)
        if row["window_s"] != 60 or row["service"] == TAIL or row["slice"] != "*":
            return
        start_s = int(datetime.fromisoformat(row["window_start"]).timestamp())
        if row["arm"] == "*" and not row["complete"]:
            self.incomplete.add((row["service"], start_s))
        self.rows[row["service"], start_s, row["arm"]] = row

    def take_decision(self, message: Message) -> None:
        """Count per (actor, service); actors are one to a command here."""
        if not self._new(message):
            return
        decision = json.loads(message.value)
        actor = decision.get("evidence", {}).get("actor")
        if actor:
            self.decisions[actor, decision["service"]] += 1

    def take_letter(self, message: Message) -> None:
        """A dead letter may be written again after a crash, then it is the same bytes from the same place."""
        headers = dict(message.headers)
        place = (
            headers["source_topic"].decode(),
            int(headers["source_partition"]),
            int(headers["source_offset"]),
        )
        known = self.letters.get(place)
        if known is None:
            self.letters[place] = message.value
            return
        self.repeated += 1
        if known != message.value:
            self.conflicts.append(f"dead letter {place} came with two payloads")


class Verdict(msgspec.Struct):
    """Violations by kind, and what was looked at."""

    violations: dict[str, list[str]]
    events: int = 0
    rows: int = 0
    late: int = 0
    duplicates: int = 0
    letters: int = 0
    over_quota: int = 0
    orders: int = 0
    repeated_orders: int = 0
    repeated: int = 0

    @property
    def exact(self) -> bool:
        return not any(self.violations.values())

    def lines(self) -> list[str]:
        """The violations, a few of each kind."""
        said = []
        for kind, found in self.violations.items():
            said += [f"{kind}: {text}" for text in found[:SHOWN]]
            if len(found) > SHOWN:
                said.append(f"{kind}: {len(found) - SHOWN} more")
        return said


def judge(expected: Account, found: Found, until_s: float = math.inf) -> Verdict:
    """``until_s``: minutes that end later are not judged (of live traffic the last ones are still open)."""
    rows = {key: row for key, row in found.rows.items() if key[1] + 60 <= until_s}
    lost, doubled, wrong = _counts(expected.rows, rows)
    violations = {
        "lost": lost,
        "doubled": doubled,
        "wrong": wrong,
        "conflicting": list(found.conflicts),
        "late": list(_late(expected.late, rows)),
        "dead letters": list(_letters(expected.refused, found.letters)),
        "commands": list(_orders(expected.orders, found.decisions)),
    }
    return Verdict(
        violations,
        events=expected.events,
        rows=len(expected.rows),
        late=expected.late_events,
        duplicates=expected.duplicates,
        letters=len(expected.refused),
        over_quota=expected.over_quota,
        orders=len(expected.orders),
        repeated_orders=expected.repeated_orders,
        repeated=found.repeated,
    )


def _counts(
    expected: Mapping[Key, Row], found: Mapping[Key, Mapping[str, Any]]
) -> tuple[list[str], list[str], list[str]]:
    lost: list[str] = []
    doubled: list[str] = []
    wrong: list[str] = []
    for key in sorted(expected.keys() | found.keys()):
        want, have = expected.get(key, Row()), found.get(key)
        for name, wanted, had in _numbers(want, have):
            if had != wanted:
                (lost if had < wanted else doubled).append(f"{key}: {name} {had}, expected {wanted}")
        if have is not None and not lost and not doubled:
            wrong += [f"{key}: {text}" for text in _sums(want, have)]
    return lost, doubled, wrong


def _numbers(want: Row, have: Mapping[str, Any] | None) -> Iterable[tuple[str, int, int]]:
    for name in ("count", "errors", "input_tokens", "output_tokens"):
        yield name, getattr(want, name), have[name] if have is not None else 0
    scores = have["quality"] if have is not None else {}
    for channel in sorted(want.quality.keys() | scores.keys()):
        yield f"scores of {channel}", len(want.quality.get(channel, ())), scores.get(channel, {}).get("n", 0)


def _sums(want: Row, have: Mapping[str, Any]) -> Iterable[str]:
    latency = have["latency_ms"]
    sums = [("latency", latency["mean"] * have["count"], want.latency), ("cost", have["cost_usd"], want.cost)]
    sums += [(f"scores of {c}", s["mean"] * s["n"], want.quality.get(c, [])) for c, s in have["quality"].items()]
    for name, had, parts in sums:
        if not math.isclose(had, math.fsum(parts), rel_tol=1e-9, abs_tol=1e-9):
            yield f"sum of {name} {had}, expected {math.fsum(parts)}"
    if latency["max"] != want.latency_max:
        yield f"largest latency {latency['max']}, expected {want.latency_max}"


def _late(expected: Mapping[tuple[str, int], int], found: Mapping[Key, Mapping[str, Any]]) -> Iterable[str]:
    have = {(key[0], key[1]): row["late"] for key, row in found.items() if key[2] == "*" and row["late"]}
    for place in sorted(have.keys() | expected.keys()):
        if have.get(place, 0) != expected.get(place, 0):
            yield f"{place}: {have.get(place, 0)}, expected {expected.get(place, 0)}"


def _letters(expected: Mapping[Place, bytes], found: Mapping[Place, bytes]) -> Iterable[str]:
    for place in sorted(expected.keys() | found.keys()):
        if place not in found:
            yield f"{place} is missing"
        elif place not in expected:
            yield f"{place} was acceptable"
        elif expected[place] != found[place]:
            yield f"{place} was touched"


def _orders(expected: Mapping[str, str], found: Mapping[tuple[str, str], int]) -> Iterable[str]:
    for (actor, service), times in sorted(found.items()):
        if times > 1:
            yield f"{actor} was applied {times} times to {service}"
        if expected.get(actor, service) not in (service, "*"):
            yield f"{actor} was applied to {service}, meant for {expected[actor]}"
    for actor, service in sorted(expected.items()):
        if service != "*" and not found.get((actor, service)):
            yield f"{actor} was never applied to {service}"
