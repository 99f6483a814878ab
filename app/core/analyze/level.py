"""One view of a series: how far its recent mean stands from its long-run mean."""

from math import sqrt

import msgspec

FLOOR = 0.1
"""The usual distance of the two means is taken as at least this share of the spread of single points."""
ROUNDING = 1e-9
"""Differences below this share of the long-run mean are rounding, not change."""
TINY = 1e-150


class Level(msgspec.Struct, array_like=True):
    """The recent mean (over about ``span`` points) less the long-run mean (over about ``memory``), in units of what that
    difference has been so far: autocorrelation and trends widen the unit, so they do not count as surprise.

    >>> level = Level(span=20.0, memory=2000.0)
    >>> [level.step(5.0) for _ in range(100)][-1]
    0.0
    """

    span: float
    memory: float
    count: int = 0
    recent: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    distance: float = 0.0

    def step(self, value: float) -> float:
        """The signed score of ``value`` (0 for the first 2 spans), which is learned after."""
        n = self.count
        self.count = n + 1
        if not n:
            self.recent = self.mean = value
            return 0.0
        self.recent += max(2.0 / (self.span + 1.0), 1.0 / (n + 1)) * (value - self.recent)
        difference = self.recent - self.mean
        unit = sqrt(max(self.distance, FLOOR * FLOOR * self.variance)) + ROUNDING * abs(self.mean) + TINY
        rate = max(1.0 / self.memory, 1.0 / (n + 1))
        error = value - self.mean
        self.mean += rate * error
        self.variance += rate * (error * error * (1.0 - rate) - self.variance)
        if n < self.span:
            return 0.0
        self.distance += max(1.0 / self.memory, 1.0 / (n + 1 - self.span)) * (difference * difference - self.distance)
        return difference / unit if n >= 2.0 * self.span else 0.0
