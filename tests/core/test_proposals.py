"""The whole brain: rules that forbid a change, and changes that wait for a policy service or a person."""

from typing import Any

import pytest

from app.core import commands
from app.core.commands import PolicyAnswer, Violation
from app.core.outputs import DECIDED, PROPOSED, REFUSED
from tests.core.loop import SERVICE, Arm, Loop
from tests.core.test_service import GOOD, document

pytestmark = pytest.mark.simulation

REMOTE = {"required": True, "deadline_minutes": 30}


def loop(mode: str = "auto", small: Arm = GOOD, **more: Any) -> Loop:
    one = Loop({"big": Arm(), "small": small}, requests=300)
    one.configure(document(mode, **more))
    return one


def trying(one: Loop) -> str:
    return one.row.trial.arm if one.row.trial is not None else ""


def answer(one: Loop, *, approved: bool, **more: Any) -> None:
    proposal = one.said(PROPOSED)[-1]["decision_id"]
    one.order("policy-answer", PolicyAnswer(decision_id=proposal, approved=approved, **more))


def deny(condition: str) -> dict[str, Any]:
    return {"policies": [{"id": "p1", "rules": [{"condition": condition, "message": "not here"}]}]}


def test_a_forbidden_arm_is_refused_once_a_day_with_the_rule_and_nothing_else_happens() -> None:
    one = loop(limits={"approved_models": ["big"]}).run(120)
    (refused,) = one.said(REFUSED)
    assert refused["action"] == "open-trial"
    (rule,) = [c for c in refused["constraints"] if not c["satisfied"]]
    assert (rule["name"], rule["limit"], rule["value"]) == ("limits.approved_models", 0.0, 1.0)
    assert refused["rationale"] == (
        "Refused to open a trial of small against big: limits.approved_models: the model small is not approved."
    )
    assert not trying(one) and one.row.version == 1


def test_a_new_document_is_looked_at_afresh() -> None:
    one = loop(limits={"approved_models": ["big"]}).run(20)
    one.configure(document(limits={"approved_models": ["big", "small"]}))
    one.run(3)
    assert trying(one)
    assert [c["name"] for c in one.said(DECIDED)[-1]["constraints"]] == ["limits.approved_models"]


def test_the_next_arm_is_tried_when_the_best_one_is_forbidden() -> None:
    one = Loop({"big": Arm(), "small": GOOD, "mid": Arm(cost=0.005)}, requests=300)
    one.configure(document("auto", "big", "small", "mid", **deny("model.name == 'small'")))
    one.run(20, lambda x: bool(trying(x)))
    assert trying(one) == "mid"
    assert len(one.said(REFUSED)) == 1


def test_an_arm_beyond_a_limit_on_trial_gets_no_more_traffic() -> None:
    one = loop(limits={"quality_min": 0.85}).run(150, lambda x: bool(x.said(REFUSED)))
    (refused,) = one.said(REFUSED)
    assert refused["action"] == "next-step"
    (rule,) = [c for c in refused["constraints"] if not c["satisfied"]]
    assert rule["name"] == "limits.quality_min" and rule["value"] == pytest.approx(0.79, abs=0.03)
    assert one.said(DECIDED)[-1]["action"] == "roll-back"
    assert not trying(one) and one.row.incumbent == "big"


def test_a_person_cannot_promote_what_a_rule_forbids() -> None:
    one = loop(**deny("change.action == 'promote'")).run(5, lambda x: bool(trying(x)))
    one.order("promote", commands.About())
    assert "change the document first: policies.p1: not here" in one.said(REFUSED)[-1]["rationale"]
    assert trying(one)


def test_the_policy_service_is_asked_and_its_yes_begins_the_trial() -> None:
    one = loop(remote_policy=REMOTE).run(20)
    (proposed,) = one.said(PROPOSED)
    assert proposed["evidence"]["waits_for"] == ["policy"]
    assert proposed["valid_for_s"] == 30 * 60
    assert "waits for the policy service for at most 30 min" in proposed["rationale"]
    assert not trying(one) and one.row.proposal is not None
    answer(one, approved=True, decision_rationale="fine by governance")
    assert trying(one)
    assert "fine by governance" in one.said(DECIDED)[-1]["rationale"]
    assert one.said(DECIDED)[-1]["evidence"]["proposal"] == proposed["decision_id"]


def test_its_no_refuses_with_the_violations() -> None:
    one = loop(remote_policy=REMOTE).run(3)
    answer(one, approved=False, violations=(Violation(policy_id="gdpr", description="EU data leaves the EU"),))
    (refused,) = one.said(REFUSED)
    assert refused["decision_id"] == one.said(PROPOSED)[0]["decision_id"]
    assert [(c["name"], c["detail"]) for c in refused["constraints"]] == [("remote.gdpr", "EU data leaves the EU")]
    assert "remote.gdpr: EU data leaves the EU" in refused["rationale"]
    assert one.run(30).row.trial is None


@pytest.mark.parametrize(("outage", "opens"), [("refuse", False), ("allow", True)])
def test_without_an_answer_the_deadline_decides_even_without_traffic(outage: str, *, opens: bool) -> None:
    one = loop(remote_policy={**REMOTE, "on_policy_outage": outage}).run(3)
    one.requests = 0
    one.run(40)
    assert bool(trying(one)) is opens
    said = one.said(DECIDED if opens else REFUSED)[-1]
    assert "the policy service did not answer before the deadline" in said["rationale"]


def test_policy_service_and_person_must_both_say_yes_in_either_order() -> None:
    one = loop("approve", remote_policy=REMOTE).run(3)
    assert one.said(PROPOSED)[0]["evidence"]["waits_for"] == ["policy", "person"]
    answer(one, approved=True)
    assert not trying(one) and one.row.proposal is not None and one.row.proposal.waits == ("person",)
    one.run(40)
    assert not one.said(REFUSED), "the person's deadline is a day"
    one.order("approve", commands.About())
    assert trying(one)
    two = loop("approve", remote_policy=REMOTE).run(3)
    two.order("approve", commands.About())
    assert not trying(two)
    answer(two, approved=True)
    assert trying(two)


def test_an_answer_to_another_proposal_is_refused_and_changes_nothing() -> None:
    one = loop(remote_policy=REMOTE).run(3)
    one.order("policy-answer", PolicyAnswer(decision_id="another", approved=True))
    assert "no proposal another waits" in one.said(REFUSED)[-1]["rationale"]
    assert not trying(one) and one.row.proposal is not None


def test_a_yes_from_outside_does_not_open_what_the_document_now_forbids() -> None:
    one = loop(remote_policy=REMOTE).run(3)
    one.configure(document(remote_policy=REMOTE, limits={"approved_models": ["big"]}))
    one.run(3)
    assert one.row.proposal is None
    assert one.said(REFUSED)[-1]["constraints"][0]["name"] == "limits.approved_models"
    assert one.row.service == SERVICE
