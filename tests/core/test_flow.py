"""The decision flow of requirements/004 as one table: what comes in, what is decided. And the states a service passes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import commands, ruling
from app.core.by_segment import Pair
from app.core.change import Why
from app.core.commands import COMMAND, Command
from app.core.cycle import TRANSITIONS, State, passage, state_of
from app.core.document import from_object
from app.core.facts import ControlFact
from app.core.outputs import EXPERIMENT_COMPLETED, EXPERIMENT_STARTED, FINDING, Output
from app.core.profile import Profile
from app.core.queue import MAX_QUEUE, Queued, joined
from app.core.row import Row, Tick, new_row
from app.core.service import step
from app.core.stats.reference import Sums
from app.core.verdict import Verdict
from app.core.verify import Watch
from app.core.weights import Mix

NOW_S = 1_700_000_100
ALERT = "io.llm-platform.sentinel.alert"
PROMPT = {"text": "Please answer. Be kind. Be kind.", "variants": ["redundancy_removal"]}


def seen(cost=0.01, latency=1000.0, quality=0.8, **more: float) -> Profile:
    n = 1000.0
    sums = {"n": n, "cost_n": n, "cost_usd": n * cost, "latency_ms": n * latency, "scores": n, "quality": n * quality}
    return Profile(**(sums | more))


PROFILES = {
    "large": seen(), "fast": seen(latency=300, cost=0.011), "cheap": seen(cost=0.005, latency=1100, quality=0.75),
    "good": seen(quality=0.9, cost=0.0115, latency=1100),
}  # fmt: skip


def row_of(*arms: str, mode: str = "auto", trial: str = "", profiles: Any = PROFILES, **more: Any) -> Row:
    """A service that has traffic and has just looked; ``trial``: the arm on trial."""
    named = [{"name": arm} for arm in arms or ("large", "fast", "cheap", "good")]
    document = from_object({"service": "chat", "mode": mode, "arms": named, **more})
    row = msgspec.structs.replace(
        new_row("chat", None), document=document, declared=True, incumbent="large", profiles=profiles,
        requests_per_minute=100.0, next_cycle_s=NOW_S + 900,
    )  # fmt: skip
    row, _ = step(row, control("configure", {"document": {**msgspec.to_builtins(document), "gateway": "g"}}), NOW_S)
    row = msgspec.structs.replace(row, next_cycle_s=NOW_S + 900, watch=None)
    if trial:
        row, _ = step(row, control("experiment.start", {"arms": [trial]}), NOW_S)
        row, _ = step(row, Tick(), NOW_S)
        assert row.trial is not None and row.trial.arm == trial
    return row


def control(verb: str, args: dict[str, Any]) -> ControlFact:
    data = msgspec.json.encode({"service": "chat", "command": verb, "args": args, "actor": "ada"})
    return ControlFact("llm.commands-0", hash_of(data), "chat", COMMAND, "c", NOW_S, data)


def hash_of(data: bytes) -> int:
    return sum(data)


def finding(
    severity: str, metric: str, arm: str = "large", analyzer: str = "performance", status: str = "open"
) -> ControlFact:
    told = {
        "service": "chat",
        "arm": arm,
        "severity": severity,
        "status": status,
        "finding_id": "f",
        "detail": "it moved",
        "metric": metric,
        "analyzer": analyzer,
    }
    return ControlFact("llm.anomalies-0", 1, "chat", FINDING, "f", NOW_S, msgspec.json.encode(told))


def alert(severity: str, **more: Any) -> ControlFact:
    return ControlFact(
        "llm.sentinel-0", 1, "chat", ALERT, "a", NOW_S, msgspec.json.encode({"severity": severity, **more})
    )


def said(outputs: list[Output]) -> tuple[str, ...]:
    """(status, action, trigger, arm) of the first decision, or nothing."""
    for output in outputs:
        if output.role == "optimizations" and output.type.rpartition(".")[2] in ("decided", "proposed", "refused"):
            data = msgspec.json.decode(output.data)
            status = output.type.rpartition(".")[2]
            return status, data["action"], data["trigger"], str(data["evidence"].get("challenger", "")).split("-")[0]
    return ()


BACKUP: dict[str, Any] = {"strategy": {"backup": "fast"}}
TUNED: dict[str, Any] = {"strategy": {"name": "adaptive_parameter_tuning", "task": "classification"}}
FLOW = [
    # ---- check threshold violations
    ("critical, on trial", row_of(trial="cheap"), finding("critical", "quality_judge", "cheap"), ("decided", "roll-back", "threshold", "cheap")),
    ("critical, everywhere", row_of(trial="cheap"), finding("critical", "slo_availability", "*"), ("decided", "roll-back", "threshold", "cheap")),
    ("critical, a backup", row_of(**BACKUP), finding("critical", "latency_ms"), ("decided", "fail-over", "threshold", "large")),
    ("critical, a backup, a trial beside it", row_of(trial="cheap", **BACKUP), finding("critical", "latency_ms"), ("decided", "fail-over", "threshold", "large")),
    ("critical, no backup", row_of(), finding("critical", "latency_ms"), ("decided", "open-trial", "threshold", "fast")),
    ("critical, a person decides", row_of(mode="approve", **BACKUP), finding("critical", "latency_ms"), ("proposed", "open-trial", "threshold", "fast")),
    ("critical alert, on trial", row_of(trial="cheap"), alert("critical", category="security"), ("decided", "roll-back", "event", "cheap")),
    ("critical alert nothing can mend", row_of(), alert("critical", category="security"), ()),
    ("high alert", row_of(), alert("high", alert_type="latency_anomaly"), ("decided", "open-trial", "event", "fast")),
    ("high alert about another model", row_of(), alert("high", alert_type="latency_anomaly", anomaly_details={"affected_model": "gpt-4"}), ()),
    ("high alert in the other form", row_of(), alert("high", anomaly_type="performance_degradation", metrics={"cost_per_request": {}}), ("decided", "open-trial", "event", "fast")),
    # ---- analyse optimization opportunities
    ("high: latency", row_of(), finding("high", "latency_ms_p95"), ("decided", "open-trial", "threshold", "fast")),
    ("high: cost", row_of(), finding("high", "cost_usd"), ("decided", "open-trial", "threshold", "cheap")),
    ("high: quality", row_of(), finding("high", "quality_judge"), ("decided", "open-trial", "threshold", "good")),
    ("high: quality, prompts only", row_of("large", strategy={"prompt": PROMPT}), finding("high", "quality_judge"), ("decided", "open-trial", "threshold", "large~redundancy_removal")),
    ("high: drift", row_of(), finding("high", "model", analyzer="drift"), ("decided", "reset", "threshold", "large")),
    ("high: nothing helps", row_of("large", "good"), finding("high", "latency_ms"), ("refused", "open-trial", "threshold", "another arm")),
    ("high: an arm nobody knows", row_of("large", "new"), finding("high", "latency_ms"), ("decided", "open-trial", "threshold", "new")),
    ("high: no arm can help", row_of(), finding("high", "requests_per_min"), ()),
    ("high: about an arm that does not serve", row_of(), finding("high", "latency_ms", "good"), ()),
    ("warning", row_of("large", **TUNED), finding("warning", "cost_usd"), ()),
    ("info", row_of(), finding("info", "latency_ms"), ()),
    ("resolved", row_of(), finding("high", "latency_ms", status="resolved"), ()),
    ("low alert", row_of(), alert("low", alert_type="latency_anomaly"), ()),
    # ---- none: the time has come, or a person asks
    ("time", msgspec.structs.replace(row_of(), next_cycle_s=0), Tick(), ("decided", "open-trial", "time", "cheap")),
    ("time, but only rules may begin", msgspec.structs.replace(row_of(strategy={"name": "threshold_based"}), next_cycle_s=0), Tick(), ()),
    ("not yet time", row_of(), Tick(), ()),
    ("cooling down", msgspec.structs.replace(row_of(), next_cycle_s=0, cooldown_s=NOW_S + 60), Tick(), ()),
    ("on demand", row_of(), control("optimize-now", {}), ("decided", "open-trial", "on-demand", "cheap")),
    # ---- validate
    ("frozen", msgspec.structs.replace(row_of(**BACKUP), frozen=True), finding("critical", "latency_ms"), ()),
    ("recommend", row_of(mode="recommend"), finding("high", "cost_usd"), ("proposed", "open-trial", "threshold", "cheap")),
    ("a policy forbids", row_of(policies=[{"id": "p", "rules": [{"condition": "arm.name == 'good'", "message": "no"}]}]), control("optimize-now", {}), ("refused", "open-trial", "on-demand", "good")),
]  # fmt: skip


@pytest.mark.parametrize(("row", "evidence", "wanted"), [one[1:] for one in FLOW], ids=[one[0] for one in FLOW])
def test_each_branch_of_the_decision_flow(row, evidence, wanted):
    after, outputs = step(row, evidence, NOW_S)
    got = said(outputs)
    assert (got[:3], got[3:] and got[3].rsplit("-", 1)[0]) == (wanted[:3], wanted[3:] and wanted[3])
    again, bytes_again = step(msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row), evidence, NOW_S)
    assert (again, bytes_again) == (after, outputs)


def test_the_order_is_rule_then_trial_then_queue_then_gain():
    row = row_of(trial="cheap", **BACKUP)
    row, _ = step(row, control("experiment.start", {"arms": ["good"]}), NOW_S)
    row, _ = step(row, finding("high", "latency_ms"), NOW_S)
    assert [turn.arm or turn.need for turn in row.queue] == ["good", "latency"]
    _, outputs = step(row, Tick(), NOW_S)
    assert said(outputs) == ()  # the open trial goes on
    row, outputs = step(row, finding("critical", "latency_ms"), NOW_S)
    assert said(outputs)[1] == "fail-over"
    row, _ = step(row, Tick(), NOW_S + 840)  # nothing in the cooldown
    assert row.trial is None
    row, outputs = step(row, Tick(), NOW_S + 900)
    assert row.trial is not None and row.trial.arm == "good"


def test_a_warning_has_its_parameters_adjusted_at_the_next_turn():
    row, outputs = step(row_of("large", **TUNED), finding("warning", "cost_usd"), NOW_S)
    assert [turn.need for turn in row.queue] == ["tuning"]
    row, outputs = step(row, Tick(), NOW_S)
    assert said(outputs)[:3] == ("decided", "open-trial", "threshold")
    assert row.trial is not None and "~" in row.trial.arm
    assert row.split is not None and row.trial.arm in {arm.name for arm in row.split.arms}


def test_the_queue_is_bounded_and_people_go_first():
    full = tuple(Queued(arm=f"a{i}") for i in range(MAX_QUEUE))
    assert joined(full, (Queued(need="cost"),)) is None
    assert joined((Queued(need="cost"),), (Queued(need="cost"),)) == (Queued(need="cost"),)
    both = joined((Queued(need="cost"),), (Queued(arm="a"),))
    assert both is not None and [turn.arm for turn in both] == ["a", ""]
    row = msgspec.structs.replace(row_of(trial="cheap"), queue=full)
    row, _ = step(row, finding("high", "latency_ms"), NOW_S)
    assert (len(row.queue), row.refused) == (MAX_QUEUE, 1)


# ---- experiments ----
def test_an_experiment_tries_its_arms_in_turn_and_says_what_became_of_it():
    row, outputs = step(row_of(), control("experiment.start", {"arms": ["cheap", "good"], "name": "spring"}), NOW_S)
    started = [o for o in outputs if o.type == EXPERIMENT_STARTED]
    assert [v["variant_id"] for v in msgspec.json.decode(started[0].data)["variants"]] == ["large", "cheap", "good"]
    row, _ = step(row, Tick(), NOW_S)
    assert row.trial is not None and row.trial.arm == "cheap"
    row, _ = step(row, control("abort", {}), NOW_S)
    assert row.experiments[0].tried[0].outcome == "lost"
    row, _ = step(row, Tick(), NOW_S + 900)
    assert row.trial is not None and row.trial.arm == "good"
    row, outputs = step(row, control("promote", {}), NOW_S + 900)
    (done,) = [msgspec.json.decode(o.data) for o in outputs if o.type == EXPERIMENT_COMPLETED]
    assert done["winner"]["variant_id"] == "good"
    assert done["conclusion"].startswith("good is better than large: cheap lost")
    assert (row.experiments, row.trial_experiment) == ((), "")


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        ({"arms": ["who"]}, "no arm 'who'"),
        ({"arms": ["large"]}, "already serves"),
        ({"arms": []}, "length"),
        ({}, "missing"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(args, cause):
    row, outputs = step(row_of(), control("experiment.start", args), NOW_S)
    assert row.queue == ()
    assert cause in msgspec.json.decode(outputs[0].data)["rationale"]


def test_a_stopped_experiment_begins_no_further_trial():
    row, _ = step(row_of(), control("experiment.start", {"arms": ["cheap", "good"]}), NOW_S)
    row, outputs = step(row, control("experiment.stop", {}), NOW_S)
    assert (row.queue, row.experiments) == ((), ())
    assert msgspec.json.decode(outputs[0].data)["status"] == "aborted"
    _, outputs = step(row, control("experiment.stop", {}), NOW_S)
    assert "no open experiment" in msgspec.json.decode(outputs[0].data)["rationale"]


# ---- the nine states ----
def test_every_state_is_reached_by_a_row():
    row = row_of()
    watch = Watch("d", 1, NOW_S + 900)
    trial = row_of(trial="cheap")

    def with_(one: Row, **more: Any) -> State:
        return state_of(msgspec.structs.replace(one, **more))

    assert {
        with_(row, requests_per_minute=0.0): "idle",
        state_of(row): "observing",
        state_of(step(row_of(mode="approve"), control("optimize-now", {}), NOW_S)[0]): "validating",
        state_of(trial): "deploying",
        with_(trial, watch=None): "monitoring",
        with_(row, watch=watch, last_action="roll-back"): "rolling-back",
        with_(row, watch=watch, last_action="promote"): "complete",
    } == {s: s for s in TRANSITIONS if s not in ("analyzing", "deciding")}
    assert with_(row, frozen=True) == "idle"


@pytest.mark.parametrize(
    ("before", "after", "way"),
    [
        ("observing", "deploying", ("analyzing", "deciding", "validating", "deploying")),
        ("observing", "observing", ()),
        ("validating", "idle", ("idle",)),
        ("deploying", "monitoring", ("monitoring",)),
        ("monitoring", "complete", ("complete",)),
        ("deploying", "rolling-back", ("monitoring", "rolling-back")),
        ("rolling-back", "observing", ("idle", "observing")),
    ],
)
def test_a_move_goes_by_the_drawn_transitions(before, after, way):
    assert passage(before, after) == way
    assert all(b in TRANSITIONS[a] for a, b in zip((before, *way), way, strict=False))


def test_states_are_named_in_the_decision():
    _, outputs = step(row_of(), control("optimize-now", {}), NOW_S)
    data = msgspec.json.decode(outputs[0].data)
    assert (data["evidence"]["state"], data["trigger"], data["cycle"]) == ("deploying", "on-demand", 1)


# ---- any order of events ----
EVENTS: list[Any] = [
    Tick(), finding("critical", "latency_ms"), finding("critical", "quality_judge", "cheap"), finding("high", "cost_usd"),
    finding("high", "model", analyzer="drift"), finding("warning", "quality_judge"), alert("high", alert_type="latency_anomaly"),
    alert("critical", category="security"), control("experiment.start", {"arms": ["cheap", "good"]}),
    control("experiment.stop", {}), control("optimize-now", {}), control("promote", {}), control("abort", {}),
    control("rollback", {}), control("approve", {}), control("reject", {}), control("freeze", {}), control("pause", {}),
    control("resume", {}), control("set-mode", {"mode": "approve"}), control("set-mode", {"mode": "auto"}),
]  # fmt: skip


@pytest.mark.simulation
@settings(max_examples=25, deadline=None)
@given(script=st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([0, 60, 900])), max_size=25), data=st.data())
def test_stopped_after_any_prefix_and_resumed_it_says_the_same_bytes(script, data):
    cut = data.draw(st.integers(0, len(script)))

    def run(stop: int | None) -> tuple[bytes, list[Output]]:
        row, now_s, told = row_of(**BACKUP), NOW_S, []
        for i, (evidence, later_s) in enumerate(script):
            if i == stop:
                row = msgspec.msgpack.decode(msgspec.msgpack.encode(row), type=Row)
            now_s += later_s
            before = state_of(row)
            row, outputs = step(row, evidence, now_s)
            told += outputs
            way = passage(before, state_of(row))
            assert all(b in TRANSITIONS[a] for a, b in zip((before, *way), way, strict=False))
            assert len(row.queue) <= MAX_QUEUE and (row.trial is None or row.document.arm(row.trial.arm) is not None)
            assert {turn.experiment for turn in row.queue if turn.arm} <= {e.id for e in row.experiments}
        return msgspec.msgpack.encode(row), told

    assert run(cut) == run(None)


@pytest.mark.parametrize(("policy", "action"), [("single", "roll-back"), ("mix", "promote")])
def test_an_arm_that_is_certainly_worse_in_a_segment_does_not_take_over(policy, action):
    worse = {"complaint": Pair(Sums(2000, 1000.0, 1000.0), Sums(2000, 1600.0, 1600.0))}
    row = msgspec.structs.replace(row_of(trial="cheap", policy=policy), trial_segments=worse)
    row, outputs = ruling._admit(row, NOW_S, Why(action="promote", trigger="time"), Verdict(), {})
    data = msgspec.json.decode(outputs[0].data)
    assert data["action"] == action
    assert data["evidence"]["segments"]["complaint"]["estimate"] == pytest.approx(-0.3)
    assert ("certainly lower in complaint" in data["rationale"]) == (policy == "single")


def test_fail_over_in_a_mix_takes_the_failed_arm_out():
    row = row_of(policy="mix", **BACKUP)
    row = msgspec.structs.replace(
        row, admitted=("large", "fast"), weights={"*": {"large": 0.7, "fast": 0.3}}, mix=Mix()
    )
    row, outputs = step(row, finding("critical", "latency_ms"), NOW_S)
    assert (row.incumbent, row.admitted, row.weights) == ("fast", ("fast",), {"*": {"fast": 1.0}})
    assert "fast answers at once (not judged)" in msgspec.json.decode(outputs[0].data)["rationale"]
    assert row.resting["large"].until_s > NOW_S


def test_commands_of_experiments_are_for_one_service():
    with pytest.raises(commands.CommandError, match="name one service"):
        commands.parse(
            commands.to_json(Command(service="*", command="experiment.stop", args=commands.ExperimentStop()))
        )
