"""The standard normal distribution, from the standard library: no scipy at run time."""

import math
from statistics import NormalDist

_STANDARD = NormalDist()


def cdf(z: float) -> float:
    """P(N(0, 1) <= z); relative error below 1e-12 in both tails."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def tail(z: float) -> float:
    """P(N(0, 1) > z), exact where 1 - cdf(z) would cancel."""
    return 0.5 * math.erfc(z / math.sqrt(2.0))


def quantile(p: float) -> float:
    """The z with cdf(z) = p, for 0 < p < 1; ``ValueError`` outside."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"a normal quantile needs 0 < p < 1, got {p}")
    return _STANDARD.inv_cdf(p)
