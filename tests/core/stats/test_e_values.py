"""E-values, e-BH and Holm: against ville, and against their definitions."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ville import _boundaries as ville_boundaries
from ville import evalues as ville

from app.core.stats import e_values, holm
from app.core.stats.confidence import half_width, mixture

many = st.lists(st.floats(0, 1e4), min_size=1, max_size=8)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=5)


@settings(max_examples=25)
@given(many, st.floats(0.01, 0.5))
def test_e_bh_rejects_what_ville_rejects(e: list[float], alpha: float) -> None:
    assert list(e_values.e_bh(e, alpha)) == ville.ebh(e, alpha).tolist()


@settings(max_examples=25)
@given(st.floats(1e-6, 1.0))
def test_conversions_are_villes(p: float) -> None:
    assert e_values.from_p(p, 0.5) == pytest.approx(float(ville.p_to_e(p, kappa=0.5)))
    assert e_values.to_p(1 / p) == pytest.approx(float(ville.e_to_p(1 / p)))


@settings(max_examples=25)
@given(st.floats(1, 1e6), st.floats(1e-4, 0.3))
def test_the_interval_is_villes_normal_mixture(n: float, alpha: float) -> None:
    wanted = float(ville_boundaries.normal_mixture(n, alpha, 1 / mixture(alpha, 500.0))) / n
    assert half_width(n, 1.0, alpha, 500.0) == pytest.approx(wanted, rel=1e-9)


@settings(max_examples=25)
@given(st.floats(10, 1e5), st.floats(0.01, 0.2))
def test_the_e_value_of_a_difference_reaches_1_over_alpha_where_the_interval_leaves_zero(
    n: float, alpha: float
) -> None:
    width = half_width(n, 0.3, alpha, 400.0)
    assert e_values.of_difference(1.0001 * width, n, 0.3, alpha, 400.0) >= 1 / alpha
    assert e_values.of_difference(0.9999 * width, n, 0.3, alpha, 400.0) < 1 / alpha


def test_an_e_value_of_no_difference_has_a_mean_of_at_most_one() -> None:
    estimates = np.random.default_rng(1).normal(0.0, math.sqrt(0.3 / 200), 4_000)
    e = [e_values.of_difference(float(x), 200, 0.3, 0.05, 400.0) for x in estimates]
    assert np.mean(e) == pytest.approx(1.0, abs=0.2)


def test_means_and_products_keep_ruin_and_certainty() -> None:
    assert e_values.mean([0.0, 4.0]) == 2.0 and e_values.mean([]) == e_values.product([]) == 1.0
    assert e_values.product([math.inf, 0.0]) == 0.0 and e_values.product([2.0, math.inf]) == math.inf
    assert e_values.from_p(0.0) == math.inf and e_values.to_p(0.0) == 1.0
    assert (
        e_values.of_difference(0.1, 5, 0.0, 0.05, 400.0) > 1e300
        and e_values.of_difference(1.0, 0, 1.0, 0.05, 9.0) == 1.0
    )


@pytest.mark.parametrize("bad", [[-1.0], [math.nan]])
def test_what_is_no_e_value_is_refused(bad: list[float]) -> None:
    for call in (e_values.e_bh, e_values.mean, e_values.product):
        with pytest.raises(ValueError, match="e-values are numbers"):
            call(bad)


def closed(p: list[float], alpha: float) -> list[bool]:
    """Holm is the closure of Bonferroni: i falls when every set with i falls by its smallest p (Marcus et al., 1976)."""
    index = range(len(p))
    sets = [set(s) for size in range(1, len(p) + 1) for s in combinations(index, size)]
    return [all(min(p[j] for j in s) * len(s) <= alpha for s in sets if i in s) for i in index]


@settings(max_examples=25)
@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_is_the_closure_of_bonferroni(p: list[float], alpha: float) -> None:
    assert list(holm.rejected(p, alpha)) == closed(p, alpha)


@settings(max_examples=25)
@given(p_values)
def test_adjusted_p_values_are_never_smaller_and_keep_their_order(p: list[float]) -> None:
    adjusted = holm.adjusted(p)
    assert all(a >= b for a, b in zip(adjusted, p, strict=True))
    assert [adjusted[i] for i in sorted(range(len(p)), key=p.__getitem__)] == sorted(adjusted)
