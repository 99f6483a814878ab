"""Policy ``epsilon-greedy``: the arm with the best mean so far, and any arm for a fixed share of the requests."""

from app.core.backtest.exploring import Exploring
from app.core.backtest.policy import Problem

EPSILON = 0.05
BLOCK = 4096


class EpsilonGreedy(Exploring):
    """Explores ``EPSILON`` of the requests for ever, and so pays for it for ever."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._uniform: list[float] = []

    def index(self, _row: int) -> int:
        if not self._uniform:
            self._uniform = self.rng.random(BLOCK).tolist()
        u = self._uniform.pop()
        if u < EPSILON:
            return min(self.arms - 1, int(u / EPSILON * self.arms))
        means = self.evidence.mean
        return means.index(max(means))
