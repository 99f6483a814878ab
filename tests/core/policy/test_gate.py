"""The gate: which rule stops a change, with its limit and value."""

from typing import Any

import msgspec
import pytest

from app.core.budget import Budgeting, Period
from app.core.cell import Cell
from app.core.document import DocumentError, from_object
from app.core.policy.gate import Gate, gate
from app.core.policy.view import Action
from app.core.profile import Profile
from app.core.row import Row
from app.core.sketch import bucket

NOW_S = 1_700_000_040
KNOWN = Profile(
    n=100.0, errors=2.0, latency_ms=80_000.0, input_tokens=90_000.0, output_tokens=20_000.0, cost_n=100.0, cost_usd=1.0,
    scores=50.0, quality=40.0,
)  # fmt: skip
"""1 cent, 800 ms, 900 + 200 tokens, quality .8, 2 % errors."""


def a_row(profile: Profile | None = KNOWN, **document: Any) -> Row:
    arms = [{"name": "big", "region": "us"}, {"name": "small", "model": "m", "region": "us", "parameters": {"x": 1}}]
    read = from_object({"service": "chat", "mode": "auto", "arms": arms, **document})
    profiles = {} if profile is None else {"small": profile}
    return Row(service="chat", document=read, declared=True, incumbent="big", profiles=profiles)


def held(action: Action = "open-trial", profile: Profile | None = KNOWN, **document: Any) -> Gate:
    return gate(a_row(profile, **document), action, "small", 0.05, 0)


def policy(*rules: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"policies": [{"id": "p", "rules": [{"condition": c, "action": a} for c, a in rules], **more}]}


def test_nothing_declared_forbids_nothing() -> None:
    assert held() == Gate(())


@pytest.mark.parametrize(
    ("limits", "name", "value"),
    [
        ({"cost_usd_per_request": 0.009}, "limits.cost_usd_per_request", 0.01),
        ({"latency_ms": 799}, "limits.latency_ms", 800.0),
        ({"tokens_per_request": 1099}, "limits.tokens_per_request", 1100.0),
        ({"output_tokens": 199}, "limits.output_tokens", 200.0),
        ({"quality_min": 0.81}, "limits.quality_min", 0.8),
        ({"error_rate": 0.01}, "limits.error_rate", 0.02),
    ],
)
def test_a_mean_beyond_its_limit_stops_with_limit_and_value(limits: dict[str, float], name: str, value: float) -> None:
    found = held(limits=limits)
    (stop,) = found.stops
    assert (stop.name, stop.limit, stop.value) == (name, *limits.values(), pytest.approx(value))
    assert name in found.cause and "the limit is" in found.cause
    wider = {key: limit * (1.3 if key != "quality_min" else 0.9) for key, limit in limits.items()}
    if "tokens" not in name:
        assert not held(limits=wider if name != "limits.error_rate" else {"error_rate": 0.02}).stops


def test_declared_max_tokens_count_before_what_was_seen() -> None:
    arms = [{"name": "big"}, {"name": "small", "parameters": {"max_tokens": 800}}]
    assert held(arms=arms, limits={"output_tokens": 799}).stops[0].value == 800
    assert not held(arms=arms, limits={"output_tokens": 800}).stops


@pytest.mark.parametrize("limits", [{"quality_min": 0.5}, {"latency_ms": 5000}, {"cost_usd_per_request": 1}])
def test_what_is_not_measured_lets_a_trial_begin_but_nothing_take_over(limits: dict[str, float]) -> None:
    begins = held("open-trial", None, limits=limits)
    assert not begins.stops
    assert begins.constraints[0].value is None and "not measured yet" in begins.constraints[0].detail
    (stop,) = held("promote", None, limits=limits).stops
    assert stop.value is None


def test_a_price_is_enough_to_know_that_an_arm_is_too_dear() -> None:
    prices = [{"model": "m", "input_usd": 100, "output_usd": 100}]
    row = a_row(None, prices=prices, limits={"cost_usd_per_request": 0.05})
    row = msgspec.structs.replace(row, profiles={"big": KNOWN})
    (stop,) = gate(row, "open-trial", "small", 0.05, 0).stops
    assert stop.value == pytest.approx(0.11)


def test_only_approved_models() -> None:
    assert not held(limits={"approved_models": ["m", "n"]}).stops
    found = held(limits={"approved_models": ["n"]})
    assert found.cause == "limits.approved_models: the model m is not approved"


SEGMENTS: dict[str, Any] = {"segments": {"by": "region", "values": ["eu", "us"]}}


def test_residency_holds_the_arms_region_against_every_segments() -> None:
    assert not held(**SEGMENTS, limits={"residency": {"us": ["us", "eu"]}}).stops
    found = held(**SEGMENTS, limits={"residency": {"eu": ["eu"], "us": ["us"]}})
    (stop,) = found.stops
    assert (stop.limit, stop.value) == (0.0, 1.0)
    assert stop.detail == "small answers in us, segment eu must stay in eu"
    assert held(limits={"residency": {"*": ["eu"]}}).stops
    nowhere = held(arms=[{"name": "big"}, {"name": "small"}], limits={"residency": {"*": ["eu"]}})
    assert "an unknown region" in nowhere.cause


def test_service_level_objectives_are_held_against_the_arm() -> None:
    assert [s.name for s in held(slo={"availability": 0.99}).stops] == ["slo.availability"]
    assert not held(slo={"availability": 0.97}).stops
    late = held(slo={"latency_ms": 900})  # mean 800 ms, log variance .36: 68 % within 900 ms
    assert late.stops[0].name == "slo.latency_share" and late.stops[0].value == pytest.approx(0.690, abs=0.001)
    assert not held(slo={"latency_ms": 5000}).stops


def test_a_promised_latency_is_held_against_what_was_counted_where_it_was() -> None:
    arm = Profile(n=100, latency_ms=80_000.0).timed_by({bucket(500.0): 97, bucket(5000.0): 3}, 900.0)
    assert arm.share_within(900.0) == 0.97
    assert arm.share_within(700.0) is None  # another promise than the one that was counted
    assert arm.learned(Cell(n=1), "judge").share_within(900.0) == pytest.approx(0.97)
    assert arm.timed_by({bucket(500.0): 10}, 700.0).share_within(700.0) is None  # 10 are too few


def test_a_policy_stops_with_message_limit_and_value() -> None:
    found = held(**policy(("cost_usd > 0.005", "deny")))
    (stop,) = found.stops
    assert (stop.name, stop.limit) == ("policies.p", 0.005) and stop.value == pytest.approx(0.01)
    assert "cost_usd > 0.005" in stop.detail


def test_the_first_true_deny_or_allow_ends_a_policy_and_warnings_stop_nothing() -> None:
    assert not held(**policy(("model.name == 'm'", "allow"), ("true", "deny"))).stops
    assert held(**policy(("model.name == 'n'", "allow"), ("true", "deny"))).stops
    warned = held(**policy(("error_rate > 0.01", "warn"), ("cost_usd > 1", "deny")))
    assert not warned.stops
    assert [(c.name, c.satisfied, c.severity) for c in warned.constraints] == [
        ("policies.p", False, "warn"), ("policies.p", True, "deny"),
    ]  # fmt: skip


def test_a_policy_is_asked_in_every_segment() -> None:
    gdpr = policy(("user.region == 'eu' && model.region != 'eu'", "deny"), name="GDPR")
    found = held(**SEGMENTS, **gdpr)
    assert found.stops[0].detail == "GDPR in segment eu (user.region == 'eu' && model.region != 'eu')"
    here = [{"name": "big"}, {"name": "small", "region": "eu"}]
    assert not held(**SEGMENTS, **gdpr, arms=here).stops


def test_what_nobody_can_know_counts_as_denied() -> None:
    gdpr = policy(("user.region == 'eu' && model.region != 'eu'", "deny"))
    assert "not known: user.region" in held(**gdpr).cause
    assert not held(**gdpr, arms=[{"name": "big"}, {"name": "small", "region": "eu"}]).stops


def test_a_metric_that_is_missing_waits_for_the_trial() -> None:
    rule = policy(("quality_score < 0.7", "deny"))
    assert not held("open-trial", None, **rule).stops
    assert not held("next-step", None, **rule).stops
    assert "not known: quality_score" in held("promote", None, **rule).cause


def test_a_condition_stored_before_it_was_checked_denies() -> None:
    row = a_row(**policy(("true", "deny")))
    rule = msgspec.structs.replace(row.document.policies[0].rules[0], condition="what(")
    kept = msgspec.structs.replace(row.document.policies[0], rules=(rule,))
    row = msgspec.structs.replace(row, document=msgspec.structs.replace(row.document, policies=(kept,)))
    assert "cannot be read" in gate(row, "open-trial", "small", 0.05, 0).cause


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (policy(("daily_cost >", "deny")), "policies[0].rules[0].condition: line 1, column 13"),
        ({**SEGMENTS, **policy(("user.region == 'EU'", "deny"))}, "'EU', which is no declared segment"),
        ({"limits": {"residency": {"eu": ["eu"]}}}, "limits.residency.eu: does not name a segment"),
        ({"limits": {"residency": {"*": []}}}, "names no region"),
        ({"limits": {"quality_mn": 0.5}}, "did you mean `quality_min`?"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(document: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        from_object({"service": "chat", "arms": [{"name": "a"}, {"name": "b"}], **document})
    assert says in str(caught.value)


def test_spending_is_known_to_conditions_and_a_spent_budget_forbids_dearer_arms() -> None:
    spent = Budgeting(
        day=Period(19_675 + 719_163, 12.0, 100.0, 0), month=Period(2023 * 12 + 11, 90.0, 900.0, 0), at_s=NOW_S
    )
    row = a_row(**policy(("daily_cost > 10", "warn"), ("monthly_cost > 80", "deny")), budget={"day_usd": 20})
    row = msgspec.structs.replace(row, budgeting=spent)
    found = gate(row, "open-trial", "small", 0.05, NOW_S)
    assert [(c.name, c.limit, c.value, c.severity) for c in found.constraints] == [
        ("budget.day_usd", 20.0, 12.0, "deny"), ("policies.p", 10.0, 12.0, "warn"), ("policies.p", 80.0, 90.0, "deny"),
    ]  # fmt: skip
    gone = msgspec.structs.replace(a_row(budget={"day_usd": 11}), budgeting=spent)
    assert (
        "budget.day_usd: it is spent, small is not known to be cheaper"
        in gate(gone, "open-trial", "small", 0.05, NOW_S).cause
    )
    dear = msgspec.structs.replace(KNOWN, cost_usd=3.0)
    cheaper = msgspec.structs.replace(gone, profiles={**gone.profiles, "big": dear})
    assert not gate(cheaper, "open-trial", "small", 0.05, NOW_S).stops
    assert not gate(gone, "open-trial", "small", 0.05, NOW_S + 86_400).stops, "another day"
