"""Thresholds from a budget of false alarms."""

import pytest

from app.core.analyze.thresholds import (
    LEAST_ARL_PANES,
    PANES_A_WEEK,
    STANDARD,
    Budget,
    Fixed,
    arl_panes,
    p_every,
    tuned,
    z_every,
)
from app.core.stats import cusum, normal


def test_the_budget_is_shared_by_the_series() -> None:
    assert arl_panes(Budget(1.0, 1)) == PANES_A_WEEK
    assert arl_panes(Budget(2.0, 10)) == 5 * PANES_A_WEEK
    assert arl_panes(Budget(1.0, 1, pane_s=10.0)) == 6 * PANES_A_WEEK


def test_a_smaller_budget_or_more_series_raise_every_threshold() -> None:
    loose, tight = tuned(Budget(10.0, 5), 100), tuned(Budget(1.0, 20), 100)
    assert loose.cusum < tight.cusum and loose.spread < tight.spread
    assert loose.e_limit < tight.e_limit and loose.z < tight.z and loose.p > tight.p


def test_the_thresholds_have_the_run_that_was_asked_for() -> None:
    budget = Budget(1.0, 12)
    auto = tuned(budget, 100)
    assert cusum.arl_panes(auto.cusum, 100) >= arl_panes(budget)
    assert auto.e_limit == auto.arl_panes == arl_panes(budget)
    assert 2 * normal.tail(auto.z) == pytest.approx(1 / arl_panes(budget))


def test_a_test_that_runs_seldom_may_err_more_often_each_time() -> None:
    assert p_every(1000.0, 10) == pytest.approx(0.01) and p_every(10.0, 100) == 0.5
    assert 2 * normal.tail(z_every(1000.0, 10)) == pytest.approx(0.01)


def test_fixed_thresholds_come_first() -> None:
    auto = tuned(Budget(), 10, Fixed(z=3.0, cusum=5.0))
    assert (auto.z, auto.cusum) == (3.0, 5.0) and auto.e_limit == arl_panes(Budget())
    assert tuned(Budget(), 10, Fixed(e_limit=20.0)).e_limit == 20.0


def test_no_budget_makes_a_rule_that_alarms_all_the_time() -> None:
    assert arl_panes(Budget(1e9)) == LEAST_ARL_PANES
    assert STANDARD.cusum == cusum.LIMIT


@pytest.mark.parametrize("bad", [Budget(0.0), Budget(-1.0), Budget(float("nan")), Budget(1.0, 0), Budget(1.0, 1, 0.0)])
def test_a_budget_that_is_none_is_refused(bad: Budget) -> None:
    with pytest.raises(ValueError, match="alarms_per_week > 0"):
        arl_panes(bad)
