"""Policy ``q-learning`` (Watkins and Dayan, 1992): a table of values by segment and arm, learned at a constant rate.

An answer does not change the next request, so every request is an episode of its own: the discount is zero. Rewards are
those of single requests; an answer without a score teaches nothing. Kept for comparison: it forgets at a constant rate,
and so never settles.
"""

import numpy as np

from app.core.backtest.exploring import forced
from app.core.backtest.policy import Problem
from app.core.stats.reward import composite

LEARNING_RATE = 0.05
EPSILON = 0.05
OPTIMISM = 1.0
"""Value of what was never tried: the highest reward there is."""
BLOCK = 4096


class QLearning:
    """Pulls the arm of the highest value in the request's segment, any arm for ``EPSILON`` of the requests."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rng = np.random.default_rng(problem.seed)
        self._values = [[OPTIMISM] * len(problem.arms) for _ in problem.segments]
        self._forced = forced(problem, self._rng)
        self._uniform: list[float] = []

    def choose(self, row: int) -> int:
        if self._forced:
            return self._forced.pop()
        if not self._uniform:
            self._uniform = self._rng.random(BLOCK).tolist()
        u, values = self._uniform.pop(), self._values[self._problem.segment[row]]
        if u < EPSILON:
            return min(len(values) - 1, int(u / EPSILON * len(values)))
        return values.index(max(values))

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        if quality is None:
            return
        values = self._values[self._problem.segment[row]]
        reward = composite(self._problem.objective, quality, cost_usd, latency_ms)
        values[arm] += LEARNING_RATE * (reward - values[arm])
