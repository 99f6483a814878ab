"""Decisions and outcomes: the same thing has the same bytes, and reads back as it was."""

import msgspec

from app.core.decision import (
    EVENT_TYPES,
    Alternative,
    Change,
    Constraint,
    Decision,
    Deployment,
    Impact,
    Outcome,
    decision_id,
    decode_decision,
    decode_outcome,
    encode_decision,
    encode_outcome,
)
from app.core.split import ArmDefinition, Split

# The names of DESIGN section 5; subscribers read them.
DECISION_KEYS = {
    "decision_id", "service", "segment", "version", "cycle", "trigger", "strategy", "action", "mode", "changes",
    "deployment", "expected_impact", "expected_minutes", "confidence", "constraints", "rationale", "evidence",
    "alternatives", "engine_version", "valid_for_s", "split",
}  # fmt: skip
OUTCOME_KEYS = {
    "decision_id", "service", "version", "gateway", "observed_share", "expected_share", "requests", "first_seen",
    "error", "expected_impact", "realised_impact", "capabilities",
}  # fmt: skip


def a_decision() -> Decision:
    return Decision(
        decision_id=decision_id("chat", 3, "open-trial", "small"),
        service="chat",
        action="open-trial",
        version=2,
        cycle=3,
        trigger="time",
        strategy="cost-performance",
        mode="auto",
        changes=(Change(parameter="model", old="large", new="small"),),
        deployment=Deployment(strategy="canary", step=5, progression=(5, 25, 50, 90, 100)),
        expected_impact={"cost": Impact(estimate=-0.6, low=-0.65, high=-0.55, n=812)},
        constraints=(Constraint(name="quality", limit=0.05, value=0.019, satisfied=True),),
        evidence={"z": 1, "a": {"y": 2, "x": [1, 2]}},
        alternatives=(Alternative("tiny", "too slow"),),
        split=Split(
            service="chat",
            version=2,
            decision_id="d",
            incumbent="large",
            arms=(ArmDefinition(name="large", model="large"),),
            weights={"*": {"large": 1.0}},
        ),
    )


def test_a_decision_has_the_keys_subscribers_were_promised() -> None:
    assert set(msgspec.json.decode(encode_decision(a_decision()))) == DECISION_KEYS


def test_an_outcome_has_the_keys_subscribers_were_promised() -> None:
    outcome = Outcome(decision_id="d", service="chat", version=2, gateway="orchestrator")
    assert set(msgspec.json.decode(encode_outcome(outcome))) == OUTCOME_KEYS
    assert decode_outcome(encode_outcome(outcome)) == outcome


def test_a_decision_reads_back_as_it_was_written() -> None:
    assert decode_decision(encode_decision(a_decision())) == a_decision()


def test_the_order_in_which_evidence_was_gathered_does_not_show() -> None:
    other = msgspec.structs.replace(a_decision(), evidence={"a": {"x": [1, 2], "y": 2}, "z": 1})
    assert encode_decision(other) == encode_decision(a_decision())


def test_the_id_is_a_function_of_where_the_decision_was_made() -> None:
    assert decision_id("chat", 3, "hold") == decision_id("chat", 3, "hold")
    ids = {decision_id("chat", 3, "hold"), decision_id("chat", 4, "hold"), decision_id("chat", 3, "admit")}
    assert len(ids | {decision_id("search", 3, "hold"), decision_id("chat", 3, "hold", "eu")}) == 5


def test_every_status_has_its_event_type() -> None:
    assert set(EVENT_TYPES) == {"proposed", "decided", "refused"}
    assert len(set(EVENT_TYPES.values())) == 3
