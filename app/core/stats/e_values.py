"""E-values: evidence that may be looked at, stopped and added to at any time, and e-BH for many at once.

An e-value is a number >= 0 whose mean is at most 1 when nothing is there; 20 is what p = .05 is (Vovk and Wang, Annals
of Statistics 2021). Means of e-values are e-values whatever their dependence; products are when each was made after,
or independently of, those before. e-BH keeps the false discovery rate at alpha under any dependence (Wang and Ramdas,
JRSS B 2022). Infinite evidence is allowed; NaN and negative numbers are a ``ValueError``.

>>> e_bh([60.0, 1.0, 50.0, 0.2], alpha=0.05)
(True, False, True, False)
"""

import math
from collections.abc import Sequence

from app.core.stats.confidence import mixture

_LARGEST = 700.0


def e_bh(e_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses are discoveries, in the given order."""
    _check(e_values)
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"e-BH needs 0 < alpha < 1, got {alpha}")
    count = len(e_values)
    order = sorted(range(count), key=lambda i: -e_values[i])
    passing = [rank for rank, i in enumerate(order, 1) if rank * e_values[i] >= count / alpha]
    kept = set(order[: passing[-1]]) if passing else set()
    return tuple(i in kept for i in range(count))


def mean(e_values: Sequence[float]) -> float:
    """One e-value from several on the same question, under any dependence; 1 from none."""
    _check(e_values)
    return math.fsum(e_values) / len(e_values) if e_values else 1.0


def product(e_values: Sequence[float]) -> float:
    """One e-value from several made one after another; 1 from none. Ruin (0) stays ruin, even beside infinity."""
    _check(e_values)
    return 0.0 if 0.0 in e_values else math.prod(e_values)


def from_p(p: float, kappa: float = 0.5) -> float:
    """The e-value kappa p^(kappa - 1) of a p-value (Vovk and Wang, Prop. 2.1), 0 < kappa < 1."""
    if not 0.0 <= p <= 1.0 or not 0.0 < kappa < 1.0:
        raise ValueError(f"an e-value from p needs 0 <= p <= 1 and 0 < kappa < 1, got {p} and {kappa}")
    return math.inf if p == 0.0 else kappa * p ** (kappa - 1.0)


def to_p(e: float) -> float:
    """The p-value min(1, 1 / e) (Markov; Ville, 1939, over all times)."""
    _check((e,))
    return min(1.0, 1.0 / e) if e else 1.0


def of_difference(estimate: float, n: float, variance: float, alpha: float, n_star: float) -> float:
    """The normal-mixture e-value of "the difference is 0" behind ``confidence.half_width`` (two-sided, asymptotic): at
    least 1 / alpha exactly when that interval excludes 0. Units as there; finite, at most e^700.
    """
    if n <= 0.0 or not math.isfinite(variance):
        return 1.0
    if variance <= 0.0:
        return 1.0 if estimate == 0.0 else math.exp(_LARGEST)
    r = mixture(alpha, n_star)
    exponent = n * n * r * estimate * estimate / (2.0 * variance * (n * r + 1.0))
    return math.exp(min(_LARGEST, exponent)) / math.sqrt(n * r + 1.0)


def _check(e_values: Sequence[float]) -> None:
    if not all(e >= 0.0 for e in e_values):
        raise ValueError(f"e-values are numbers >= 0, got {list(e_values)}")
