"""Empirical Bayes over segments: reward[arm, segment] = arm + segment + an interaction of variance t2.

t2 is the value at which the weighted squares around the additive fit are what their degrees of freedom promise (Paule
and Mandel, 1982, by Newton steps); each cell is then shrunk towards the fit by B = t2 / (t2 + its variance) (Efron and
Morris, 1975).
Arrays are arms x segments; a cell without data has variance infinity. Everything is done in a fixed order.
"""

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
NEWTON = 20
CLOSE = 1e-6
_RIDGE = 1e-9
"""Relative; makes the additive fit unique (a constant may move between arms and segments)."""


def shrink(means: Table, variances: Table) -> tuple[Table, Table]:
    """Posterior means and variances of every (arm, segment), comparable between the arms of a segment."""
    known = np.isfinite(variances)
    values = np.where(known, means, 0.0)
    t2 = interaction(values, variances, known)
    weights = _weights(variances, t2, known)
    fit = additive(values, weights)
    arm_precision = weights.sum(axis=1, keepdims=True)
    fit_variance = np.where(arm_precision > 0.0, 1.0 / np.maximum(arm_precision, 1e-300), 1e6)
    finite = np.where(known, variances, 0.0)
    keep = np.where(known, t2 / np.maximum(t2 + finite, 1e-300), 0.0)
    spread = np.where(known, keep * finite, t2) + (1.0 - keep) ** 2 * fit_variance
    return fit + keep * (values - fit), spread


def additive(values: Table, weights: Table) -> Table:
    """Weighted least squares fit of arm + segment effects; an arm or segment without weight gets the average effect."""
    if values.shape[0] < values.shape[1]:  # the system to solve is as large as the number of columns
        return _additive(values.T, weights.T).T
    return _additive(values, weights)


def _additive(values: Table, weights: Table) -> Table:
    rows, columns = weights.sum(axis=1), weights.sum(axis=0)
    if rows.sum() <= 0.0:
        return np.zeros_like(values)
    share = weights / np.maximum(rows, 1e-300)[:, None]
    left = np.diag(columns * (1.0 + _RIDGE)) - weights.T @ share
    right = (weights * (values - (share * values).sum(axis=1, keepdims=True))).sum(axis=0)
    segments = _solved(left, right, columns > 0.0)
    arms = (share * (values - segments)).sum(axis=1)
    arms = np.where(rows > 0.0, arms, (rows * arms).sum() / rows.sum())
    return np.asarray(arms[:, None] + segments)


def interaction(values: Table, variances: Table, known: NDArray[np.bool_]) -> float:
    """t2; 0 when there are no degrees of freedom left or no excess over the sampling error."""
    rows, columns = int(known.any(axis=1).sum()), int(known.any(axis=0).sum())
    df = int(known.sum()) - rows - columns + 1
    if df <= 0 or rows == 0:
        return 0.0

    t2 = 0.0
    for _ in range(NEWTON):  # from below; the fit minimises the squares, so its own change is no part of the slope
        weights = _weights(variances, t2, known)
        each = weights * (values - additive(values, weights)) ** 2
        excess = float(each.sum()) - df
        if excess <= CLOSE * df:
            break
        t2 += excess / float((weights * each).sum())
    return t2


def _weights(variances: Table, t2: float, known: NDArray[np.bool_]) -> Table:
    return np.where(known, 1.0 / np.maximum(np.where(known, variances, 1.0) + t2, 1e-18), 0.0)


def _solved(left: Table, right: Table, used: NDArray[np.bool_]) -> Table:
    """Solution of a positive definite system by elimination, 0 where not ``used``."""
    at = np.flatnonzero(used)
    a, b = left[np.ix_(at, at)].tolist(), right[at].tolist()
    size = len(b)
    for k in range(size):
        for i in range(k + 1, size):
            factor = a[i][k] / a[k][k]
            b[i] -= factor * b[k]
            a[i] = [x - factor * y for x, y in zip(a[i], a[k], strict=True)]
    for k in reversed(range(size)):
        b[k] = (b[k] - sum(a[k][i] * b[i] for i in range(k + 1, size))) / a[k][k]
    solution = np.zeros_like(right)
    solution[at] = b
    return solution
