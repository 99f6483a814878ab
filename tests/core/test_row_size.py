"""The changelog value of a row stays inside its bound, however much a service of 10 arms and 5 segments has lived."""

import random
from typing import Any

import msgspec
import pytest

from app.core.budget import Budgeting
from app.core.by_segment import Pair
from app.core.cell import SESSION_GROUPS, Cell, Group, Score
from app.core.compact import LARGE, compact, expanded
from app.core.document import Arm, Segments, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.experiments import MAX_TOGETHER
from app.core.merge import KeptRow, decode_row, encode_row
from app.core.off_policy import METRICS, OffPolicy, Strata
from app.core.patrol import Patrol
from app.core.profile import Profile
from app.core.propensity import Shares
from app.core.quality_kept import QualityKept, Scores
from app.core.queue import MAX_QUEUE, Queued
from app.core.row import HISTORY, Past, Rest, Row
from app.core.savings import Moments, Savings
from app.core.split import Split
from app.core.stats.clustered import Grouped
from app.core.stats.moments import ArmSums
from app.core.stats.two_window import BUCKETS, Bucket
from app.core.trial import observe, open_trial
from app.core.verify import Watch
from app.core.weights import ArmState, Mix

BOUND = 64_000
ARMS = tuple(f"provider-{i}/model-name-{i}" for i in range(10))
SEGMENTS = tuple(f"segment-{i}" for i in range(4))
PARTS = (*SEGMENTS, "other")


COUNTS = frozenset(("n", "errors", "cost_n", "scores", "requests", "scored", "today"))


def noisy(value: Any, source: random.Random, *, count: bool = False) -> Any:
    """``value`` with every float drawn anew, so that nothing about it can be guessed; counts are whole."""
    if isinstance(value, float):
        return float(source.randrange(1, 10**6)) if count else source.random() / 2
    if isinstance(value, msgspec.Struct):
        fields = {f: noisy(getattr(value, f), source, count=f in COUNTS) for f in value.__struct_fields__}
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, dict):
        return {k: noisy(v, source) for k, v in value.items()}
    return tuple(noisy(v, source, count=count) for v in value) if isinstance(value, tuple) else value


def fullest() -> Row:
    """Every bounded part as long as it gets."""
    weights = {segment: dict.fromkeys(ARMS, 0.1) for segment in PARTS}
    grouped = Grouped((0.0,) * SESSION_GROUPS, (0.0,) * SESSION_GROUPS)
    bucket = Bucket(requests=(0.0,) * 5, scored=(0.0,) * 5)
    document = completed(
        ServiceDocument(
            service="support-chat", mode="auto", policy="mix", budget=Budget(day_usd=5.0, month_usd=100.0),
            arms=tuple(Arm(name=a, prompt_version="v12", region="eu-west-1") for a in ARMS),
            segments=Segments(by="tenant", values=SEGMENTS),
        )
    )  # fmt: skip
    groups = {g: Group(3, 1, 20.0, 0.1, 2, 1.5, 900) for g in range(SESSION_GROUPS)}
    cell = Cell(n=192, log_latency=1280.0, log_latency_sq=9000.0, cost_n=192, cost_usd=6.4, cost_sq=0.3,
                quality={"judge": Score(128, 96.0, 80.0)}, groups=groups)  # fmt: skip
    trial = observe(open_trial("t" * 32, ARMS[9], ARMS[0], 0, 1), 1, cell, cell)
    trial = observe(trial, 2, cell, cell, complete=False)
    identity, day = "0" * 32, Budgeting(hours=(0.0,) * 24, today=(0.0,) * 24)
    return Row(
        service="support-chat", document=document, declared=True, incumbent=ARMS[0], admitted=ARMS, version=10**6,
        split=Split(service="support-chat", version=1, decision_id=identity, incumbent=ARMS[0], weights=weights,
                    arms=tuple(arm.definition() for arm in document.arms), segments=SEGMENTS),
        trial=trial, profiles={a: Profile() for a in ARMS}, weights=weights, decided_weights=weights,
        mix=Mix(PARTS, tuple(ArmState(a, (ArmSums(),) * 5, (bucket,) * BUCKETS) for a in ARMS), ((0.1,) * 10,) * 5,
                (True,) * 5),
        resting={a: Rest(2**31, 5, "its trial stayed undecided") for a in ARMS},
        savings=Savings({a: Moments() for a in ARMS}, groups=grouped),
        history=(Past(10**6, identity, ARMS[0], Shares(0.05, ARMS[0], weights)),) * HISTORY,
        quality_kept=QualityKept({a: Scores() for a in ARMS}, groups=grouped), budgeting=msgspec.structs.replace(day, segments=dict.fromkeys(PARTS, day)),
        queue=(Queued(ARMS[1], cause="an order of a person", experiment=identity, actor="somebody@example.com"),) * MAX_QUEUE,
        trial_segments={segment: Pair() for segment in PARTS},
        off_policy=OffPolicy(
            ARMS[0], {a: (Strata(),) * len(METRICS) for a in ARMS}, ARMS, ((0.0,) * SESSION_GROUPS,) * 4, (0.0,) * 4
        ),
        patrol=Patrol(Watch(identity, 10**6, 2**31, {f"main|{a}": 10**6 for a in ARMS} | {"trial|x": 1, "control|x": 1})),
    )  # fmt: skip


def test_the_fullest_row_of_ten_arms_and_five_segments_stays_inside_its_bound() -> None:
    row = fullest()
    drawn = noisy(row, random.Random(1))
    weights = drawn.split.weights  # those in force are those of the split
    row = msgspec.structs.replace(drawn, document=row.document, weights=weights, decided_weights=weights)
    kept = KeptRow(1 << 40, {f"llm.commands-{i}": 1 << 40 for i in range(12)}, row)
    value = encode_row(kept)
    assert LARGE < len(value) < BOUND < len(msgspec.msgpack.encode(kept))
    assert decode_row(value) == kept


def test_challengers_on_trial_together_add_no_more_than_six_kilobytes_each() -> None:
    row = fullest()
    assert row.trial is not None
    rivals = tuple(msgspec.structs.replace(row.trial, arm=ARMS[i]) for i in range(1, MAX_TOGETHER))
    row = noisy(msgspec.structs.replace(row, contest=rivals), random.Random(1))
    value = encode_row(KeptRow(1 << 40, {}, msgspec.structs.replace(row, document=fullest().document)))
    assert len(value) < BOUND + 6_000 * (MAX_TOGETHER - 1)


def test_a_small_row_is_kept_as_it_was_before() -> None:
    kept = KeptRow(7, {}, Row(service="s", document=completed(ServiceDocument(service="s", arms=(Arm(name="a"),)))))
    assert encode_row(kept) == msgspec.msgpack.encode(kept)
    assert decode_row(msgspec.msgpack.encode(kept)) == kept


def test_a_damaged_value_is_an_error_with_its_size() -> None:
    value = compact(b"x" * LARGE)
    assert expanded(value) == b"x" * LARGE
    with pytest.raises(ValueError, match=f"{len(value) - 3} bytes is damaged"):
        expanded(value[:-3])
