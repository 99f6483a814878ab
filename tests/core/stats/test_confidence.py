"""Confidence sequences: against closed forms, and under continuous watching."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.stats import normal
from app.core.stats.confidence import half_width, mixture, p_value, pairs_needed

pytestmark = pytest.mark.simulation

counts = st.floats(1, 1e7)
alphas = st.floats(1e-5, 0.3)


def test_the_two_sided_width_is_the_published_formula() -> None:
    n, v, alpha, n_star = 750.0, 0.18, 0.05, 5000.0
    a = -2 * math.log(alpha)
    r2 = (a + math.log(a) + 1) / n_star
    wanted = math.sqrt(v) * math.sqrt(2 * (n * r2 + 1) / (n * n * r2) * math.log(math.sqrt(n * r2 + 1) / alpha))
    assert half_width(n, v, alpha, n_star) == pytest.approx(wanted, rel=1e-12)
    assert mixture(alpha, n_star) == pytest.approx(r2)


def test_it_is_tightest_against_the_fixed_interval_near_n_star() -> None:
    def excess(n: float) -> float:
        return half_width(n, 1.0, 0.05, 1000.0) * math.sqrt(n)

    assert min((10.0, 100.0, 1000.0, 10_000.0, 100_000.0), key=excess) == 1000.0


@given(counts, alphas, st.sampled_from([1, 2]))
def test_the_p_value_is_at_most_alpha_exactly_when_the_interval_excludes_zero(
    n: float, alpha: float, sides: int
) -> None:
    width = half_width(n, 0.3, alpha, 400.0, sides=sides)
    assert p_value(1.001 * width, n, 0.3, alpha, 400.0, sides=sides) <= alpha
    assert p_value(0.999 * width, n, 0.3, alpha, 400.0, sides=sides) >= alpha


@given(counts, alphas)
def test_no_bound_is_as_tight_as_that_of_a_single_look(n: float, alpha: float) -> None:
    assert normal.quantile(1 - alpha) / math.sqrt(n) < half_width(n, 1.0, alpha, 400.0, sides=1)
    assert normal.quantile(1 - alpha / 2) / math.sqrt(n) < half_width(n, 1.0, alpha, 400.0)


@given(st.floats(400, 1e7), st.floats(1e-5, 0.1))
def test_from_n_star_on_one_side_is_tighter_than_two(n: float, alpha: float) -> None:
    """Far below n_star it is not: each side count has its own mixture, tightest at n_star."""
    assert half_width(n, 1.0, alpha, 400.0, sides=1) < half_width(n, 1.0, alpha, 400.0)


@given(st.floats(0.001, 0.5), st.floats(1e-4, 2))
def test_pairs_needed_is_where_the_width_is_reached(width: float, variance: float) -> None:
    n = pairs_needed(width, variance, 0.05, 400.0, sides=1)
    assert half_width(n, variance, 0.05, 400.0, sides=1) <= width
    assert half_width(n * 0.999, variance, 0.05, 400.0, sides=1) > width


def test_nothing_known_is_an_infinite_interval_and_a_p_value_of_one() -> None:
    assert half_width(0, 1, 0.05, 100) == math.inf
    assert half_width(10, math.inf, 0.05, 100) == math.inf
    assert half_width(10, 1, 0.05, 100, df=0) == math.inf
    assert p_value(0.5, 0, 1, 0.05, 100) == 1.0
    assert p_value(-0.5, 100, 1, 0.05, 100, sides=1) == 1.0
    assert p_value(0.0, 100, 0, 0.05, 100) == 1.0
    assert p_value(0.1, 100, 0, 0.05, 100) == 0.0
    assert p_value(100.0, 1e6, 1e-9, 0.05, 100) == 0.0
    assert pairs_needed(0.0, 1, 0.05, 100) == math.inf


def test_few_degrees_of_freedom_widen_as_students_t_does() -> None:
    from scipy.stats import norm, t

    z = half_width(400, 1.0, 0.0025, 400.0, sides=1) * 20
    widened = half_width(400, 1.0, 0.0025, 400.0, sides=1, df=63) * 20
    assert widened == pytest.approx(t.isf(norm.sf(z), 63), rel=0.01)


@pytest.mark.parametrize(("alpha", "n_star"), [(0.0, 100.0), (1.0, 100.0), (0.05, 0.0)])
def test_a_senseless_error_or_n_star_is_refused(alpha: float, n_star: float) -> None:
    with pytest.raises(ValueError, match="0 < alpha < 1"):
        mixture(alpha, n_star)


@pytest.mark.parametrize("sides", [1, 2])
def test_watched_all_the_time_it_errs_at_most_alpha(sides: int) -> None:
    rng, alpha, looks = np.random.default_rng(11), 0.1, np.arange(50, 2001, 50)
    paths = np.cumsum(rng.normal(size=(800, 2000)), axis=1)[:, looks - 1] / looks
    widths = np.array([half_width(float(n), 1.0, alpha, 400.0, sides=sides) for n in looks])
    crossed = (paths > widths) if sides == 1 else (np.abs(paths) > widths)
    assert 0.01 < crossed.any(axis=1).mean() <= alpha
