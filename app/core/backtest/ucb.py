"""Policy ``ucb``: upper confidence bounds with estimated variances (UCB1-tuned: Auer, Cesa-Bianchi, Fischer, 2002)."""

from math import log, sqrt

from app.core.backtest.exploring import Exploring
from app.core.backtest.policy import Problem


class Ucb(Exploring):
    """Pulls the arm whose mean plus ``sqrt(log requests)`` standard errors is highest."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._asked = 1.0

    def index(self, _row: int) -> int:
        self._asked += 1.0
        width = sqrt(log(self._asked))
        best, arm = -1e300, 0
        for k, (mean, variance) in enumerate(zip(self.evidence.mean, self.evidence.variance, strict=True)):
            bound = mean + width * sqrt(variance)
            if bound > best:
                best, arm = bound, k
        return arm
