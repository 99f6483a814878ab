import pytest
from scipy import stats

from app.core.stats.student import two_sided


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 9, 14, 30, 200, 5_000])
@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
def test_quantiles_are_those_of_scipy(df, alpha):
    assert two_sided(alpha, df) == pytest.approx(stats.t.ppf(1 - alpha / 2, df), rel=2e-4)


@pytest.mark.parametrize(("alpha", "df"), [(0.0, 3), (1.0, 3), (0.05, 0)])
def test_what_has_no_quantile_is_refused(alpha, df):
    with pytest.raises(ValueError, match="t quantile"):
        two_sided(alpha, df)
