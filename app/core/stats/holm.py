"""Holm's step-down: which of several hypotheses fall when the chance of any false one shall be at most alpha?

Valid under any dependence (Holm, Scandinavian Journal of Statistics 1979). Given always-valid p-values (the smallest
one seen so far is one too) the answer may be read at any time.

>>> adjusted([0.01, 0.04, 0.03])
(0.03, 0.06, 0.06)
"""

import math
from collections.abc import Sequence


def adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values in the given order, adjusted: at most alpha means rejected. ``ValueError`` outside [0, 1]."""
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"p-values lie in [0, 1], got {list(p_values)}")
    result, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        result[i] = largest
    return tuple(result)


def rejected(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses fall, in the given order. ``ValueError`` unless 0 < alpha < 1."""
    if not 0.0 < alpha < 1.0 or math.isnan(alpha):
        raise ValueError(f"Holm needs 0 < alpha < 1, got {alpha}")
    return tuple(p <= alpha for p in adjusted(p_values))
