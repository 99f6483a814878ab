"""The normal distribution against scipy."""

import pytest
from scipy.stats import norm

from app.core.stats.normal import cdf, quantile, tail


@pytest.mark.parametrize("z", [-30.0, -5.0, -1.0, 0.0, 0.3, 2.0, 8.0])
def test_both_tails_agree_with_scipy(z: float) -> None:
    assert cdf(z) == pytest.approx(norm.cdf(z), rel=1e-11)
    assert tail(z) == pytest.approx(norm.sf(z), rel=1e-11)


@pytest.mark.parametrize("p", [1e-12, 0.025, 0.5, 0.999])
def test_the_quantile_inverts_the_cdf(p: float) -> None:
    assert quantile(p) == pytest.approx(norm.ppf(p), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 1.0, -1.0])
def test_a_quantile_of_a_certainty_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="0 < p < 1"):
        quantile(p)
