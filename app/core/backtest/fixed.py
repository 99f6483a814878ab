"""Policies ``best-fixed`` and ``cheapest``: one arm for every request."""

from app.core.backtest.policy import Problem


class Fixed:
    """Always the same arm; learns nothing."""

    def __init__(self, arm: int) -> None:
        self._arm = arm

    def choose(self, _row: int) -> int:
        return self._arm

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        """Nothing."""


def best_fixed(problem: Problem) -> Fixed:
    """The arm with the best mean reward, known in hindsight: the yardstick of every other policy."""
    return Fixed(max(range(len(problem.arms)), key=problem.reward_means.__getitem__))


def cheapest(problem: Problem) -> Fixed:
    """The arm with the lowest mean cost, as its price list would say."""
    return Fixed(min(range(len(problem.arms)), key=problem.cost_means.__getitem__))
