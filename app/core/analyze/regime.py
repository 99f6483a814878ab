"""One view of a series: whether it has become livelier than it used to be."""

from math import log, sqrt

import msgspec

FLOOR = 1e-4
"""A recent variance below this share of the long-run one counts as this share."""
ROUNDING = 1e-18
TINY = 1e-300


class Regime(msgspec.Struct, array_like=True):
    """The logarithm of the recent variance (over about ``span`` points), standardised by its own history.

    Only rises count: a series that falls silent shows it in its level.
    """

    span: float
    memory: float
    count: int = 0
    recent: float = 0.0
    recent_variance: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    log_mean: float = 0.0
    log_variance: float = 0.0

    def step(self, value: float) -> float:
        """The score of ``value``, at least 0 (and 0 for the first 2 spans); ``value`` is learned after."""
        n = self.count
        self.count = n + 1
        if not n:
            self.recent = self.mean = value
            return 0.0
        rate = max(1.0 / self.memory, 1.0 / (n + 1))
        error = value - self.mean
        self.mean += rate * error
        self.variance += rate * (error * error * (1.0 - rate) - self.variance)
        rate = max(2.0 / (self.span + 1.0), 1.0 / (n + 1))
        error = value - self.recent
        self.recent += rate * error
        self.recent_variance = (1.0 - rate) * (self.recent_variance + rate * error * error)
        return self._standardised() if n >= self.span else 0.0

    def _standardised(self) -> float:
        seen = self.count - self.span
        spread = max(self.recent_variance, FLOOR * self.variance) + ROUNDING * self.mean * self.mean + TINY
        error = log(spread) - self.log_mean
        score = max(error / sqrt(max(self.log_variance, 0.01)), 0.0) if seen > self.span else 0.0
        rate = max(1.0 / self.memory, 1.0 / seen)
        self.log_mean += rate * error
        self.log_variance += rate * (error * error * (1.0 - rate) - self.log_variance)
        return score
