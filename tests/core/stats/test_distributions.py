"""Chi-squared, Kolmogorov-Smirnov and PSI: against scipy, and against what chance does."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from app.core.stats import chi_squared, ks, psi


@settings(max_examples=25)
@given(st.floats(0.1, 1e5), st.floats(0.01, 5))
def test_the_tail_of_chi_squared_is_scipys(df: float, ratio: float) -> None:
    wanted = stats.chi2.sf(ratio * df, df)
    if wanted > 1e-280:
        assert chi_squared.tail(ratio * df, df) == pytest.approx(wanted, rel=1e-7, abs=1e-13)


@settings(max_examples=25)
@given(st.floats(1e-4, 0.9999), st.floats(0.5, 1e4))
def test_quantiles_of_chi_squared_are_scipys(p: float, df: float) -> None:
    assert chi_squared.quantile(p, df) == pytest.approx(stats.chi2.ppf(p, df), rel=1e-6)


def test_chi_squared_has_its_edges() -> None:
    assert chi_squared.tail(-1.0, 3) == chi_squared.tail(0.0, 3) == 1.0 and chi_squared.tail(math.inf, 3) == 0.0
    for p, df in ((0.0, 3.0), (1.0, 3.0), (0.5, 0.0), (0.5, math.inf)):
        with pytest.raises(ValueError, match="chi-squared"):
            chi_squared.quantile(p, df)


@settings(max_examples=25)
@given(st.integers(1, 25), st.integers(1, 25), st.integers(0, 10_000))
def test_small_ks_is_scipys_exact_one(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=m) + rng.choice([0.0, 0.7])
    got, wanted = ks.test(np.sort(b).tolist(), a.tolist()), stats.ks_2samp(a, b, method="exact")
    assert got.statistic == pytest.approx(wanted.statistic) and got.p_value == pytest.approx(wanted.pvalue, abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(50, 1000), (300, 1000), (400, 999)])
def test_large_ks_is_the_exact_one_within_a_few_percent(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(size=n), rng.normal(size=m) + 0.12
    wanted = stats.ks_2samp(a, b, method="exact").pvalue
    assert ks.test(np.sort(b).tolist(), a.tolist()).p_value == pytest.approx(wanted, rel=0.06)


def test_a_critical_value_is_where_p_falls_to_alpha() -> None:
    for n, m in ((10, 40), (200, 1000)):
        d = ks.critical(0.01, n, m)
        assert ks.p_value(d, n, m) <= 0.01 < ks.p_value(d - 1e-3, n, m)
    assert ks.critical(0.05, 1, 1) > 1.0
    with pytest.raises(ValueError, match="critical value"):
        ks.critical(0.0, 3, 3)


def test_histograms_give_the_same_statistic_as_the_values_of_their_buckets() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.poisson(6, 400), rng.poisson(7, 300)
    counts = [dict(zip(*(part.tolist() for part in np.unique(x, return_counts=True)), strict=True)) for x in (b, a)]
    by_values = ks.test(np.sort(b).tolist(), a.tolist())
    assert ks.test_counts(*counts) == by_values


def test_values_that_are_no_numbers_are_left_out_and_counted() -> None:
    got = ks.test([1.0, 2.0, 3.0], [1.5, math.nan, 2.5, math.nan])
    assert (got.n, got.left_out) == (2, 2)


def test_psi_is_its_formula_with_half_an_observation_added() -> None:
    expected, actual = [40, 60], [70, 30]
    e, a = [(c + 0.5) / 101 for c in expected], [(c + 0.5) / 101 for c in actual]
    wanted = sum((y - x) * math.log(y / x) for x, y in zip(e, a, strict=True))
    assert psi.test(expected, actual).value == pytest.approx(wanted)


def test_published_critical_values_of_psi() -> None:
    assert [round(psi.critical(0.001, n, 1000), 3) for n in (50, 200, 1000)] == [0.585, 0.167, 0.056]
    with pytest.raises(ValueError, match="PSI needs"):
        psi.critical(0.01, 0, 10)


def test_chance_exceeds_the_critical_values_of_psi_as_often_as_stated() -> None:
    rng, n, m = np.random.default_rng(6), 200, 1000
    draws = zip(rng.multinomial(m, [0.1] * 10, 800).tolist(), rng.multinomial(n, [0.1] * 10, 800).tolist(), strict=True)
    p = np.array([psi.test(e, a).p_value for e, a in draws])
    assert 0.025 < (p <= 0.05).mean() < 0.075 and (p <= 0.001).mean() < 0.005


def test_edges_cut_a_reference_into_equal_parts_and_ties_make_fewer() -> None:
    reference = [float(i) for i in range(100)]
    cut = psi.edges(reference)
    assert psi.counts(cut, reference) == (10,) * 10
    assert psi.edges([1.0] * 50) == (1.0,) and psi.edges([]) == ()
    assert sum(psi.counts(cut, [math.nan, -math.inf, math.inf])) == 2
