"""z-score, Tukey's fences, median deviation: against scipy, with a floored scale."""

import numpy as np
import pytest
from scipy import stats

from app.core.stats import robust
from app.core.stats.robust import Robust, Rule, score_of

WINDOW = tuple(np.random.default_rng(1).normal(5.0, 2.0, 101).tolist())


def test_scores_are_those_of_scipy() -> None:
    x = 12.0
    assert score_of("zscore", WINDOW, x) == pytest.approx(abs(x - np.mean(WINDOW)) / np.std(WINDOW, ddof=1))
    deviation = stats.median_abs_deviation(WINDOW)
    assert score_of("mad", WINDOW, x) == pytest.approx(stats.norm.ppf(0.75) * abs(x - np.median(WINDOW)) / deviation)
    low, high = np.quantile(WINDOW, [0.25, 0.75])
    assert score_of("iqr", WINDOW, x) == pytest.approx((x - high) / (high - low))
    assert score_of("iqr", WINDOW, 5.0) == 0.0


@pytest.mark.parametrize("rule", ["zscore", "iqr", "mad"])
def test_a_floor_keeps_small_moves_of_a_constant_quiet(rule: Rule) -> None:
    constant = (3.0,) * 50
    assert score_of(rule, constant, 3.0) == 0.0
    assert score_of(rule, constant, 3.1, floor=1.0) < 0.2
    assert score_of(rule, constant, 3.1) > 1000


@pytest.mark.parametrize("rule", ["zscore", "iqr", "mad"])
def test_a_value_is_scored_before_it_joins_and_the_window_is_bounded(rule: Rule) -> None:
    state = Robust(rule, size=40)
    for x in (*WINDOW, 80.0):
        state = robust.update(state, x)
    assert robust.alarm(state) and len(state.values) == 40 and state.values[-1] == 80.0


def test_nothing_is_said_before_there_is_a_window() -> None:
    state = Robust("mad")
    for x in [0.0] * (robust.WARM - 1) + [1e9]:
        state = robust.update(state, x)
        assert state.score == 0.0


def test_outliers_in_the_window_move_the_mean_but_not_the_median() -> None:
    dirty = (*WINDOW[:80], *(500.0,) * 20)
    assert score_of("zscore", dirty, 30.0) < 1.0
    assert score_of("mad", dirty, 30.0) > 3.5
