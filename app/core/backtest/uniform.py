"""Policy ``random``: every arm alike."""

import numpy as np

from app.core.backtest.policy import Problem

BLOCK = 4096


class Uniform:
    """Draws an arm evenly; learns nothing."""

    def __init__(self, problem: Problem) -> None:
        self._rng = np.random.default_rng(problem.seed)
        self._arms = len(problem.arms)
        self._drawn: list[int] = []

    def choose(self, _row: int) -> int:
        if not self._drawn:
            self._drawn = self._rng.integers(self._arms, size=BLOCK).tolist()
        return self._drawn.pop()

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        """Nothing."""
