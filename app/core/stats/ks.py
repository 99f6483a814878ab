"""Kolmogorov-Smirnov: has the distribution of a metric changed against a sorted reference?

D is the largest distance of the two empirical distribution functions. The reference is a sample too, so the p-value is
the two-sample one: exact by counting lattice paths up to ``EXACT`` pairs (Hodges, 1957; no ties assumed), beyond that
the limit distribution (Smirnov, 1948) with Stephens' correction (JRSS B 1970): its critical values are exceeded as
often as they say within 4 % (12 % where n = m). With ties (rounded values, histograms,
0/1) p is too large, never too small: on 0/1 data the test is near useless, use the e-detector there.

>>> test(range(100), [x + 60 for x in range(50)]).p_value < 1e-6
True
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

import msgspec

EXACT = 10_000
"""Pairs (n x m) up to which p is exact; about 1 ms."""


class KsResult(msgspec.Struct, frozen=True):
    """``statistic`` D in [0, 1]; ``p_value`` of "same distribution"; sizes; ``left_out``: values that were NaN."""

    statistic: float
    p_value: float
    n: int
    m: int
    left_out: int = 0


def test(reference: Sequence[float], sample: Iterable[float]) -> KsResult:
    """``reference`` ascending and free of NaN (it is trusted, not sorted again), ``sample`` in any order. Without
    values on either side D is 0 and p is 1.
    """
    given = list(sample)
    values = sorted(x for x in given if not math.isnan(x))
    n, m = len(values), len(reference)
    if not n or not m:
        return KsResult(0.0, 1.0, n, m, len(given) - n)
    largest = 0
    for x in values:  # D is reached at, or just before, a value of the sample
        largest = max(
            largest,
            abs(bisect_right(values, x) * m - bisect_right(reference, x) * n),
            abs(bisect_left(values, x) * m - bisect_left(reference, x) * n),
        )
    return KsResult(largest / (n * m), p_value(largest / (n * m), n, m), n, m, len(given) - n)


def test_counts(reference: Mapping[int, int], sample: Mapping[int, int]) -> KsResult:
    """The same on two histograms over the same buckets (bucket -> count): what is left of latencies in a window."""
    n, m = sum(sample.values()), sum(reference.values())
    if not n or not m:
        return KsResult(0.0, 1.0, n, m)
    below_n = below_m = largest = 0
    for k in sorted(reference.keys() | sample.keys()):
        below_n += sample.get(k, 0)
        below_m += reference.get(k, 0)
        largest = max(largest, abs(below_n * m - below_m * n))
    return KsResult(largest / (n * m), p_value(largest / (n * m), n, m), n, m)


def p_value(statistic: float, n: int, m: int) -> float:
    """P(D >= ``statistic``) when both samples come from one distribution."""
    if statistic <= 0.0 or min(n, m) < 1:
        return 1.0
    if n * m <= EXACT:
        return _exact(statistic, n, m)
    root = math.sqrt(n * m / (n + m))
    return _limit((root + 0.12 + 0.11 / root) * statistic)


def critical(alpha: float, n: int, m: int) -> float:
    """The smallest D (to 1e-9) whose p-value is at most ``alpha``; above 1 when no D can be that rare."""
    if not 0.0 < alpha < 1.0 or min(n, m) < 1:
        raise ValueError(f"a critical value needs 0 < alpha < 1 and values on both sides, got {alpha}, {n}, {m}")
    low, high = 0.0, 1.0 + 1e-9
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if p_value(middle, n, m) <= alpha else (middle, high)
    return high


def _exact(statistic: float, n: int, m: int) -> float:
    """1 - P(every step of the merged sample stays within the statistic): i of n and j of m drawn so far."""
    limit = statistic * n * m - 1e-6
    row = [0.0] * (m + 1)  # P(the path is at (i, j) and was inside so far)
    for i in range(n + 1):
        for j in range(m + 1):
            if abs(i * m - j * n) >= limit:
                row[j] = 0.0
            elif i or j:
                left = n + m - i - j + 1
                came = row[j] * (n - i + 1) / left if i else 0.0
                row[j] = came + (row[j - 1] * (m - j + 1) / left if j else 0.0)
            else:
                row[j] = 1.0
    return min(1.0, max(0.0, 1.0 - row[m]))


def _limit(x: float) -> float:
    if x < 0.2:
        return 1.0
    total = sum((-1.0) ** (k - 1) * math.exp(-2.0 * k * k * x * x) for k in range(1, 40))
    return min(1.0, max(0.0, 2.0 * total))
