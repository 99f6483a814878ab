"""A service's life, told by its decisions: the whole brain over synthetic traffic drawn by the split in force."""

import msgspec
import pytest

from app.core import commands
from app.core.document import ServiceDocument, from_object
from app.core.outputs import DECIDED, FAILED, FINDING, PROPOSED, REFUSED, ROLLED_BACK, SPLIT, VERIFIED
from tests.core.loop import SERVICE, Arm, Loop

pytestmark = pytest.mark.simulation

GOOD = Arm(cost=0.002, quality=0.79, latency=700)
BAD = Arm(cost=0.002, quality=0.60, latency=700)


def document(mode: str = "auto", *arms: str, **more: object) -> ServiceDocument:
    declared = [{"name": name} for name in arms or ("big", "small")]
    return from_object({"service": SERVICE, "mode": mode, "arms": declared, **more})


def loop(challenger: Arm = GOOD, mode: str = "auto", **more: object) -> Loop:
    one = Loop({"big": Arm(), "small": challenger}, requests=300)
    one.configure(document(mode, **more))
    return one


def in_trial(one: Loop) -> bool:
    return one.row.trial is not None


def test_a_cheaper_arm_goes_up_step_by_step_and_takes_over() -> None:
    one = loop().run(150, lambda x: x.row.incumbent == "small")
    decided = [(d["action"], d["deployment"]["step"]) for d in one.said(DECIDED)]
    assert decided == [
        ("configure", 100.0),
        ("open-trial", 5.0),
        ("next-step", 25.0),
        ("next-step", 50.0),
        ("next-step", 90.0),
        ("promote", 100.0),
    ]
    one.run(3)
    assert len(one.said(VERIFIED)) == 6
    assert not one.said(FAILED)
    assert one.split is not None
    assert one.split.trial is None
    assert one.split.weights == {"*": {"small": 1.0}}


def test_every_decision_carries_reasons_evidence_and_the_full_split() -> None:
    one = loop().run(150, lambda x: x.row.incumbent == "small")
    promoted = one.said(DECIDED)[-1]
    assert "80 % lower cost" in promoted["rationale"]
    assert {i["metric"] for i in promoted["evidence"]["verdict"]["intervals"]} == {
        "quality",
        "latency",
        "errors",
        "cost",
        "reward",
    }
    assert promoted["split"]["version"] == promoted["version"]
    assert all(c["satisfied"] for c in promoted["constraints"])
    assert promoted["expected_impact"]["cost"]["high"] < -0.7


def test_a_worse_challenger_is_rolled_back_and_rests() -> None:
    one = loop(BAD).run(60, lambda x: bool(x.said(ROLLED_BACK)))
    assert one.said(DECIDED)[-1]["action"] == "roll-back"
    assert "quality" in one.said(DECIDED)[-1]["rationale"]
    assert one.row.incumbent == "big"
    assert one.split is not None
    assert one.split.trial is None
    opened = next(d for d in one.said(DECIDED) if d["action"] == "open-trial")
    assert one.said(ROLLED_BACK)[0]["decision_id"] == opened["decision_id"]
    trials = len([d for d in one.said(DECIDED) if d["action"] == "open-trial"])
    one.run(120)
    assert len([d for d in one.said(DECIDED) if d["action"] == "open-trial"]) == trials


def test_observe_says_nothing_and_recommend_only_proposes() -> None:
    assert not loop(mode="observe").run(40).said(PROPOSED, SPLIT)
    one = loop(mode="recommend").run(40)
    assert [d["action"] for d in one.said(PROPOSED)] == ["open-trial"]
    assert not one.said(SPLIT)


def test_approve_waits_for_a_person_and_then_begins() -> None:
    one = loop(mode="approve").run(20)
    proposal = one.said(PROPOSED)[0]
    assert one.row.trial is None
    one.order("approve", commands.About(proposal["decision_id"]))
    assert one.said(DECIDED)[-1]["action"] == "open-trial"
    assert in_trial(one)


def test_a_proposal_nobody_answers_is_refused_at_its_deadline_even_without_traffic() -> None:
    one = loop(mode="approve", trial={"approval_minutes": 30}).run(5)
    one.requests = 0
    one.run(40)
    assert [d["decision_id"] for d in one.said(REFUSED)] == [one.said(PROPOSED)[0]["decision_id"]]
    assert "nobody answered" in one.said(REFUSED)[0]["rationale"]


def test_a_trial_ends_when_its_time_is_over_even_without_traffic() -> None:
    one = loop(trial={"trial_minutes_max": 60}).run(5, in_trial)
    one.requests = 0
    one.run(70)
    assert one.row.trial is None
    assert "time is over" in one.said(DECIDED)[-1]["rationale"]


def test_a_gap_of_weeks_passes_in_a_few_steps() -> None:
    one = loop().run(3)
    one.follow = False
    one.order("promote", commands.About())
    one.run(1)
    one.minute += 60 * 24 * 30
    one.run(2)
    assert one.row.watch is not None


def test_rejecting_a_proposal_lets_its_arm_rest() -> None:
    one = loop(mode="approve").run(5)
    one.order("reject", commands.About())
    one.run(60)
    assert len(one.said(PROPOSED)) == 1
    assert "alice" in one.said(REFUSED)[0]["rationale"]


def test_freeze_reverts_the_open_trial_and_resume_starts_again() -> None:
    one = loop().run(5)
    one.order("freeze", commands.Freeze())
    assert one.split is not None
    assert (one.split.trial, one.split.frozen) == (None, True)
    version = one.split.version
    one.run(40)
    assert one.split.version == version
    one.order("resume", commands.Nothing())
    assert not one.split.frozen
    assert one.run(40, in_trial).row.trial is not None


def test_freeze_with_hold_keeps_the_split() -> None:
    one = loop().run(5)
    before = one.split
    one.order("freeze", commands.Freeze(hold=True))
    one.run(30)
    assert one.split == before


@pytest.mark.parametrize(("verb", "incumbent"), [("promote", "small"), ("abort", "big"), ("rollback", "big")])
def test_an_operator_may_end_a_trial(verb: str, incumbent: str) -> None:
    one = loop().run(5)
    one.order(verb, commands.About())
    assert one.row.trial is None
    assert one.split is not None
    assert one.split.weights == {"*": {incumbent: 1.0}}


def test_rollback_without_a_trial_goes_back_to_the_incumbent_before() -> None:
    one = loop().run(5)
    one.order("promote", commands.About())
    one.order("rollback", commands.About())
    assert one.row.incumbent == "big"


def test_an_order_that_cannot_be_obeyed_is_refused_with_the_reason() -> None:
    one = loop(mode="observe").run(3)
    one.order("promote", commands.About())
    assert "no such open trial" in one.said(REFUSED)[-1]["rationale"]


def test_a_gateway_that_does_not_follow_is_found_out_by_the_traffic() -> None:
    one = loop().run(3)
    one.follow = False
    one.order("promote", commands.About())
    one.run(20)
    failed = one.said(FAILED)[-1]
    assert failed["requests"] == 0
    assert "only 0 of" in failed["error"]


def test_a_trial_does_not_climb_while_the_gateway_does_not_follow() -> None:
    one = loop(Arm(cost=0.002, quality=0.81, latency=700)).run(
        30, lambda x: bool(x.row.trial and x.row.trial.step == 1)
    )
    one.follow = False
    one.run(40)
    assert one.row.trial is not None
    assert one.row.trial.step == 2
    assert len(one.said(FAILED)) == 1


def test_a_gateway_that_follows_late_is_verified_after_all() -> None:
    one = loop().run(3)
    one.follow = False
    one.order("promote", commands.About())
    one.run(20)
    one.follow, one.split = True, one.row.split
    one.run(3)
    assert one.row.watch is None
    assert one.said(VERIFIED)[-1]["decision_id"] == one.said(FAILED)[-1]["decision_id"]


def test_a_split_that_was_followed_and_is_edited_by_hand_is_told_once_and_its_end_too() -> None:
    one = loop().run(3)
    one.order("promote", commands.About())
    one.run(70)
    kept = one.split
    assert kept is not None
    assert not [f for f in one.said(FINDING) if f["kind"] == "split-not-followed"]
    one.follow, one.split = False, msgspec.structs.replace(kept, weights={"*": {"small": 0.5, "big": 0.5}})
    one.run(130)
    [found] = [f for f in one.said(FINDING) if f["kind"] == "split-not-followed"]
    assert found["status"] == "open"
    assert "asked for" in found["detail"]
    one.follow, one.split = True, one.row.split
    one.run(130)
    assert [f["status"] for f in one.said(FINDING) if f["kind"] == "split-not-followed"] == ["open", "resolved"]


def test_a_critical_alert_ends_the_trial_at_once() -> None:
    one = loop().run(5)
    one.control("io.llm-platform.sentinel.alert", b'{"severity": "critical", "alert_id": "a"}')
    assert one.row.trial is None
    assert one.said(DECIDED)[-1]["trigger"] == "event"


def test_admitted_arms_of_a_mix_share_traffic_by_their_chance_and_a_degraded_one_loses_it() -> None:
    one = Loop({"big": Arm(), "small": GOOD}, requests=200)
    one.configure(document(policy="mix"))
    one.run(80, lambda x: x.row.incumbent == "small")
    assert "admit" in [d["action"] for d in one.said(DECIDED)]
    one.run(20)
    assert one.split is not None
    assert one.split.weights["*"]["small"] > 0.9
    one.arms["small"] = Arm(cost=0.002, quality=0.3, latency=700)
    one.run(15, lambda x: x.row.weights["*"]["big"] > 0.5)
    assert one.split.weights["*"]["big"] > 0.5
    assert "reset" in [d["action"] for d in one.said(DECIDED)]
    assert len(one.said(SPLIT)) == one.row.version


def test_little_traffic_that_follows_is_waited_for_and_not_called_a_failure() -> None:
    one = loop().run(2)
    one.requests = 3
    one.run(40)
    assert not one.said(FAILED)
    one.requests = 300
    one.run(2)
    assert one.said(VERIFIED)


def test_an_unknown_service_appears_in_observe_with_its_models_as_arms() -> None:
    one = Loop({"m1": Arm(), "m2": Arm()}, default_arm="m1").run(2)
    one.default_arm = "m2"
    one.run(2)
    assert one.row.document.mode == "observe"
    assert one.row.document.arm_names == ("m1", "m2")
    assert not one.said()


def test_the_row_survives_its_changelog() -> None:
    one = loop().run(30)
    encoded = msgspec.msgpack.encode(one.row)
    assert msgspec.msgpack.decode(encoded, type=type(one.row)) == one.row
    assert len(encoded) < 64_000
