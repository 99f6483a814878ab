"""What index policies share: forced first pulls in random order, evidence, then an index by arm."""

import numpy as np

from app.core.backtest.evidence import Evidence
from app.core.backtest.policy import Problem
from app.core.weights import FORCED_PULLS


def forced(problem: Problem, rng: np.random.Generator) -> list[int]:
    """``FORCED_PULLS`` of every arm in random order, to be popped."""
    pulls = np.repeat(np.arange(len(problem.arms)), FORCED_PULLS)
    return [int(arm) for arm in rng.permutation(pulls)]


class Exploring:
    """Base of policies that judge arms by their own evidence alone; ``index`` says which arm."""

    def __init__(self, problem: Problem) -> None:
        self.rng = np.random.default_rng(problem.seed)
        self.evidence = Evidence(problem.objective, len(problem.arms))
        self.arms = len(problem.arms)
        self._forced = forced(problem, self.rng)

    def choose(self, row: int) -> int:
        return self._forced.pop() if self._forced else self.index(row)

    def learn(self, _row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        self.evidence.add(arm, quality, cost_usd, latency_ms)

    def index(self, row: int) -> int:
        """The arm to pull after the forced pulls."""
        raise NotImplementedError
