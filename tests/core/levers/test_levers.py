"""What the levers propose from what is known, and that each proposal states its reason."""

from typing import Any

import msgspec
import pytest

from app.core.document import MAX_ARMS, Arm, from_object
from app.core.ideas import carried, declared, entered, next_ideas, retired
from app.core.levers.expectation import Costs, Traffic, costs_of, late_usd, traffic_of
from app.core.levers.lever import Candidate, View
from app.core.levers.made_arm import PROMPT
from app.core.levers.pareto import Point, dominated_by, dominates, front, knee
from app.core.levers.strategies import ideas
from app.core.levers.threshold import need_of, response
from app.core.levers.tuning import adjustments, search
from app.core.profile import Profile
from app.core.row import Rest, new_row

PRICES = [
    {"model": "large", "input_usd": 10, "output_usd": 30, "cached_usd": 1},
    {"model": "small", "input_usd": 1, "output_usd": 3},
    {"model": "gpu", "input_usd": 0, "output_usd": 0, "compute_usd_per_s": 0.001},
]
PROMPT_TEXT = "Please make sure that you answer. Be kind. Be kind."


def document(*arms: Any, **more: Any):
    named = [{"name": arm} if isinstance(arm, str) else arm for arm in arms or ("large", "small")]
    return from_object({"service": "chat", "mode": "auto", "arms": named, "prices": PRICES, **more})


def seen(n=1000.0, cost=0.01, latency=1000.0, quality=0.8, **more: Any):
    return Profile(
        n=n, cost_n=n, cost_usd=n * cost, latency_ms=n * latency, scores=n, quality=n * quality,
        input_tokens=n * 1000, output_tokens=n * 200, **more,
    )  # fmt: skip


def view(doc, profiles=None, **more: Any):
    return View(
        document=doc, incumbent=doc.incumbent, serving=frozenset((doc.incumbent,)),
        profiles={"large": seen()} if profiles is None else profiles, resting=lambda _: "", **more,
    )  # fmt: skip


def names(doc, profiles=None, **more: Any):
    return [c.arm for c in ideas(view(doc, profiles, **more))[0]]


def arm_of(candidate: Candidate) -> Arm:
    assert candidate.made is not None
    return candidate.made


def cost_of(traffic: Traffic, arm: Arm) -> Costs:
    found = costs_of(traffic, arm, Profile())
    assert found is not None
    return found


# ---- cost and performance ----
def test_the_arm_that_promises_most_comes_first_and_the_others_say_why_not():
    profiles = {"large": seen(), "a": seen(cost=0.002), "b": seen(cost=0.001, quality=0.79), "c": seen(cost=0.02)}
    worth, others = ideas(view(document("large", "a", "b", "c"), profiles))
    assert [c.arm for c in worth] == ["b", "a"]
    assert others[0].arm == "c" and "at least as good" in others[0].why_not


def test_the_knee_needs_no_weights():
    profiles = {"large": seen(quality=0.9), "a": seen(quality=0.88, cost=0.002), "b": seen(quality=0.3, cost=0.0001)}
    doc = document("large", "a", "b", objective={"weights": {"quality": 0, "cost": 1, "latency": 0}})
    assert names(doc, profiles)[0] == "b"
    chosen = msgspec.structs.replace(doc, strategy=msgspec.structs.replace(doc.strategy, choose="knee"))
    assert names(chosen, profiles)[0] == "a"


def test_dominance_is_strict_and_the_front_is_what_nothing_dominates():
    a, b, c = Point("a", 0.9, 1.0, 1.0), Point("b", 0.9, 1.0, 1.0), Point("c", 0.8, 2.0, 1.0)
    assert not dominates(a, b) and dominates(a, c) and dominated_by(c, [a, b, c]) == "a"
    assert front([a, b, c]) == [a, b] and knee([]) == ""


def test_a_switch_pays_for_the_cache_it_leaves_once_and_for_a_discount_it_loses_for_good():
    warm = seen(cached_tokens=800_000.0)
    doc = document({"name": "large"}, {"name": "twin", "model": "large", "prompt_version": "2"}, {"name": "small"})
    traffic = traffic_of(view(doc, {"large": warm}))
    arms = {arm.name: cost_of(traffic, arm) for arm in doc.arms}
    assert arms["large"].tokens == pytest.approx((200 * 10 + 800 * 1 + 200 * 30) / 1e6)
    assert arms["large"].cache_lost == 0
    assert arms["twin"].cache_lost == pytest.approx(800 * 9 / 1e6 * 5 / 1440)
    assert arms["small"].tokens == pytest.approx(
        (1000 + 600) / 1e6
    )  # small has no cached price: 800 tokens at full price
    assert arms["small"].cache_lost == 0


def test_compute_and_late_answers_cost_too():
    doc = document("large", "gpu", slo={"latency_ms": 1000}, objective={"late_usd_per_s": 0.01})
    costs = cost_of(traffic_of(view(doc)), doc.arms[1])
    assert costs.compute == pytest.approx(0.001)
    assert costs.late == pytest.approx(late_usd(doc, 1000.0, 0.36))
    assert late_usd(doc, 100.0, 0.01) == pytest.approx(0, abs=1e-9)
    assert late_usd(doc, 3000.0, 0.01) == pytest.approx(0.02, rel=1e-3)


# ---- what a finding asks for ----
@pytest.mark.parametrize(
    ("need", "first"),
    [("latency", "fast"), ("cost", "cheap"), ("quality", "good"), ("tuning", None), ("errors", "cheap")],
)
def test_a_need_is_met_by_what_is_known_to_help(need, first):
    profiles = {
        "large": seen(), "fast": seen(latency=300, cost=0.011), "cheap": seen(cost=0.001, latency=1100),
        "good": seen(quality=0.9, cost=0.0115, latency=1100),
    }  # fmt: skip
    found = names(document("large", "fast", "cheap", "good"), profiles, need=need)
    assert found[:1] == ([first] if first else [])


@pytest.mark.parametrize(
    ("severity", "trial", "incumbent", "backup", "answer"),
    [
        ("critical", True, False, False, "roll-back"),
        ("critical", True, True, True, "roll-back"),
        ("critical", False, True, True, "route-to-backup"),
        ("critical", False, True, False, "optimize"),
        ("critical", False, False, True, "log"),
        ("high", False, True, True, "optimize"),
        ("high", True, False, True, "log"),
        ("warning", False, True, True, "adjust"),
        ("medium", False, True, False, "adjust"),
        ("info", False, True, True, "log"),
        ("low", True, True, True, "log"),
    ],
)
def test_a_severity_has_its_response(severity, trial, incumbent, backup, answer):
    assert response(severity, trial=trial, incumbent=incumbent, backup=backup) == answer


def test_a_metric_says_what_is_needed():
    metrics = ["latency_ms_p95", "cost_usd", "spend_usd", "quality_judge", "error_rate", "requests_per_min"]
    assert [need_of(metric) for metric in metrics] == ["latency", "cost", "cost", "quality", "errors", ""]


# ---- strategies ----
def test_threshold_based_proposes_only_what_a_finding_asks_for():
    doc = document(strategy={"name": "threshold_based"})
    assert names(doc) == []
    assert names(doc, need="cost") == ["small"]


def test_a_b_testing_takes_declared_arms_in_order_then_variants():
    arms = ({"name": "large"}, {"name": "dear", "model": "large"}, {"name": "small"})
    doc = document(*arms, strategy={"name": "a_b_testing", "prompt": {"text": PROMPT_TEXT}})
    worth = ideas(view(doc, {"large": seen(cost=0.016)}))[0]
    assert [c.arm for c in worth[:2]] == ["dear", "small"]
    assert {c.arm.split("~")[1].rsplit("-", 1)[0] for c in worth[2:]} == {
        "redundancy_removal",
        "compression",
        "chain_of_thought",
    }
    assert all(c.strategy == "prompt-testing" for c in worth)


def test_a_variant_is_a_whole_arm_with_the_hash_of_its_prompt():
    doc = document("large", strategy={"prompt": {"text": PROMPT_TEXT, "variants": ["compression"]}})
    (found,) = ideas(view(doc))[0]
    assert arm_of(found).features[PROMPT] == "Ensure you answer. Be kind. Be kind."
    assert arm_of(found).prompt_version.startswith("sha256:")
    assert arm_of(found).model == "large" and found.arm == arm_of(found).name
    assert found.expected["cost"].estimate < 0
    assert ideas(view(doc))[0] == [found]


def test_reinforcement_prefers_what_is_little_known():
    profiles = {"large": seen(), "known": seen(cost=0.009, latency=999), "new": Profile()}
    doc = document("large", "known", "new", policy="mix", strategy={"name": "reinforcement_feedback"})
    assert names(doc, profiles) == ["new", "known"]


# ---- tuning ----
@pytest.mark.parametrize(
    ("parameters", "profile", "wanted"),
    [
        ({"max_tokens": 100}, seen(truncated=50.0), ("max_tokens", 150)),
        ({"max_tokens": 1000}, seen(limited=1000.0, limits=1e6, written=1e5), ("max_tokens", 300)),
        ({"temperature": 0.8}, seen(invalid=30.0), ("temperature", 0.4)),
        ({"temperature": 1.0}, seen(quality=0.6), ("temperature", 0.8)),
    ],
)
def test_evidence_changes_one_parameter_and_says_why(parameters, profile, wanted):
    (step,) = adjustments(parameters, profile)
    assert (step.name, step.value) == wanted
    assert step.why


@pytest.mark.parametrize(
    "parameters", [{}, {"max_tokens": "many"}, {"temperature": 0, "max_tokens": 500}, {"temperature": True}]
)
def test_nothing_is_adjusted_without_a_reason(parameters):
    assert adjustments(parameters, seen(n=100.0, truncated=100.0)) == []
    assert adjustments(parameters, seen()) == []


def test_a_task_has_its_baseline_and_the_search_is_bounded():
    tuned = {"name": "adaptive_parameter_tuning", "task": "classification"}
    doc = document({"name": "large", "parameters": {"temperature": 0.5}}, strategy=tuned)
    assert [arm_of(c).parameters for c in ideas(view(doc))[0]] == [
        {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "max_tokens": 50},
    ]  # fmt: skip
    steps = search({"temperature": 0.0, "top_p": 1.0})
    assert len(steps) == 6
    assert all(0 <= step.value <= 1.5 for step in steps)


# ---- the life of a made arm ----
def row_with(doc, **more: Any):
    return msgspec.structs.replace(
        new_row("chat", None), document=doc, declared=True, incumbent=doc.incumbent, profiles={"large": seen()}, **more
    )


def test_a_made_arm_enters_is_retired_and_is_not_made_again():
    doc = document(
        "large", strategy={"prompt": {"text": PROMPT_TEXT, "variants": ["compression", "redundancy_removal"]}}
    )
    row, worth, others = next_ideas(row_with(doc), 0)
    first = worth[0].arm
    assert row.document.arm_names == ("large", first)
    assert declared(row) == doc
    assert "turn later" in others[0].why_not
    rested = msgspec.structs.replace(row, resting={first: Rest(10**9, 1, "it lost")})
    after, worth, _ = next_ideas(rested, 0)
    assert worth[0].arm != first
    assert after.document.arm(first) is None and first not in after.resting and len(after.tried) == 1
    done, worth, _ = next_ideas(after, 0)
    assert (worth, declared(done)) == ([], doc)


def test_a_made_arm_that_serves_survives_the_same_document_and_not_a_changed_origin():
    doc = document("large", strategy={"prompt": {"text": PROMPT_TEXT, "variants": ["compression"]}})
    row, worth, _ = next_ideas(row_with(doc), 0)
    row = msgspec.structs.replace(row, incumbent=worth[0].arm)
    assert carried(row, doc) == row.document
    assert retired(row) == row
    other = document({"name": "large", "region": "eu"}, strategy={"prompt": {"text": PROMPT_TEXT}})
    assert carried(row, other) == other


def test_there_is_room_for_sixteen_arms():
    doc = document(
        *(["large"] + [f"a{i}" for i in range(MAX_ARMS - 1)]),
        strategy={"name": "a_b_testing", "prompt": {"text": PROMPT_TEXT}},
    )
    resting = {f"a{i}": Rest(10**9, 1, "it lost") for i in range(MAX_ARMS - 1)}
    row, worth, others = next_ideas(row_with(doc, resting=resting), 0)
    assert worth == [] and len(row.document.arms) == MAX_ARMS
    assert any("the most there can be" in alternative.why_not for alternative in others)


def test_an_arm_that_entered_keeps_the_declared_root():
    doc = document("large")
    arm = msgspec.structs.replace(doc.arms[0], name="large~x")
    row = msgspec.structs.replace(entered(row_with(doc), arm), incumbent="large~x")
    assert entered(row, msgspec.structs.replace(arm, name="large~y")).made[1].root == "large"
