"""Policy ``thompson``: Gaussian Thompson sampling with empirical variances (Thompson, 1933), once per request.

The width of the draws is that of production (``app.core.weights``): wide while an arm is young, narrower later.
"""

from math import sqrt

from app.core.backtest.exploring import Exploring
from app.core.backtest.policy import Problem
from app.core.weights import SETTLED, YOUNG

BLOCK = 4096


class Thompson(Exploring):
    """Pulls the arm whose draw from its posterior is highest."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._sd = [1.0] * self.arms
        self._normals: list[list[float]] = []

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        super().learn(row, arm, quality, cost_usd, latency_ms)
        self._sd[arm] = sqrt(self.evidence.variance[arm] * (SETTLED + YOUNG / self.evidence.n[arm]))

    def index(self, _row: int) -> int:
        if not self._normals:
            self._normals = self.rng.standard_normal((BLOCK, self.arms)).tolist()
        best, arm = -1e300, 0
        for k, (mean, sd, z) in enumerate(zip(self.evidence.mean, self._sd, self._normals.pop(), strict=True)):
            drawn = mean + sd * z
            if drawn > best:
                best, arm = drawn, k
        return arm
