"""One view of a series: how far a point is from what is usual at this time of the day."""

from math import sqrt

import msgspec

FLOOR = 1e-4
ROUNDING = 1e-9
TINY = 1e-150


class Seasonal(msgspec.Struct, array_like=True):
    """The distance of a point from the mean of its slot of the period, in units of the usual distance."""

    means: list[float]
    counts: list[int]
    period_s: float
    memory: float
    forget: float
    count: int = 0
    learned: int = 0
    mean: float = 0.0
    variance: float = 0.0
    distance: float = 0.0

    @classmethod
    def make(cls, slots: int, period_s: float, *, memory: float, forget: float) -> "Seasonal":
        return cls([0.0] * slots, [0] * slots, period_s, memory, forget)

    def step(self, time_s: float, value: float) -> float:
        """The signed score of ``value`` (0 in a slot not seen before), which is learned after."""
        slot = int(time_s % self.period_s / self.period_s * len(self.means))
        self._spread(value)
        seen = self.counts[slot]
        self.counts[slot] = seen + 1
        if not seen:
            self.means[slot] = value
            return 0.0
        error = value - self.means[slot]
        unit = sqrt(max(self.distance, FLOOR * self.variance)) + ROUNDING * abs(self.mean) + TINY
        self.learned += 1
        self.distance += max(1.0 / self.memory, 1.0 / self.learned) * (error * error - self.distance)
        self.means[slot] += max(self.forget, 1.0 / (seen + 1)) * error
        return error / unit if self.learned > 100 else 0.0

    def _spread(self, value: float) -> None:
        n = self.count
        self.count = n + 1
        rate = max(1.0 / self.memory, 1.0 / (n + 1))
        error = value - self.mean if n else 0.0
        if not n:
            self.mean = value
        self.mean += rate * error
        self.variance += rate * (error * error * (1.0 - rate) - self.variance)
