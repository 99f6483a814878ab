"""Several challengers in one trial slice: who leaves, who goes on alone, and what is said of it."""

from typing import Any

import msgspec
import pytest

from app.core import modes
from app.core.answers import allow_proposal
from app.core.commands import ExperimentStart
from app.core.contest import SURPASSED, WORSE, Standing, chosen, standings
from app.core.decision import Decision, decode_decision
from app.core.document import TrialPlan, from_object
from app.core.outputs import DECIDED, EXPERIMENT_COMPLETED, PROPOSED
from app.core.row import Row, Tick
from app.core.service import step
from app.core.stats.reward import Objective
from app.core.trial import Guardrails, Trial, observe, open_trial
from app.core.verdict import Interval, Verdict, judge
from tests.core.loop import SERVICE, Arm, Loop
from tests.core.test_flow import NOW_S, control, finding, row_of
from tests.core.test_modes import ALL, answers, said_by

ARMS = ("cheap", "good", "fast")
OBJECTIVE = Objective(quality=0.6, cost=0.3, latency=0.1, cost_max_usd=0.02, latency_max_ms=3000)


# ---- the rule
def standing(
    arm: str,
    kind: str = "safe",
    estimate: float | None = 0.02,
    p: float = 1.0,
    judged: int = 100,
    high: float = 1.0,
    quality: float = 0.0,
) -> Standing:
    reward = None if estimate is None else Interval("reward", estimate, estimate - 0.1, high)
    verdict = Verdict(kind, "quality", intervals=(Interval("quality", quality, tolerance=0.05),))  # type: ignore[arg-type]  # a test names its kind
    return Standing(open_trial("t", arm, "large", 0, 1), verdict, reward, p, judged)


CHOICES: list[tuple[str, list[Standing], str]] = [
    ("nobody is safe", [standing("a", "hold", p=0.0), standing("b", "hold")], ""),
    ("safe, leading and proven", [standing("a", estimate=0.03, p=0.01), standing("b", "hold")], "a"),
    ("proven, but another leads", [standing("a", estimate=0.03, p=0.01), standing("b", "hold", 0.04)], ""),
    ("proven, but of another nothing is known", [standing("a", p=0.01), standing("b", "hold", None)], ""),
    ("leading, not proven", [standing("a", estimate=0.03, p=0.06), standing("b")], ""),
    ("proven to be worse", [standing("a", estimate=-0.03, p=0.0), standing("b", estimate=-0.04)], ""),
    ("leading after enough was judged", [standing("a", estimate=0.03, judged=500), standing("b", judged=500)], "a"),
    ("not after enough of every arm", [standing("a", estimate=0.03, judged=900), standing("b", judged=499)], ""),
    ("leading, but worse than the control", [standing("a", estimate=-0.01, judged=500), standing("b", "hold", -0.2, judged=500)], ""),
    ("another leads, not yet safe", [standing("a", judged=900), standing("b", "hold", 0.05, judged=900)], ""),
    ("another leads, and will hardly be safe", [standing("a", judged=900), standing("b", "hold", 0.05, judged=900, quality=-0.06)], "a"),
    ("nobody looks safe", [standing("a", "hold", p=0.0, quality=-0.06)], ""),
]  # fmt: skip


@pytest.mark.parametrize(("what", "all_", "name"), CHOICES, ids=[what for what, *_ in CHOICES])
def test_who_goes_on_alone(what, all_, name):
    best = chosen(all_, alpha=0.05, enough=500)
    assert ("" if best is None else best.trial.arm) == name


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (standing("a", "harm"), "its trial showed harm in quality"),
        (standing("a", "timeout"), "its trial stayed undecided"),
        (standing("a", "hold", -0.2, high=-0.01), WORSE),
        (standing("a", "hold", -0.2, high=0.01), ""),
        (standing("a", "hold", None), ""),
    ],
)
def test_who_leaves(one, why):
    assert one.lost == why


def tried(quality: float, cost: float = 0.01, minutes: int = 30) -> Trial:
    trial = open_trial("t", "x", "large", 0, 1)
    for minute in range(minutes):
        trial = observe(trial, minute, answers(40, quality, cost), answers(40, 0.8, 0.01))
    return trial


def test_p_values_are_adjusted_for_all_that_began():
    rules = Guardrails(alpha=0.05 / 4)
    trials = [tried(0.8, 0.0099, 3), tried(0.8, 0.0095, 3)]
    verdicts = [judge(trial, rules, OBJECTIVE) for trial in trials]
    two = [one.p_value for one in standings(trials, verdicts, rules, OBJECTIVE, arms=2)]
    four = [one.p_value for one in standings(trials, verdicts, rules, OBJECTIVE, arms=4)]
    assert all(0 < a <= b <= 1 for a, b in zip(two, four, strict=True))
    assert min(four) == pytest.approx(min(1.0, 2 * min(two)))


def test_equal_parts_for_the_challengers_and_the_control():
    for arms in range(2, 9):
        share, control_share = modes.contest_shares(TrialPlan(), arms)
        assert share / arms == pytest.approx(control_share)
        assert share + control_share == pytest.approx(0.10)


def test_fewer_requests_each_take_longer():
    one, four = (modes.stages(TrialPlan(), arms)[0] for arms in (1, 4))
    assert one.trial == 0.05
    assert four.trial == pytest.approx(0.02)


# ---- at a service
def opened(*arms: str, able: tuple[str, ...] = ALL, **more: Any) -> Row:
    row = said_by(row_of(**more), *able)
    row, _ = step(row, control("experiment.start", {"arms": list(arms or ARMS), "name": "spring"}), NOW_S)
    return step(row, Tick(), NOW_S)[0]


def on_trial(row: Row) -> list[str]:
    return [one.arm for one in row.challengers]


def test_the_challengers_of_an_experiment_share_one_trial():
    row = opened()
    assert (on_trial(row), row.queue) == (list(ARMS), ())
    assert row.split is not None and row.split.trial is not None
    trial = row.split.trial
    assert (trial.arms, trial.share, trial.control_share) == (ARMS, 0.075, 0.025)
    assert len({one.id for one in row.challengers}) == 1


@pytest.mark.parametrize(
    ("able", "more"),
    [
        (("weights", "slices", "single_challenger"), {}),
        (ALL, {"trial": {"mode": "blue-green"}}),
    ],
)
def test_where_they_cannot_share_they_queue_one_after_the_other(able, more):
    document = {"service": "chat", "mode": "auto", "arms": [{"name": a} for a in ("large", *ARMS)], **more}
    row, _ = step(said_by(row_of(), *able), control("configure", {"document": document}), NOW_S)
    row, _ = step(row, control("experiment.start", {"arms": list(ARMS)}), NOW_S)
    row, _ = step(row, Tick(), NOW_S)
    assert on_trial(row) == ["cheap"]
    assert [turn.arm for turn in row.queue] == ["good", "fast"]


def test_more_than_four_have_their_turn_in_a_second_trial():
    names = [f"a{i}" for i in range(6)]
    document = {"service": "chat", "mode": "auto", "arms": [{"name": a} for a in ("large", *names)]}
    row, _ = step(said_by(row_of(), *ALL), control("configure", {"document": document}), NOW_S)
    row, _ = step(row, control("experiment.start", {"arms": names}), NOW_S)
    row, _ = step(row, Tick(), NOW_S)
    assert (on_trial(row), [turn.arm for turn in row.queue]) == (names[:4], names[4:])
    row, _ = step(row, control("abort", {}), NOW_S)
    row, _ = step(row, Tick(), NOW_S + 900)
    assert (on_trial(row), row.queue) == (names[4:], ())


def test_a_gateway_that_never_said_what_it_can_gets_them_one_after_the_other():
    row, _ = step(row_of(), control("experiment.start", {"arms": list(ARMS)}), NOW_S)
    assert on_trial(step(row, Tick(), NOW_S)[0]) == ["cheap"]


def test_a_critical_finding_takes_one_of_them_out_and_leaves_its_share_to_the_rest():
    row, outputs = step(opened(), finding("critical", "quality_judge", "cheap"), NOW_S)
    decision = decode_decision(outputs[0].data)
    assert (decision.action, on_trial(row)) == ("drop-arm", ["good", "fast"])
    assert "cheap leaves the trial, good and fast share what is free" in decision.rationale
    assert row.split is not None and row.split.trial is not None
    assert row.split.trial.share == pytest.approx(2 / 30)
    assert row.experiments[0].tried[0].outcome == "lost" and row.trial_experiment
    row, _ = step(row, finding("critical", "quality_judge", "good"), NOW_S)
    assert row.split is not None and row.split.trial is not None
    assert (on_trial(row), row.split.trial.arms, row.split.trial.share) == (["fast"], (), 0.05)


@pytest.mark.parametrize("verb", ["abort", "rollback", "freeze"])
def test_one_command_ends_it_for_all(verb):
    row, _ = step(opened(), control(verb, {}), NOW_S)
    assert (row.challengers, row.incumbent, row.resting) == ((), "large", {})
    assert row.split is not None and row.split.trial is None
    if verb != "freeze":
        assert row.experiments == ()


def test_nobody_is_promoted_by_hand_while_there_are_several():
    row, outputs = step(opened(), control("promote", {}), NOW_S)
    assert len(row.challengers) == 3
    assert "cheap, good, fast are on trial together" in msgspec.json.decode(outputs[0].data)["rationale"]


def test_a_person_says_yes_to_all_of_them_at_once():
    row = said_by(row_of(mode="approve"), *ALL)
    row, _ = step(row, control("experiment.start", {"arms": list(ARMS)}), NOW_S)
    row, outputs = step(row, Tick(), NOW_S)
    assert [o.type for o in outputs] == [PROPOSED]
    assert row.proposal is not None and row.proposal.rivals == ("good", "fast")
    row, _ = allow_proposal(row, NOW_S, "person", "on-demand", "ada")
    assert on_trial(row) == list(ARMS)


def test_a_row_with_several_challengers_survives_its_bytes():
    row = opened()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row) == row


# ---- whole lives
def loop(arms: dict[str, Arm], requests: int = 300, **trial: Any) -> Loop:
    one = Loop({"large": Arm(), **arms}, requests=requests)
    one.configure(
        from_object(
            {
                "service": SERVICE, "mode": "auto", "holdout_share": 0.0, "sticky": False, "verify": {"requests_min": 20},
                "arms": [{"name": name} for name in one.arms], "gateway": "g",
                "objective": {"cost_max_usd": 0.02, "latency_max_ms": 3000},
                "trial": {"scored_min": 20, "step_minutes_min": 3, "contest_percent": 80, "steps": [20, 90, 100],
                          "contest_scored": 400, **trial},
            }
        )
    )  # fmt: skip
    one.accepts(*ALL)
    one.order("experiment.start", ExperimentStart(arms=tuple(arms)))
    return one


def decided(one: Loop) -> list[Decision]:
    found = [decode_decision(output.data) for output in one.outputs if output.type == DECIDED]
    return [decision for decision in found if decision.action != "configure"]


@pytest.mark.simulation
def test_losers_leave_early_and_the_winner_goes_up_the_steps_alone():
    one = loop({"bad": Arm(quality=0.6), "best": Arm(cost=0.002, quality=0.82), "same": Arm()})
    one.run(120, lambda it: it.row.incumbent == "best")
    told = decided(one)
    actions = [decision.action for decision in told]
    assert actions[:2] == ["open-trial", "drop-arm"]
    assert actions[-1] == "promote"
    assert told[1].evidence["dropped"] == {"bad": "its trial showed harm in quality"}
    (choice,) = [d for d in told if d.action == "next-step" and "standings" in d.evidence]
    assert choice.evidence["challenger"] == "best"
    assert choice.evidence["dropped"].get("same", SURPASSED) == SURPASSED
    assert choice.split is not None and choice.split.trial is not None and choice.split.trial.arms == ()
    (done,) = one.said(EXPERIMENT_COMPLETED)
    assert done["winner"]["variant_id"] == "best"
    assert set(one.row.resting) == {"bad", "same"}


@pytest.mark.simulation
def test_when_all_lose_the_trial_ends_and_the_experiment_says_so():
    one = loop({"bad": Arm(quality=0.5), "worse": Arm(quality=0.4)}).run(
        60, lambda it: it.row.trial is None and it.minute > 5
    )
    assert one.row.incumbent == "large"
    assert decided(one)[-1].action == "roll-back"
    (done,) = one.said(EXPERIMENT_COMPLETED)
    assert done["winner"] is None
    assert done["conclusion"].startswith("no arm is proven better than large: ")


@pytest.mark.simulation
def test_worthless_challengers_are_not_promoted():
    one = loop({"a": Arm(), "b": Arm(), "c": Arm()}, requests=120, trial_minutes_max=40, contest_scored=100)
    one.run(60, lambda it: it.row.trial is None and it.minute > 5)
    assert one.row.incumbent == "large"
