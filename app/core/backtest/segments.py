"""Policy ``segments``: Thompson sampling in every segment, pooled by empirical Bayes (``stats.shrinkage``).

Reward = arm + segment + interaction; how much the segments differ is estimated, and each is believed as far as its own
numbers carry. The pooled posterior is made anew after every ``FRESH`` of growth in what is known.
"""

import numpy as np

from app.core.backtest.exploring import forced
from app.core.backtest.policy import Problem
from app.core.backtest.table import Floats
from app.core.stats.shrinkage import shrink
from app.core.weights import SETTLED, YOUNG_SEGMENTED

FRESH = 0.03
FRESH_LEAST = 20
VARIANCE_DF = 20.0
"""Degrees of freedom a segment's variance borrows from its arm: a handful of 0/1 scores has no variance of its own."""
BLOCK = 4096


class Segments:
    """Sums by component (quality, cost, latency), arm and segment; means and sds by segment for the draws."""

    def __init__(self, problem: Problem) -> None:
        shape = (3, len(problem.arms), len(problem.segments))
        self._segment, self._objective = problem.segment, problem.objective
        self._rng = np.random.default_rng(problem.seed)
        self._forced = forced(problem, self._rng)
        self._n, self._sum, self._squares = (np.zeros(shape).tolist() for _ in range(3))
        self._means, self._sds = np.zeros(shape[:0:-1]).tolist(), np.ones(shape[:0:-1]).tolist()
        self._normals: list[list[float]] = []
        self._seen, self._due = 0, FRESH_LEAST

    def choose(self, row: int) -> int:
        if self._forced:
            return self._forced.pop()
        if not self._normals:
            self._normals = self._rng.standard_normal((BLOCK, len(self._n[0]))).tolist()
        s = self._segment[row]
        best, arm = -1e300, 0
        for k, (mean, sd, z) in enumerate(zip(self._means[s], self._sds[s], self._normals.pop(), strict=True)):
            drawn = mean + sd * z
            if drawn > best:
                best, arm = drawn, k
        return arm

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        s = self._segment[row]
        for component, value in enumerate((quality, cost_usd, latency_ms)):
            if value is not None:
                self._n[component][arm][s] += 1.0
                self._sum[component][arm][s] += value
                self._squares[component][arm][s] += value * value
        self._seen += 1
        if self._seen >= self._due and not self._forced:
            self._refresh()
            self._due = self._seen + max(FRESH_LEAST, int(FRESH * self._seen))

    def _refresh(self) -> None:
        objective = self._objective
        scale = (
            objective.quality,
            -objective.cost / objective.cost_max_usd,
            -objective.latency / objective.latency_max_ms,
        )
        means = variances = np.zeros((len(self._n[0]), len(self._n[0][0])))
        for component, factor in enumerate(scale):
            if factor and np.any(self._n[component]):
                sums = (np.array(kind[component]) for kind in (self._n, self._sum, self._squares))
                mean, variance = component_of(*sums)
                means, variances = means + factor * mean, variances + factor * factor * variance
        means, variances = shrink(means, variances)
        width = SETTLED + YOUNG_SEGMENTED / np.maximum(1.0, np.sum(self._n[0], axis=1))
        self._means, self._sds = means.T.tolist(), np.sqrt(variances.T * width).tolist()


def component_of(n: Floats, total: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Means and the variances of those means, arms x segments; variance infinity where there is nothing."""
    mean = total / np.maximum(n, 1.0)
    within = np.maximum(0.0, squares - total * mean)
    df = np.maximum(n - 1.0, 0.0)
    everywhere = within.sum() / max(1.0, df.sum())
    arm = (within.sum(axis=1) + VARIANCE_DF * everywhere) / (df.sum(axis=1) + VARIANCE_DF)
    one = (within + VARIANCE_DF * arm[:, None]) / (df + VARIANCE_DF)
    return mean, np.where(n > 0.0, one / np.maximum(n, 1.0), np.inf)
