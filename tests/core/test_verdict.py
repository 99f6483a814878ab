"""Verdicts: seeded rollouts end as they should; little or missing data never rolls back."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cell import Cell, Score
from app.core.stats.reward import Objective
from app.core.trial import Guardrails, Trial, next_step, observe, open_trial
from app.core.verdict import Verdict, judge
from benchmarks.worlds import World, roll_out

pytestmark = pytest.mark.simulation

RULES = Guardrails()
BETA = World(quality_sd=0.11, quality=0.85)


def cell(n: int, quality: float = 0.9, *, scores: int | None = None, ms: float = 800.0, errors: int = 0) -> Cell:
    log, scored = math.log(ms), n if scores is None else scores
    good = round(scored * quality)
    return Cell(
        n=n, errors=errors, latency_ms=ms * n, log_latency=log * n, log_latency_sq=(log * log + 0.04) * n, cost_n=n,
        cost_usd=0.002 * n, cost_sq=4.4e-6 * n, quality={"judge": Score(scored, float(good), float(good))},
    )  # fmt: skip


def watched(minutes: int, tried: Cell, control: Cell, *, complete: bool = True, step: int = 0) -> Trial:
    trial = open_trial("t", "new", "old", 0, 1)
    for s in range(step):
        trial = next_step(trial, 0, s + 2)
    for minute in range(minutes):
        trial = observe(trial, minute, tried, control, complete=complete)
    return trial


@pytest.mark.parametrize(
    "world",
    [World(), BETA, World(trend_points=0.05, wobble_points=0.03)],
    ids=["Bernoulli", "Beta scores", "trend and moving mix"],
)
def test_a_good_change_is_admitted(world: World) -> None:
    ends = [roll_out(world, RULES, seed) for seed in range(3)]
    assert [end.end for end in ends] == ["accepted"] * 3


def test_a_good_change_leaves_its_first_step_after_about_750_canary_requests() -> None:
    """A loose guard: over 15 runs the median itself errs by about 110; benchmarks/trials.py has the median of 600."""
    promoted = sorted(roll_out(World(), RULES, seed, 250).first_promotion or 10**6 for seed in range(15))
    assert 300 <= promoted[7] <= 1_000


@pytest.mark.parametrize(
    ("world", "metric"),
    [
        (World(quality_change=-0.10), "quality"),
        (World(quality_change=-0.045, quality=0.85, quality_sd=0.11), "quality"),
        (World(latency_change=0.25), "latency"),
        (World(error_change=0.06), "errors"),
    ],
)
def test_a_bad_change_is_rolled_back_for_the_right_reason(world: World, metric: str) -> None:
    ends = [roll_out(world, RULES, seed) for seed in range(3)]
    assert {(end.end, end.metric) for end in ends} == {("harm", metric)}


def test_sessions_that_stick_do_not_make_it_jump_to_conclusions() -> None:
    world = World(session_size=10, requests_per_minute=150.0)
    assert [roll_out(world, RULES, seed, 60).end == "harm" for seed in range(3)] == [False] * 3


def test_little_data_is_never_harm() -> None:
    terrible = watched(3, cell(8, 0.0, errors=8), cell(8, 1.0))
    assert judge(terrible, RULES).kind == "hold"
    assert all(interval.low is None for interval in judge(terrible, RULES).intervals)


def test_without_scores_quality_is_waited_for() -> None:
    verdict = judge(watched(60, cell(40, scores=0), cell(40, scores=0)), RULES)
    assert (verdict.kind, verdict.metric) == ("hold", "quality")


def test_quality_that_is_not_judged_is_not_waited_for() -> None:
    rules = msgspec.structs.replace(RULES, quality_points=None)
    assert judge(watched(60, cell(40, scores=0), cell(40, scores=0)), rules).kind == "safe"


def test_a_slice_without_traffic_holds() -> None:
    assert judge(watched(60, cell(40), Cell()), RULES).kind == "hold"
    assert judge(open_trial("t", "a", "b", 0, 1), RULES).kind == "hold"


def test_a_step_is_left_only_after_its_minutes() -> None:
    rules = msgspec.structs.replace(RULES, step_minutes=10)
    good = cell(300)
    assert judge(watched(9, good, good), rules).reason.startswith("9 of 10")
    assert judge(watched(10, good, good), rules).kind == "safe"


def test_incomplete_panes_show_harm_but_never_safety() -> None:
    good, bad = cell(300), cell(300, 0.5)
    assert judge(watched(60, good, good, complete=False), RULES).kind == "hold"
    verdict = judge(watched(5, bad, good, complete=False), RULES)
    assert (verdict.kind, verdict.metric, verdict.doubtful) == ("harm", "quality", True)


def test_a_lenient_metric_forgives_harm_inside_its_tolerance() -> None:
    slower = watched(30, cell(100, ms=880.0), cell(100, ms=800.0))
    assert judge(slower, RULES).metric == "latency"
    assert judge(slower, msgspec.structs.replace(RULES, latency_strict=False)).kind == "safe"


def test_time_runs_out_without_a_verdict() -> None:
    rules = msgspec.structs.replace(RULES, timeout_minutes=30)
    assert judge(watched(30, cell(1), cell(1)), rules).kind == "hold"
    assert judge(watched(31, cell(1), cell(1)), rules).kind == "timeout"


def test_intervals_are_in_the_units_people_read() -> None:
    shown = {i.metric: i for i in judge(watched(30, cell(100, 0.8, ms=960.0), cell(100, 0.9)), RULES).intervals}
    assert shown["quality"].estimate == pytest.approx(-0.1)
    assert shown["latency"].estimate == pytest.approx(0.2)
    for interval in shown.values():
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low <= interval.estimate <= interval.high
    assert shown["quality"].harm_p < 1e-4
    assert shown["errors"].harm_p == 1.0


def test_admission_asks_for_more_than_a_step_does() -> None:
    first, last = (watched(20, cell(40), cell(40), step=step) for step in (0, 3))
    wide, wider = (judge(trial, RULES).intervals[0] for trial in (first, last))
    assert wide.low is not None
    assert wider.low is not None
    assert wider.low < wide.low


def test_a_benefit_is_proven_at_the_last_step_only() -> None:
    cheap = msgspec.structs.replace(Guardrails(), cost_ratio=None)
    tried, control = cell(100), cell(100)
    tried.cost_usd, tried.cost_sq = 0.0005 * 100, 3e-7 * 100
    early, late = (judge(watched(60, tried, control, step=step), cheap, Objective()) for step in (2, 3))
    assert early.reward is None
    assert not early.benefit
    assert late.reward is not None
    assert late.reward.estimate == pytest.approx(0.3 * 0.0015 / 0.02, rel=1e-6)
    assert late.benefit == (late.reward.low is not None and late.reward.low > 0)
    assert judge(watched(900, tried, control, step=3), cheap, Objective()).benefit
    same = judge(watched(900, control, control, step=3), cheap, Objective())
    assert (same.kind, same.benefit) == ("safe", False)


Numbers = tuple[int, float, int, float]
numbers = st.tuples(st.integers(0, 50), st.floats(0, 1), st.integers(0, 50), st.floats(0.001, 1e6))


@given(st.lists(st.tuples(numbers, numbers, st.booleans()), max_size=12))
@settings(max_examples=40, deadline=None)
def test_any_panes_give_a_verdict_that_can_be_stored_and_repeated(panes: list[tuple[Numbers, Numbers, bool]]) -> None:
    trial = open_trial("t", "new", "old", 0, 1)
    for minute, (a, b, complete) in enumerate(panes):
        tried, control = (cell(n, q, scores=s, ms=ms, errors=n // 2) for n, q, s, ms in (a, b))
        trial = observe(trial, minute, tried, control, complete=complete)
    verdict = judge(trial, RULES, Objective())
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(trial), type=Trial)
    assert judge(restored, RULES, Objective()) == verdict
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(verdict), type=Verdict) == verdict
    assert b"Infinity" not in msgspec.json.encode(verdict)
