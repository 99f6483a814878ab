"""The exact binomial test against scipy, small and large."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from app.core.stats.binomial import lower_tail, two_sided, upper_tail


@given(st.integers(0, 300), st.data(), st.floats(0, 1, allow_subnormal=False).map(lambda p: p if p > 1e-200 else 0.0))
@settings(max_examples=60)
def test_it_is_scipys_binomtest(n: int, data: st.DataObject, p: float) -> None:
    k = data.draw(st.integers(0, n))
    wanted = binomtest(k, n, p).pvalue if n else 1.0
    assert two_sided(k, n, p) == pytest.approx(wanted, rel=1e-6, abs=1e-290)


@pytest.mark.parametrize("n", [1_000, 100_000, 10_000_000])
@pytest.mark.parametrize("p", [0.0003, 0.05, 0.5, 0.9])
def test_large_numbers_keep_six_digits(n: int, p: float) -> None:
    for z in (-4.0, -1.3, 0.0, 0.7, 6.0):
        k = int(np.clip(round(n * p + z * np.sqrt(n * p * (1 - p))), 0, n))
        assert two_sided(k, n, p) == pytest.approx(binomtest(k, n, p).pvalue, rel=1e-6)
        assert upper_tail(k, n, p) == pytest.approx(binom.sf(k - 1, n, p), rel=1e-6)
        assert lower_tail(k, n, p) == pytest.approx(binom.cdf(k, n, p), rel=1e-6)


def test_a_share_of_none_or_all_has_no_doubt() -> None:
    assert two_sided(0, 10, 0.0) == 1.0
    assert two_sided(1, 10, 0.0) == 0.0
    assert two_sided(10, 10, 1.0) == 1.0
    assert two_sided(0, 0, 0.3) == 1.0


@pytest.mark.parametrize(("k", "n", "p"), [(-1, 5, 0.5), (6, 5, 0.5), (1, 5, 1.5)])
def test_impossible_counts_are_refused(k: int, n: int, p: float) -> None:
    with pytest.raises(ValueError, match="0 <= k <= n"):
        two_sided(k, n, p)
