"""The product's two stages and codec without Kafka: logs in memory, crashes, torn sends, zombies, one verdict."""

import random
from collections import defaultdict
from typing import Any

from app.adapters.codec import encode_output, make_decode
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.ports import Point, Record
from tests.chaos.account import Rules, account, count_evidence, count_orders
from tests.chaos.traffic import Plan, Role, letters
from tests.chaos.verdict import Found, Verdict, judge
from tests.core.engine.world import Landed, Log, Store, drive, interleave
from tests.e2e.harness.topic import Message

PARTITIONS: dict[Role, int] = {"responses": 2, "feedback": 1, "commands": 1}
FACTS = 2
LATENESS_S = 10
AHEAD_MS = 1 << 52
"""The append time of everything: no event is from the future."""


def verdict_of(seed: int, *, crashes: float, fold: Any = Fold, merge: Any = Merge) -> Verdict:
    """Run a small stream through ``fold`` and ``merge``, which may be broken ones, and judge what came out."""
    rnd = random.Random(seed)
    plan = Plan(
        events=250,
        seed=seed,
        step_s=3.0,
        idle=False,
        late=0.04,
        behind=0.0,
        commands=8,
        services=3,
        models=2,
        disorder_s=9.0,
        duplicates=0.15,
        garbage=0.01,
    )
    sources = _sources(plan)
    total, found, landed = account(), Found(), {}
    for role in ("responses", "feedback"):
        messages = [m for (r, _), log in sources.items() if r == role for m in log]
        count_evidence(total, role, messages, Rules(LATENESS_S, LATENESS_S))
    count_orders(total, sources["commands", 0])
    for (role, partition), messages in sources.items():
        landed[role, partition] = _ingest(rnd, fold, role, partition, messages, crashes)
        for record in landed[role, partition].dead:
            found.take_letter(_message(record))
    for partition in range(FACTS):
        log = interleave(rnd, [one.facts[partition] for one in landed.values()])
        for record in _optimize(rnd, merge, partition, log, crashes):
            (found.take_aggregate if record.role == "aggregates" else found.take_decision)(_message(record))
    return judge(total, found)


def _sources(plan: Plan) -> dict[tuple[Role, int], list[Message]]:
    logs: dict[tuple[Role, int], list[Message]] = defaultdict(list)
    for letter in letters(plan):
        count = PARTITIONS[letter.role]
        log = logs[letter.role, int(letter.spread * count)]
        log.append(_log_message(int(letter.spread * count), len(log), letter.value))
    return dict(logs) | _with_tails(plan, logs)


def _with_tails(plan: Plan, logs: Any) -> dict[tuple[Role, int], list[Message]]:
    from tests.chaos.traffic import _tail_feedback, _tail_response

    end_s = plan.base_s + plan.events * plan.step_s + 4000
    for (role, partition), log in logs.items():
        make = {"responses": _tail_response, "feedback": _tail_feedback}.get(role)
        if make is not None:
            import msgspec

            log.append(_log_message(partition, len(log), msgspec.json.encode(make(f"tail-{role}-{partition}", end_s))))
    return dict(logs)


def _log_message(partition: int, offset: int, value: bytes) -> Message:
    return Message(partition, offset, None, value, (), AHEAD_MS)


def _partition_of(service: str) -> int:
    return sum(service.encode()) % FACTS


def _ingest(
    rnd: random.Random, fold: Any, role: Role, partition: int, messages: list[Message], crashes: float
) -> Landed:
    landed = Landed()
    log: Log = [(m.offset, m.value) for m in messages]

    def make(point: Point | None) -> Any:
        return fold(
            f"{role}-{partition}",
            point,
            decode=make_decode(),
            lateness_s=LATENESS_S,
            ahead_s=LATENESS_S,
            topology={"responses": PARTITIONS["responses"], "feedback": PARTITIONS["feedback"]},
            facts_partitions=FACTS,
            partition_of=_partition_of,
            evidence=role != "commands",
        )

    drive(rnd, log, make, landed.put, crashes=crashes)
    return landed


def _optimize(rnd: random.Random, merge: Any, partition: int, log: Log, crashes: float) -> list[Record]:
    store, said, writers = Store(), [], iter(range(1_000_000))

    def put(record: Record) -> None:
        if record.role in ("services", "windows"):
            store.put(record)
        elif record.role in ("aggregates", "optimizations"):
            said.append(record)

    def make(point: Point | None) -> Any:
        return merge(
            partition,
            point,
            dict(store.services),
            dict(store.windows),
            writer=f"w{next(writers)}",
            lateness_s=LATENESS_S,
            silent_s=10**9,
            to_record=encode_output,
        )

    drive(rnd, log, make, put, crashes=crashes)
    return said


def _message(record: Record) -> Message:
    return Message(0, 0, record.key, record.value or b"", tuple(record.headers))
