import pytest

from app.sim.arms import ArmModel, LatencyLaw, Price, QualityLaw
from app.sim.faults import Conditions, Fault, GatewayOutage, LatencyRise, ModelSwap, PriceChange, QualityDrop, active

ARM = ArmModel(
    name="a",
    model="a-1",
    price=Price(1, 2),
    latency=LatencyLaw(base_ms=100, per_token_ms=2),
    quality=QualityLaw(mean=0.9, sd=0.1),
)
OTHER = ArmModel(
    name="b", model="b-1", price=Price(1, 2), latency=LatencyLaw(base_ms=100), quality=QualityLaw(mean=0.8)
)
MINUTE = 60


def conditions(*faults: Fault):
    return Conditions((ARM, OTHER), faults, start_s=0)


def test_a_fault_is_in_force_from_its_start_until_its_end():
    fault = GatewayOutage(after_min=10, lasts_min=5)
    assert [active(fault, m * MINUTE, 0) for m in (9, 10, 14, 15)] == [False, True, True, False]


def test_a_fault_without_an_end_stays():
    assert active(GatewayOutage(after_min=1), 10**9, 0)


def test_a_quality_drop_hits_its_arm_only():
    now = conditions(QualityDrop(arm="a", after_min=0, points=0.05))
    assert now.arm("a", 0).quality.mean == pytest.approx(0.85)
    assert now.arm("b", 0) == OTHER


def test_a_latency_rise_multiplies_both_parts_of_the_median():
    law = conditions(LatencyRise(arm="a", after_min=0, factor=1.5)).arm("a", 0).latency
    assert (law.base_ms, law.per_token_ms) == (150, 3)


def test_a_price_change_is_billed_while_it_lasts():
    now = conditions(PriceChange(arm="a", after_min=0, lasts_min=1, price=Price(9, 9)))
    assert now.arm("a", 30).price == Price(9, 9)
    assert now.arm("a", 60).price == Price(1, 2)


def test_a_silent_swap_changes_what_the_provider_reports_and_the_quality_but_not_the_name():
    swap = ModelSwap(arm="a", after_min=0, response_model="a-2", fingerprint="fp2", points=-0.08)
    swapped = conditions(swap).arm("a", 0)
    assert (swapped.model, swapped.response_model, swapped.fingerprint) == ("a-1", "a-2", "fp2")
    assert swapped.quality.mean == pytest.approx(0.82)


def test_a_fault_since_the_first_request_waits_for_the_arm_to_be_asked():
    now = conditions(QualityDrop(arm="a", after_min=10, since="first-request", points=0.1))
    assert now.arm("a", 1_000 * MINUTE) == ARM
    assert now.arm("a", 1_009 * MINUTE) == ARM
    assert now.arm("a", 1_010 * MINUTE).quality.mean == pytest.approx(0.8)


def test_faults_on_one_arm_add_up():
    now = conditions(QualityDrop(arm="a", after_min=0, points=0.1), LatencyRise(arm="a", after_min=0, factor=2))
    assert now.arm("a", 0).quality.mean == pytest.approx(0.8)
    assert now.arm("a", 0).latency.base_ms == 200


def test_the_gateway_is_down_only_during_an_outage():
    now = conditions(GatewayOutage(after_min=1, lasts_min=1), QualityDrop(arm="a", after_min=0, points=0.1))
    assert [now.gateway_down(s) for s in (59, 60, 119, 120)] == [False, True, True, False]
