"""Exact two-sided binomial test: is an observed share what the split says it should be?

The p-value adds up every outcome no likelier than the observed one (the same rule as R's binom.test). Tails come from
the regularised incomplete beta function by Lentz's continued fraction (Abramowitz and Stegun 26.5.8), which takes about
sqrt(n) steps: exact at any n, relative error below 1e-6 up to n = 1e7 (lgamma's rounding; measured against scipy).
"""

import math

_TINY = 1e-300
_STEPS = 100_000
_SAME = 1e-7  # outcomes whose likelihoods differ by less than this count as equally likely


def _log_pmf(k: int, n: int, p: float) -> float:
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return log_choose + k * math.log(p) + (n - k) * math.log1p(-p)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or _TINY)
    h = d
    for m in range(1, _STEPS):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + numerator * d or _TINY)
            c = 1.0 + numerator / c or _TINY
            h *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return h


def _beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for 0 < x < 1."""
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _fraction(1.0 - x, b, a) / b


def upper_tail(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) >= k)."""
    if k <= 0:
        return 1.0
    if k > n or p <= 0.0:
        return 0.0
    return 1.0 if p >= 1.0 else _beta(p, k, n - k + 1)


def lower_tail(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) <= k)."""
    return upper_tail(n - k, n, 1.0 - p)


def _unlikelier(limit: float, n: int, p: float, mode: int, *, below: bool) -> int:
    """How many outcomes from the far end (0 upwards if ``below``, else n downwards) have log likelihood <= ``limit``.

    The likelihood grows all the way from either end to the mode, so a bisection finds the last of them.
    """
    low, high = 0, mode if below else n - mode
    while low < high:
        middle = (low + high) // 2
        if _log_pmf(middle if below else n - middle, n, p) <= limit:
            low = middle + 1
        else:
            high = middle
    return low


def two_sided(k: int, n: int, p: float) -> float:
    """p-value of "the share is p" after ``k`` of ``n``. ``ValueError`` when 0 <= k <= n or 0 <= p <= 1 fails."""
    if not 0 <= k <= n or not 0.0 <= p <= 1.0:
        raise ValueError(f"a binomial test needs 0 <= k <= n and 0 <= p <= 1, got k={k}, n={n}, p={p}")
    if p in {0.0, 1.0}:
        return 1.0 if k == n * p else 0.0
    mode = min(n, math.floor((n + 1) * p))
    limit = _log_pmf(k, n, p) + _SAME
    if limit >= _log_pmf(mode, n, p):
        return 1.0
    others = _unlikelier(limit, n, p, mode, below=k > mode)
    if k > mode:
        return min(1.0, upper_tail(k, n, p) + lower_tail(others - 1, n, p))
    return min(1.0, lower_tail(k, n, p) + upper_tail(n - others + 1, n, p))
