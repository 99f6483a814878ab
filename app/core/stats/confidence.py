"""Normal-mixture confidence sequences: intervals that stay valid however often one looks.

The two-sided boundary is Robbins' normal mixture (H. Robbins, Statistical methods related to the law of the iterated
logarithm, 1970; Howard, Ramdas, McAuliffe, Sekhon, Time-uniform, nonparametric, nonasymptotic confidence sequences,
2021, Prop. 5), used with an estimated variance as an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha,
Kennedy, Ramdas, Time-uniform central limit theory, 2024). The one-sided boundary mixes over a half normal (Howard et
al., Prop. 6, in its closed upper bound).

Symbols: ``n`` effective pairs, ``variance`` of one pair (so a fixed-n standard error is sqrt(variance / n)), ``n_star``
the n at which the interval is tightest. ``alpha`` is the error of all looks together.
"""

import math

_HUGE = 700.0


def mixture(alpha: float, n_star: float) -> float:
    """r2, the variance of the mixing normal (in units of one pair's) that is tightest at ``n_star`` pairs."""
    if not 0.0 < alpha < 1.0 or n_star <= 0.0:
        raise ValueError(f"a confidence sequence needs 0 < alpha < 1 and n_star > 0, got {alpha} and {n_star}")
    a = -2.0 * math.log(alpha)
    return (a + math.log(a) + 1.0) / n_star if a > 1.0 else 2.0 / n_star


def half_width(
    n: float, variance: float, alpha: float, n_star: float, *, sides: int = 2, df: float = math.inf
) -> float:
    """Half the width of the interval after ``n`` pairs; infinite while there is nothing to go by.

    ``sides`` 1: the bound holds on one chosen side with probability 1 - alpha. ``df``: degrees of freedom behind
    ``variance``; few of them widen the interval as Student's t would (first Cornish-Fisher term).
    """
    if n <= 0.0 or df <= 0.0 or not math.isfinite(variance):
        return math.inf
    r = mixture(alpha if sides == 2 else min(2.0 * alpha, 0.5), n_star)
    root = math.sqrt(n * r + 1.0)
    log_term = math.log(root / alpha) if sides == 2 else math.log1p(root / (2.0 * alpha))
    z = math.sqrt(2.0 * (n * r + 1.0) / (n * r) * log_term)
    return math.sqrt(max(0.0, variance) / n) * z * (1.0 + (z * z + 1.0) / (4.0 * df))


def p_value(estimate: float, n: float, variance: float, alpha: float, n_star: float, *, sides: int = 2) -> float:
    """Always-valid p-value of "the difference is 0" (``sides`` 1: of "it is not above 0").

    It is at most alpha exactly when the interval of ``half_width`` (same ``alpha``, df infinite) excludes 0; ``alpha``
    and ``n_star`` fix the mixture. The smallest one seen so far is valid too.
    """
    if n <= 0.0 or (sides == 1 and estimate <= 0.0):
        return 1.0
    if variance <= 0.0:
        return 1.0 if estimate == 0.0 else 0.0
    r = mixture(alpha if sides == 2 else min(2.0 * alpha, 0.5), n_star)
    root = math.sqrt(n * r + 1.0)
    exponent = n * n * r * estimate * estimate / (2.0 * variance * (n * r + 1.0))
    if exponent > _HUGE:
        return 0.0
    return min(
        1.0, root * math.exp(-exponent) if sides == 2 else root / (2.0 * math.expm1(exponent)) if exponent else 1.0
    )


def pairs_needed(width: float, variance: float, alpha: float, n_star: float, *, sides: int = 2) -> float:
    """The smallest n (relative error 1e-6) whose half width is at most ``width``; infinite when ``width`` <= 0."""
    if width <= 0.0:
        return math.inf
    low, high = 0.0, 1.0
    while half_width(high, variance, alpha, n_star, sides=sides) > width:
        low, high = high, 2.0 * high
    while high - low > 1e-6 * high:
        middle = 0.5 * (low + high)
        if half_width(middle, variance, alpha, n_star, sides=sides) > width:
            low = middle
        else:
            high = middle
    return high
