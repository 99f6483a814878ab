"""Empirical Bayes over segments: reward[arm, segment] = arm + segment + an interaction of variance t2.

t2 comes from the moments of the residuals (DerSimonian and Laird, 1986, on the additive fit); each cell is then shrunk
towards the additive fit by B = t2 / (t2 + its variance) (Efron and Morris, 1975). Arrays are arms x segments; a cell
without data has variance infinity. Fits are by Gauss-Seidel sweeps in fixed order: no linear algebra library decides.
"""

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
SWEEPS = 20


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
    """Weighted least squares fit of arm + segment effects; what has no weight gets the other effects' mean."""
    total = weights.sum()
    if total <= 0.0:
        return np.zeros_like(values)
    centre = float((weights * values).sum() / total)
    arms, segments = np.zeros((values.shape[0], 1)), np.zeros((1, values.shape[1]))
    for _ in range(SWEEPS):
        arms = _effects(values - centre - segments, weights, axis=1)
        segments = _effects(values - centre - arms, weights, axis=0)
    return centre + arms + segments


def interaction(values: Table, variances: Table, known: NDArray[np.bool_]) -> float:
    """t2 by moments; 0 when there are no degrees of freedom left or no excess over the sampling error."""
    weights = _weights(variances, 0.0, known)
    rows, columns = weights.sum(axis=1, keepdims=True), weights.sum(axis=0, keepdims=True)
    df = int(known.sum()) - int((rows > 0).sum()) - int((columns > 0).sum()) + 1
    if df <= 0 or not known.any():
        return 0.0
    residuals = values - additive(values, weights)
    excess = float((weights * residuals**2).sum()) - df
    leverage = weights / np.maximum(rows, 1e-300) + weights / np.maximum(columns, 1e-300) - weights / weights.sum()
    scale = float((weights * (1.0 - leverage)).sum())
    return max(0.0, excess / scale) if scale > 0.0 else 0.0


def _weights(variances: Table, t2: float, known: NDArray[np.bool_]) -> Table:
    return np.where(known, 1.0 / np.maximum(np.where(known, variances, 1.0) + t2, 1e-18), 0.0)


def _effects(residuals: Table, weights: Table, axis: int) -> Table:
    total = weights.sum(axis=axis, keepdims=True)
    return np.where(total > 0.0, (weights * residuals).sum(axis=axis, keepdims=True) / np.maximum(total, 1e-300), 0.0)
