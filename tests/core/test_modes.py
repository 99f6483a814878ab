"""How a change reaches the traffic: the four modes, what each needs of the gateway, and what ends each."""

from typing import Any

import msgspec
import pytest

from app.core import modes
from app.core.cell import Cell, Score
from app.core.commands import About
from app.core.decision import Outcome, decode_decision, encode_outcome
from app.core.document import DocumentError, TrialPlan, from_object
from app.core.facts import ControlFact
from app.core.forecast import Spread, expected_minutes
from app.core.outputs import ACCEPTED, DECIDED, REFUSED
from app.core.row import Row, Tick
from app.core.service import step
from app.core.stats.reward import Objective
from app.core.trial import Guardrails, Mode, covers, next_step, observe
from app.core.verdict import judge
from tests.core.loop import SERVICE, Arm, Loop
from tests.core.test_flow import NOW_S, control, finding, row_of

ALL = ("weights", "slices", "sticky", "shadow")
PLAN = TrialPlan()


def plan(mode: Mode, **more: Any) -> TrialPlan:
    return msgspec.structs.replace(PLAN, mode=mode, **more)


# ---- the plan of each mode
@pytest.mark.parametrize(
    ("mode", "first", "slices", "progression"),
    [
        ("canary", 0.05, (0.05, 0.05), (5, 25, 50, 90, 100)),
        ("blue-green", 0.05, (0.05, 0.05), (5, 90, 100)),
        ("immediate", 0.9, (0.9, 0.1), (90, 100)),
        ("shadow", 0.0, (0.0, 0.05), (5, 25, 50, 90, 100)),
    ],
)
def test_every_mode_begins_with_its_own_share(mode, first, slices, progression):
    trial = modes.opened(plan(mode), "t", "new", "old", 0, 1)
    assert modes.first_share(plan(mode)) == first
    assert trial.slices == pytest.approx(slices)
    assert modes.progression(plan(mode), mode) == progression
    assert (trial.mode, trial.mirrored) == (mode, mode == "shadow")


@pytest.mark.parametrize(
    ("mode", "admitting"), [("canary", False), ("blue-green", True), ("immediate", True), ("shadow", False)]
)
def test_what_is_for_good_is_judged_as_strictly_from_the_first_step(mode, admitting):
    assert modes.opened(plan(mode), "t", "new", "old", 0, 1).admitting is admitting


def test_a_bake_lasts_longer_than_a_step_and_only_at_the_full_size():
    trial = modes.opened(plan("blue-green", bake_minutes=45), "t", "new", "old", 0, 1)
    first, last = (
        modes.baked(Guardrails(), one, plan("blue-green", bake_minutes=45)) for one in (trial, next_step(trial, 9, 2))
    )
    assert (first.step_minutes, last.step_minutes) == (5, 45)
    canary = next_step(modes.opened(PLAN, "t", "new", "old", 0, 1), 9, 2)
    assert modes.baked(Guardrails(), canary, plan("canary", bake_minutes=45)).step_minutes == 5


def test_what_was_mirrored_is_no_evidence_of_serving():
    mirrored = modes.opened(plan("shadow"), "t", "new", "old", 0, 4)
    served = modes.served(plan("shadow"), mirrored, 30, 9)
    assert (served.mode, served.step, served.started_minute, served.id) == ("canary", 0, 30, "t")
    assert not covers(served, 8)
    assert served.evidence == type(served.evidence)()


def test_the_forecast_knows_the_stages():
    times = {
        mode: expected_minutes(Guardrails(), 1000.0, Spread(), modes.stages(plan(mode, bake_minutes=600))) or 0.0
        for mode in ("canary", "blue-green", "immediate", "shadow")
    }
    assert times["canary"] == expected_minutes(Guardrails(), 1000.0, Spread())
    assert times["blue-green"] >= 600 <= times["immediate"]
    assert times["shadow"] > times["canary"]


@pytest.mark.parametrize(
    ("trial", "cause"),
    [
        ({"mode": "purple"}, "purple"),
        ({"mode": "blue-green", "bake_minutes": 600, "trial_minutes_max": 600}, "before its bake is over"),
        ({"steps": [100]}, "leaves a control slice"),
        ({"mode": "shadow", "shadow_percent": 95}, "90"),
    ],
)
def test_a_plan_that_cannot_be_is_an_error(trial, cause):
    with pytest.raises(DocumentError, match=cause):
        from_object({"service": "chat", "arms": [{"name": "a"}], "trial": trial})


# ---- what the gateway must be able to do
def said_by(row: Row, *capabilities: str) -> Row:
    assert row.split is not None
    outcome = Outcome(decision_id="d", service="chat", version=row.version, gateway="g", capabilities=capabilities)
    return step(row, ControlFact("llm.o-0", 7, "chat", ACCEPTED, "o", NOW_S, encode_outcome(outcome)), NOW_S)[0]


NEEDS = [
    # mode, what the gateway says, holdout, missing ("": it is tried)
    ("canary", (), 0.05, ""),
    ("canary", ("weights", "slices"), 0.05, ""),
    ("canary", ("weights",), 0.05, "slices"),
    ("canary", ("single_challenger",), 0.0, ""),
    ("canary", ("single_challenger",), 0.05, "slices"),
    ("blue-green", ("weights",), 0.05, "slices"),
    ("immediate", ("weights",), 0.05, "slices"),
    ("immediate", ("slices",), 0.05, ""),
    ("shadow", (), 0.05, "shadow"),
    ("shadow", ("weights", "slices", "sticky"), 0.05, "shadow"),
    ("shadow", ALL, 0.05, ""),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "able", "holdout", "missing"), NEEDS)
def test_what_the_gateway_cannot_do_is_refused_by_name(mode, able, holdout, missing):
    row = row_in(mode, holdout)
    row = said_by(row, *able) if able else row
    row, outputs = step(row, control("optimize-now", {}), NOW_S)
    decision = decode_decision(outputs[0].data)
    if missing:
        assert outputs[0].type == REFUSED
        assert row.trial is None
        assert f"gateway.{missing}" in decision.rationale
        assert {c.name for c in decision.constraints if not c.satisfied} == {f"gateway.{missing}"}
    else:
        assert outputs[0].type == DECIDED
    assert decision.deployment.strategy == mode


def row_in(mode: str, holdout: float, *arms: str, **more: Any) -> Row:
    named = [{"name": arm} for arm in ("large", "cheap", *arms)]
    document = {"service": "chat", "mode": "auto", "arms": named,
                "holdout_share": holdout, "trial": {"mode": mode}, **more}  # fmt: skip
    row, _ = step(row_of("large", "cheap", *arms), control("configure", {"document": document}), NOW_S)
    return row


def test_a_gateway_that_learns_to_mirror_is_asked_again():
    row = said_by(row_in("shadow", 0.05), "slices")
    row, outputs = step(row, control("optimize-now", {}), NOW_S)
    assert outputs[0].type == REFUSED
    row = said_by(row, *ALL)
    assert row.resting == {}
    row, outputs = step(row, control("optimize-now", {}), NOW_S)
    assert row.trial is not None and row.trial.mirrored


# ---- whole lives
def loop(mode: Mode, small: Arm, **trial: Any) -> Loop:
    one = Loop({"large": Arm(), "small": small}, requests=120)
    one.configure(
        from_object(
            {
                "service": SERVICE, "mode": "auto", "holdout_share": 0.0, "sticky": False, "verify": {"requests_min": 20},
                "arms": [{"name": "large"}, {"name": "small"}], "gateway": "g",
                "objective": {"cost_max_usd": 0.02, "latency_max_ms": 3000},
                "trial": {"mode": mode, "scored_min": 20, "step_minutes_min": 3, "bake_minutes": 20, "steps": [25, 90, 100], **trial},
            }
        )
    )  # fmt: skip
    one.accepts(*ALL)
    return one


BETTER = Arm(cost=0.002, quality=0.82)
WORSE = Arm(cost=0.002, quality=0.6)


def steps_seen(one: Loop) -> list[tuple[str, str, float]]:
    found = [decode_decision(output.data) for output in one.outputs if output.type == DECIDED]
    return [(d.action, d.deployment.strategy, d.deployment.step) for d in found if d.action != "configure"]


def over(one: Loop) -> bool:
    return one.row.last_action in ("promote", "roll-back")


@pytest.mark.simulation
def test_a_better_arm_is_found_in_shadow_and_promoted_as_a_canary():
    one = loop("shadow", BETTER, shadow_percent=40).run(3)
    assert one.row.trial is not None and one.row.trial.mirrored
    assert one.served["shadow", "small"] > 0
    assert [key for key in one.served if key[1] == "small"] == [("shadow", "small")]
    one.run(900, over)
    seen = steps_seen(one)
    assert seen[:2] == [("open-trial", "shadow", 40.0), ("next-step", "canary", 25.0)]
    assert seen[-1][0] == "promote"
    assert one.row.incumbent == "small"


@pytest.mark.simulation
def test_a_bad_arm_found_in_shadow_is_never_served():
    one = loop("shadow", WORSE, shadow_percent=20).run(300, over)
    assert [action for action, *_ in steps_seen(one)] == ["open-trial", "roll-back"]
    assert {slice_ for slice_, arm in one.served if arm == "small"} == {"shadow"}


@pytest.mark.simulation
def test_blue_green_switches_after_admission_bakes_and_takes_over():
    one = loop("blue-green", BETTER).run(900, over)
    seen = steps_seen(one)
    assert seen == [("open-trial", "blue-green", 25.0), ("next-step", "blue-green", 90.0), ("promote", "none", 100.0)]
    minutes = [o.time_s // 60 for o in one.outputs if o.type == DECIDED][-3:]
    assert minutes[2] - minutes[1] >= 20
    one.order("rollback", About())
    assert one.row.incumbent == "large"


@pytest.mark.simulation
def test_one_command_brings_the_old_split_back_during_the_bake():
    one = loop("blue-green", BETTER).run(900, lambda it: it.row.trial is not None and it.row.trial.step == 1)
    one.order("rollback", About())
    split = one.row.split
    assert (one.row.incumbent, one.row.trial) == ("large", None)
    assert split is not None and (split.trial, split.weights) == (None, {"*": {"large": 1.0}})


@pytest.mark.simulation
@pytest.mark.parametrize("mode", ["immediate", "blue-green"])
def test_harm_in_the_bake_is_rolled_back(mode):
    one = loop(mode, BETTER).run(900, lambda it: it.row.trial is not None and it.row.trial.last_step)
    one.arms["small"] = WORSE
    one.run(60, over)
    assert one.row.incumbent == "large"
    assert steps_seen(one)[-1][0] == "roll-back"


@pytest.mark.simulation
def test_immediate_takes_nearly_all_at_once_and_over_after_its_bake():
    one = loop("immediate", BETTER).run(15)
    assert [strategy for _, strategy, _ in steps_seen(one)] == ["immediate"]
    one.run(300, over)
    assert steps_seen(one) == [("open-trial", "immediate", 90.0), ("promote", "none", 100.0)]
    opened, ended = ([o.time_s for o in one.outputs if o.type == DECIDED])[-2:]
    assert ended - opened >= 20 * 60


@pytest.mark.simulation
@pytest.mark.parametrize("mode", ["blue-green", "immediate", "shadow"])
def test_worthless_arms_do_not_take_over(mode):
    one = loop(mode, Arm(), trial_minutes_max=30)
    one.requests = 60
    one.run(40, over)
    assert one.row.incumbent == "large"
    assert steps_seen(one)[-1][0] == "roll-back"


# ---- what freezes every mode
def answers(n: int, quality: float, cost: float) -> Cell:
    score = Score(n, n * quality, n * quality * quality)
    return Cell(n=n, latency_ms=900.0 * n, log_latency=6.8 * n, log_latency_sq=6.8 * 6.8 * n, cost_n=n,
                cost_usd=n * cost, cost_sq=n * cost * cost, quality={"judge": score})  # fmt: skip


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("mode", ["canary", "blue-green", "immediate", "shadow"])
def test_incomplete_minutes_are_no_evidence_for_going_on(mode, complete):
    chosen = plan(mode, bake_minutes=10)
    trial = modes.opened(chosen, "t", "new", "old", 0, 1)
    for minute in range(40):
        trial = observe(trial, minute, answers(200, 0.85, 0.002), answers(200, 0.8, 0.01), complete=complete)
    rules = modes.baked(Guardrails(), trial, chosen)
    found = judge(trial, rules, Objective(quality=0.6, cost=0.3, latency=0.1, cost_max_usd=0.02, latency_max_ms=3000))
    assert found.kind == ("safe" if complete else "hold")
    assert found.benefit == (complete and trial.admitting)


@pytest.mark.parametrize("mode", ["canary", "blue-green", "immediate", "shadow"])
def test_an_open_trial_of_any_mode_is_the_only_one(mode):
    row = said_by(row_in(mode, 0.05, "good"), *ALL)
    row, _ = step(row, control("optimize-now", {}), NOW_S)
    assert row.trial is not None
    first = row.trial.arm
    _, outputs = step(row, control("optimize-now", {}), NOW_S)
    assert f"open trial of {first}" in msgspec.json.decode(outputs[0].data)["rationale"]
    row, _ = step(row, control("experiment.start", {"arms": [{"cheap": "good", "good": "cheap"}[first]]}), NOW_S)
    row, outputs = step(row, Tick(), NOW_S + 60)
    assert (len(row.queue), outputs) == (1, [])


def test_what_serves_nobody_is_not_to_blame_for_everything():
    row = said_by(row_in("shadow", 0.05, "fast", strategy={"backup": "fast"}), *ALL)
    row, _ = step(row, control("experiment.start", {"arms": ["cheap"]}), NOW_S)
    row, _ = step(row, Tick(), NOW_S)
    assert row.trial is not None and row.trial.mirrored
    row, outputs = step(row, finding("critical", "latency_ms", "*"), NOW_S)
    assert decode_decision(outputs[0].data).action == "fail-over"
    assert row.incumbent == "fast"
