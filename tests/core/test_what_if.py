"""Every decision can be made again from its own evidence; with other weights or limits it comes out otherwise."""

from typing import Any

import msgspec
import pytest

from app.core.decision import Decision
from app.core.document import DocumentError, from_object
from app.core.inputs import read_inputs
from app.core.outputs import COMPLETED, DECIDED, PROPOSED, REFUSED, ROLLED_BACK
from app.core.what_if import WhatIfError, what_if, with_settings
from tests.core.loop import Arm, Loop
from tests.core.test_service import BAD, GOOD, document

pytestmark = pytest.mark.simulation


def decisions(one: Loop) -> list[Decision]:
    return [
        msgspec.convert({k: v for k, v in d.items() if k != "type"}, Decision)
        for d in one.said(DECIDED, PROPOSED, REFUSED)
    ]


def run(small: Arm = GOOD, minutes: int = 150, mode: str = "auto", **more: Any) -> Loop:
    one = Loop({"big": Arm(), "small": small, "mid": Arm(cost=0.006)}, requests=300)
    one.configure(document(mode, "big", "small", "mid", **more))
    return one.run(minutes, lambda x: bool(x.said(COMPLETED, ROLLED_BACK)))


@pytest.fixture(scope="module")
def promoted() -> Loop:
    return run(prices=[{"model": "small", "input_usd": 1, "output_usd": 1}])


@pytest.fixture(scope="module")
def rolled_back() -> Loop:
    return run(BAD)


def told(decision: Decision) -> dict[str, Any]:
    """What a decision says of the world; ids and versions are of the place in the log."""
    left = {"split", "version", "decision_id", "cycle", "changes"}
    return {name: value for name, value in msgspec.to_builtins(decision).items() if name not in left}


@pytest.mark.parametrize("world", ["promoted", "rolled_back"])
def test_without_a_change_every_decision_comes_out_as_it_was(world: str, request: pytest.FixtureRequest) -> None:
    asked = [d for d in decisions(request.getfixturevalue(world)) if read_inputs(d.evidence) is not None]
    actions = {d.action for d in asked}
    assert actions >= ({"open-trial", "next-step", "promote"} if world == "promoted" else {"open-trial", "roll-back"})
    for decision in asked:
        again = what_if(decision, {}).said[-1].decision
        assert told(again) == told(decision)
        assert again.rationale == decision.rationale


def test_refusals_and_proposals_come_out_as_they_were() -> None:
    refused = run(minutes=20, limits={"approved_models": ["big", "mid"]})
    first = decisions(refused)[1]
    assert what_if(first, {}).said[0].status == "refused"
    assert what_if(first, {"limits.approved_models": ["big", "mid", "small"]}).said[0].status == "decided"
    proposed = decisions(run(minutes=20, mode="approve"))[-1]
    assert [(s.status, told(s.decision)) for s in what_if(proposed, {}).said] == [("proposed", told(proposed))]


def test_other_weights_limits_and_policies_decide_otherwise(promoted: Loop) -> None:
    opened = next(d for d in decisions(promoted) if d.action == "open-trial")
    assert opened.evidence["challenger"] == "small"
    stopped = what_if(opened, {"policies": [{"id": "no", "rules": [{"condition": "model.name == 'small'"}]}]})
    assert [(s.status, s.decision.evidence["challenger"]) for s in stopped.said] == [
        ("refused", "small"),
        ("decided", "mid"),
    ]
    step = next(d for d in decisions(promoted) if d.action == "next-step")
    strict = what_if(step, {"guardrails.quality.tolerance_points": 0.001})
    assert not strict.said
    assert strict.why_not.startswith("the trial of small stays where it is: harm beyond the tolerance")
    capped = what_if(step, {"limits.cost_usd_per_request": 0.0001})
    assert [s.decision.action for s in capped.said] == ["next-step", "roll-back"]
    last = next(d for d in decisions(promoted) if d.action == "promote")
    indifferent = what_if(last, {"objective.weights.cost": 0, "objective.weights.latency": 0})
    assert "nothing is proven to be better" in indifferent.why_not


def test_a_decision_without_inputs_says_so(promoted: Loop) -> None:
    with pytest.raises(WhatIfError, match="configure"):
        what_if(decisions(promoted)[0], {})


def test_inputs_are_small(promoted: Loop) -> None:
    sizes = [len(msgspec.json.encode(d.evidence["inputs"])) for d in decisions(promoted) if "inputs" in d.evidence]
    assert max(sizes) < 48_000


@pytest.mark.parametrize(("world", "type_"), [("promoted", COMPLETED), ("rolled_back", ROLLED_BACK)])
def test_the_end_of_a_trial_says_what_it_measured_beside_what_was_expected(
    world: str, type_: str, request: pytest.FixtureRequest
) -> None:
    one = request.getfixturevalue(world)
    opened = next(d for d in decisions(one) if d.action == "open-trial")
    (ended,) = one.said(type_)
    assert ended["decision_id"] == opened.decision_id
    assert ended["expected_impact"] == msgspec.to_builtins(opened.expected_impact)
    cost = ended["realised_impact"]["cost"]
    assert cost["estimate"] == pytest.approx(-0.8, abs=0.1) and cost["n"] > 20
    assert set(ended["realised_impact"]) >= {"quality", "latency", "errors", "cost"}
    assert not one.row.trial_expected


DOCUMENT = from_object({"service": "chat", "arms": [{"name": "a"}, {"name": "b"}], "objective": {"preset": "quality"}})


def test_weights_that_are_not_given_share_what_is_left() -> None:
    weights = with_settings(DOCUMENT, {"objective.weights.cost": 0.5}).objective.effective
    assert weights.cost == 0.5
    assert [weights.quality, weights.latency] == pytest.approx([0.8 * 0.5 / 0.9, 0.1 * 0.5 / 0.9])
    both = {"objective.weights.cost": 0.5, "objective.weights.quality": 0.5}
    assert with_settings(DOCUMENT, both).objective.effective.latency == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"objective.weights.cost": 1.5}, "objective.weights.cost: not allowed"),
        ({"objective.weights.cots": 0.5}, "unknown key"),
        ({"limits.latency": 5}, "unknown key"),
        ({"guardrails.quality.tolerance_points": "x"}, "a number from 0 to 1"),
        ({"arms.c.region": "eu"}, "there is no name 'c' in arms"),
        ({"arms.region": "eu"}, "name one of the arms, as in arms.NAME.region"),
        ({"mode.x": "eu"}, "mode: not allowed"),
    ],
)
def test_a_key_or_value_a_document_cannot_have_is_named(settings: dict[str, Any], says: str) -> None:
    with pytest.raises((WhatIfError, DocumentError)) as caught:
        with_settings(DOCUMENT, settings)
    assert says in str(caught.value)


def test_arms_are_reached_by_name() -> None:
    changed = with_settings(DOCUMENT, {"arms.b.region": "eu"})
    assert [arm.region for arm in changed.arms] == ["", "eu"]
