"""One view of a series: whether it has become livelier than it used to be."""

from math import log, sqrt

import msgspec

from app.core.analyze.usual import MEMORY, PACE

FLOOR = 1e-4
"""A recent variance below this share of the long-run one counts as this share."""
LEAST = 0.01
"""The logarithm of the recent variance is taken to vary by at least this (a variance)."""


class Regime(msgspec.Struct, array_like=True):
    """The logarithm of the variance of about the last ``span`` points, standardised by its own history.

    Only rises count: a series that falls silent shows it in its level.
    """

    span: int
    recent: float = 0.0
    recent_variance: float = 0.0
    mean: float = 0.0
    variance: float = 0.0

    def step(self, value: float, count: int, spread: float, grain: float) -> float:
        """The score of ``value``, >= 0 and 0 during the first two spans; then learn it. Arguments as of ``Level``."""
        pace = 2.0 / (self.span + 1.0)
        if pace * (count + 1) < 1.0:
            pace = 1.0 / (count + 1)
        error = value - self.recent
        self.recent += pace * error
        self.recent_variance = (1.0 - pace) * (self.recent_variance + pace * error * error)
        if count < self.span:
            return 0.0
        return self._standardised(max(self.recent_variance, FLOOR * spread * spread) + grain * grain, count)

    def _standardised(self, variance: float, count: int) -> float:
        seen = count - self.span + 1
        error = log(variance) - self.mean
        score = error / sqrt(max(self.variance, LEAST)) if seen > self.span and error > 0.0 else 0.0
        pace = 1.0 / seen if seen < MEMORY else PACE
        self.mean += pace * error
        self.variance += pace * (error * error * (1.0 - pace) - self.variance)
        return score
