"""Expected minutes: what simulated trials take, and None when it cannot be said."""

import statistics

import pytest

from app.core.cell import Cell, Score
from app.core.forecast import Spread, expected_minutes, spread_of
from app.core.trial import Guardrails
from benchmarks.worlds import World, roll_out

RULES = Guardrails()


def test_it_is_about_what_good_rollouts_take() -> None:
    world = World(quality_sd=0.11, quality=0.85)
    said = expected_minutes(RULES, 100.0, Spread(quality=0.0121, latency=0.36, errors=0.0099, cost=0.28))
    took = statistics.median(roll_out(world, RULES, seed).minutes for seed in range(5))
    assert said is not None
    assert 0.5 < took / said < 2


def test_more_traffic_takes_less_time_but_never_less_than_the_steps() -> None:
    times = [expected_minutes(RULES, rate, Spread()) or 0.0 for rate in (10.0, 100.0, 1e6)]
    assert times[0] > times[1] > times[2] == 4 * RULES.step_minutes


def test_rare_scores_take_longer_and_unjudged_quality_does_not_wait_for_them() -> None:
    rare = Spread(score_rate=0.05)
    all_ = expected_minutes(RULES, 100.0, Spread()) or 0.0
    assert (expected_minutes(RULES, 100.0, rare) or 0.0) > 2 * all_
    unjudged = Guardrails(quality_points=None)
    assert expected_minutes(unjudged, 100.0, rare) == expected_minutes(unjudged, 100.0, Spread())


def test_without_traffic_or_scores_or_tolerance_it_says_nothing() -> None:
    assert expected_minutes(RULES, 0.0, Spread()) is None
    assert expected_minutes(RULES, 100.0, Spread(score_rate=0.0)) is None
    assert expected_minutes(Guardrails(error_points=0.0), 100.0, Spread()) is None


def test_the_spread_is_that_of_the_traffic_or_the_default_below_twenty_observations() -> None:
    assert spread_of(Cell(n=5)) == Spread()
    cell = Cell(
        n=100, errors=10, log_latency=600.0, log_latency_sq=3625.0, cost_n=100, cost_usd=1.0, cost_sq=0.02,
        quality={"judge": Score(50, 40.0, 40.0)},
    )  # fmt: skip
    found = spread_of(cell)
    assert found.quality == pytest.approx(0.16, rel=0.03)
    assert found.latency == pytest.approx(0.25, rel=0.02)
    assert found.errors == pytest.approx(0.09, rel=0.02)
    assert found.cost == pytest.approx(1.0, rel=0.02)
    assert found.score_rate == 0.5
