"""Population stability index: how far has a distribution over B bins moved, and is that more than chance?

    PSI = sum over bins (a - e) ln(a / e),   a and e: shares of the sample (n) and of the reference (m)

Without a change PSI is distributed as (1/n + 1/m) chi-squared(B - 1) (Yurdakul and Naranjo, 2020), so the customary
0.1 and 0.25 mean nothing on their own: the 0.1 % critical value is .585 at n = 50, .167 at 200, .056 at 1000 (m = 1000,
B = 10). Half an observation is added to every bin (Jeffreys), so that empty bins do not make it infinite.

>>> [round(critical(0.001, n, 1000, 10), 3) for n in (50, 200, 1000)]
[0.585, 0.167, 0.056]
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from app.core.stats import chi_squared

BINS = 10
_ADDED = 0.5


class PsiResult(msgspec.Struct, frozen=True):
    """``value`` >= 0; ``p_value`` of "nothing moved"; ``n`` sample and ``m`` reference size; ``bins``."""

    value: float
    p_value: float
    n: int
    m: int
    bins: int


def test(reference: Sequence[int], sample: Sequence[int]) -> PsiResult:
    """Counts per bin, same bins in both. Bins empty on both sides do not count. ``ValueError``: lengths differ or a
    count is negative. Without observations on either side PSI is 0 and p is 1.
    """
    if len(reference) != len(sample) or min((*reference, *sample, 0)) < 0:
        raise ValueError(f"PSI needs counts >= 0 over the same bins, got {len(reference)} and {len(sample)} bins")
    pairs = [(e, a) for e, a in zip(reference, sample, strict=True) if e or a]
    bins, m, n = len(pairs), sum(reference), sum(sample)
    if bins < 2 or not n or not m:
        return PsiResult(0.0, 1.0, n, m, bins)
    value = 0.0
    for e, a in pairs:
        share, expected = (a + _ADDED) / (n + _ADDED * bins), (e + _ADDED) / (m + _ADDED * bins)
        value += (share - expected) * math.log(share / expected)
    return PsiResult(value, chi_squared.tail(value / (1.0 / n + 1.0 / m), bins - 1), n, m, bins)


def critical(alpha: float, n: int, m: int, bins: int = BINS) -> float:
    """The PSI that chance exceeds with probability ``alpha``."""
    if min(n, m) < 1 or bins < 2:
        raise ValueError(f"PSI needs observations on both sides and at least 2 bins, got {n}, {m} and {bins}")
    return (1.0 / n + 1.0 / m) * chi_squared.quantile(1.0 - alpha, bins - 1)


def edges(reference: Sequence[float], bins: int = BINS) -> tuple[float, ...]:
    """Inner edges that cut an ascending reference into ``bins`` equal parts; fewer where values repeat."""
    m = len(reference)
    return tuple(sorted({reference[min(m - 1, i * m // bins)] for i in range(1, bins)})) if m else ()


def counts(cut: Sequence[float], values: Iterable[float]) -> tuple[int, ...]:
    """Values per bin, edges belonging to the bin above; NaN is left out."""
    found = [0] * (len(cut) + 1)
    for x in values:
        if not math.isnan(x):
            found[bisect_right(cut, x)] += 1
    return tuple(found)
