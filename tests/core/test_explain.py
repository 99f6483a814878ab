"""Explanations: what a person reads is true to the numbers, with units, intervals and limits."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.decision import Action, Alternative, Change, Constraint, Decision, Deployment, Impact, Status
from app.core.explain import rationale, render
from app.core.explain.wording import duration, number, percent, points, signed
from app.core.split import ArmDefinition, Split, TrialSlice

ACTIONS: tuple[Action, ...] = get_args(Action)
STATUSES: tuple[Status, ...] = get_args(Status)
STEPS = (5.0, 25.0, 50.0, 90.0, 100.0)
GOOD = {
    "cost": Impact(estimate=-0.61, low=-0.66, high=-0.55, n=2412),
    "quality": Impact(estimate=-0.004, low=-0.019, high=0.011, n=801),
    "latency": Impact(estimate=0.03, low=-0.02, high=0.08, n=2400),
    "errors": Impact(estimate=0.001, low=-0.003, high=0.005, n=2400),
}
LIMITS = (
    Constraint(name="quality", limit=0.05, value=0.019, satisfied=True),
    Constraint(name="latency", limit=0.2, value=0.08, satisfied=True),
    Constraint(name="errors", limit=0.02, value=0.005, satisfied=True),
    Constraint(name="cost", limit=0.2, value=-0.55, satisfied=True),
)
NUMBERS = (
    "61 % lower cost (55 % to 66 %); latency +3 % (at most +8 %), inside the limit of 20 %; "
    "quality -0.4 points (at most -1.9 points), inside the limit of 5 points; "
    "errors +0.1 points (at most +0.5 points), inside the limit of 2 points."
)


def a_decision(action: Action, **fields: Any) -> Decision:
    base = Decision(
        decision_id="3f0c",
        service="chat",
        action=action,
        version=12,
        cycle=340,
        trigger="time",
        strategy="cost-performance",
        mode="auto",
        deployment=Deployment(strategy="canary", step=50, progression=STEPS),
        expected_impact=GOOD,
        constraints=LIMITS,
        evidence={"challenger": "mini", "incumbent": "large"},
    )
    return msgspec.structs.replace(base, **fields)


def a_split(trial: TrialSlice | None = None) -> Split:
    arms = (ArmDefinition(name="large", model="large"), ArmDefinition(name="mini", model="mini"))
    return Split(service="chat", version=1, decision_id="d", incumbent="large", arms=arms, weights={}, trial=trial)


@pytest.mark.parametrize(
    ("action", "begins"),
    [
        ("next-step", "mini goes from 25 % to 50 % of the traffic: "),
        ("admit", "mini is admitted: "),
        ("promote", "mini takes over from large: "),
    ],
)
def test_a_success_says_gains_first_then_every_limit(action: Action, begins: str) -> None:
    assert rationale(a_decision(action)) == begins + NUMBERS


def test_an_opened_trial_says_what_is_expected_and_how_long_a_verdict_takes() -> None:
    decision = a_decision(
        "open-trial",
        deployment=Deployment(strategy="canary", step=5, progression=STEPS),
        expected_impact={"cost": Impact(estimate=-0.6)},
        constraints=(),
        expected_minutes=150.0,
    )
    what = "trial gives mini 5 % of the traffic, against large: 60 % lower cost; a verdict takes about 2 h 30 min"
    assert rationale(decision) == f"A {what}."
    approve = msgspec.structs.replace(decision, mode="approve", valid_for_s=86_400)
    assert rationale(approve, "proposed") == f"Proposed: a {what}; waits for approval for at most 24 h."
    recommend = msgspec.structs.replace(decision, mode="recommend")
    assert rationale(recommend, "proposed") == f"Proposed: a {what}; mode recommend changes nothing by itself."


def test_a_rollback_names_the_certain_harm_first_and_doubts_as_doubts() -> None:
    decision = a_decision(
        "roll-back",
        expected_impact={
            "cost": Impact(estimate=-0.5, low=-0.6, high=-0.4),
            "quality": Impact(estimate=-0.092, low=-0.12, high=-0.061, n=400),
            "errors": Impact(estimate=0.01, low=-0.01, high=0.03, n=400),
        },
        constraints=(
            Constraint(name="quality", limit=0.05, value=0.12, satisfied=False),
            Constraint(name="errors", limit=0.02, value=0.03, satisfied=False),
            Constraint(name="cost", limit=0.2, value=-0.4, satisfied=True),
        ),
    )
    assert rationale(decision) == (
        "mini is rolled back, large answers again: "
        "quality -9.2 points (at least -6.1 points), beyond the limit of 5 points; 50 % lower cost (40 % to 60 %); "
        "errors +1 point (at most +3 points), which may still be beyond the limit of 2 points."
    )


def test_harm_that_is_certain_but_small_is_not_called_beyond_the_limit() -> None:
    decision = a_decision(
        "roll-back",
        expected_impact={"quality": Impact(estimate=-0.03, low=-0.045, high=-0.015)},
        constraints=(Constraint(name="quality", limit=0.05, value=0.045, satisfied=True),),
    )
    assert "quality -3 points (at least -1.5 points), certain harm, the limit is 5 points" in rationale(decision)


def test_a_hold_says_what_may_still_be_wrong_and_what_is_missing() -> None:
    decision = a_decision(
        "hold",
        expected_impact={
            "quality": Impact(estimate=-0.02, low=-0.061, high=0.02, n=400),
            "errors": Impact(estimate=0.0),
        },
        constraints=(
            Constraint(name="quality", limit=0.05, value=0.061, satisfied=False),
            Constraint(name="errors", limit=0.02, value=None, satisfied=False),
            Constraint(name="scored answers", limit=100, value=53, satisfied=False),
        ),
    )
    assert rationale(decision) == (
        "mini stays at 50 %: "
        "quality -2 points (at most -6.1 points), which may still be beyond the limit of 5 points; "
        "errors 0 points, too few requests to say more; scored answers is 53, the limit is 100."
    )


def test_a_refusal_says_what_was_refused_and_why() -> None:
    evidence = {"challenger": "mini", "incumbent": "large", "cause": "the day's budget is spent."}
    decision = a_decision("open-trial", evidence=evidence, expected_impact={}, constraints=())
    assert rationale(decision, "refused") == "Refused to open a trial of mini against large: the day's budget is spent."


def test_an_order_names_who_gave_it() -> None:
    evidence = {"challenger": "mini", "incumbent": "large", "cause": "not judged", "actor": "ada"}
    decision = a_decision("promote", evidence=evidence, expected_impact={}, constraints=())
    assert rationale(decision) == "mini takes over from large: not judged; ordered by ada."


def test_a_freeze_says_whether_a_trial_is_withdrawn() -> None:
    alone = a_decision("freeze", evidence={"actor": "ada", "cause": "incident 17"}, expected_impact={}, constraints=())
    assert rationale(alone) == "The service is frozen by ada, the split stays as it is: incident 17."
    evidence = {**alone.evidence, "challenger": "mini"}
    withdrawn = msgspec.structs.replace(alone, evidence=evidence, split=a_split())
    assert rationale(withdrawn) == "The service is frozen by ada, the trial of mini is withdrawn: incident 17."
    held = msgspec.structs.replace(withdrawn, split=a_split(TrialSlice("t", "mini", "large", 0.25, 0.25)))
    assert "the split stays as it is" in rationale(held)


@pytest.mark.parametrize(
    "changes",
    [
        (
            Change(parameter="weights.eu.large", old=0.6, new=0.45),
            Change(parameter="weights.eu.mini", change_type="add", new=0.55),
        ),
        (
            Change(
                parameter="weights",
                old={"*": {"large": 0.6, "tiny": 0.1}},
                new={"*": {"large": 0.45, "mini": 0.55, "tiny": 0.1}},
            ),
        ),
    ],
)
def test_moved_weights_are_listed_before_and_after(changes: tuple[Change, ...]) -> None:
    decision = a_decision("move-weights", changes=changes, expected_impact={}, constraints=())
    assert rationale(decision) == "Weights move (large 60 % -> 45 %, mini 0 % -> 55 %)."


def test_the_arms_are_taken_from_the_split_when_the_evidence_does_not_name_them() -> None:
    decision = a_decision("hold", evidence={}, split=a_split(TrialSlice("t", "mini", "large", 0.05, 0.05)))
    assert rationale(decision).startswith("mini stays at 50 %")


def test_the_page_shows_everything_the_decision_rests_on() -> None:
    decision = a_decision(
        "next-step",
        segment="eu",
        changes=(Change(parameter="trial.share", old=0.25, new=0.5),),
        confidence=0.95,
        alternatives=(Alternative("tiny", "rests after a lost trial"),),
        evidence={
            "challenger": "mini",
            "incumbent": "large",
            "verdict": {"groups": [1, 2], "intervals": [{"n": 812.25}]},
        },
    )
    page = render(decision)
    for line in (
        "service       chat in segment eu, version 12, cycle 340",
        "rollout       canary, at 50 % of 5 -> 25 -> 50 -> 90 -> 100",
        "confidence    95 %",
        "  trial.share  0.25  ->  0.5",
        "  quality  -0.4 points  -1.9 points to +1.1 points  801",
        "  quality  1.9 points  5 points  satisfied",
        "  tiny  rests after a lost trial",
        "  verdict.intervals[0].n  812.25",
    ):
        assert line in page.splitlines(), page
    assert max(map(len, page.splitlines())) <= 110


def test_a_page_of_endless_evidence_is_cut_and_says_so() -> None:
    page = render(a_decision("hold", evidence={f"k{i}": i for i in range(1000)}))
    assert "... 800 more lines: see the decision with --json" in page


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_sentence_in_every_status(action: Action, status: Status) -> None:
    for decision in (
        a_decision(action),
        a_decision(action, evidence={}, expected_impact={}, constraints=(), deployment=Deployment()),
    ):
        text = rationale(decision, status)
        assert text.endswith(".")
        assert ".." not in text
        assert "\n" not in text


unknown = st.none() | st.floats(-1, 10)
impacts = st.builds(Impact, estimate=st.floats(-1, 10), low=unknown, high=unknown, n=st.integers(0, 10**6))
metrics = st.sampled_from(["quality", "latency", "errors", "cost", "reward", "own metric"])
limits = st.builds(Constraint, name=metrics, limit=st.floats(0, 1), value=unknown, satisfied=st.booleans())


@given(st.sampled_from(ACTIONS), st.dictionaries(metrics, impacts), st.lists(limits, max_size=4).map(tuple))
def test_whatever_the_numbers_there_is_a_sentence_and_a_page(
    action: Action, expected_impact: dict[str, Impact], constraints: tuple[Constraint, ...]
) -> None:
    decision = a_decision(action, expected_impact=expected_impact, constraints=constraints)
    assert rationale(decision)
    assert decision.decision_id in render(decision)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (number(1234.5, 1), "1,234.5"),
        (number(-0.00001, 1), "0"),
        (percent(0.613), "61 %"),
        (percent(0.0312), "3.1 %"),
        (percent(2.5), "250 %"),
        (points(0.019), "1.9 points"),
        (points(-0.01), "-1 point"),
        (signed("quality", 0.0001), "0 points"),
        (signed("quality", 0.001), "+0.1 points"),
        (signed("cost", -0.61), "-61 %"),
        (duration(0.2), "1 min"),
        (duration(59), "59 min"),
        (duration(150), "2 h 30 min"),
        (duration(1440), "24 h"),
        (duration(10_080), "7 days"),
    ],
)
def test_numbers_are_written_for_people(written: str, text: str) -> None:
    assert written == text
