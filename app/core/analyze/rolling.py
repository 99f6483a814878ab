"""The three classic rules over the newest points: z-score, interquartile range, median absolute deviation.

Kept because everybody knows them. On the labelled series of NAB they score 39, 32 and 21 where the own scorer reaches
more than 60 (STATISTICS section 1). All are in units of one standard deviation of normal data, so one threshold fits.
"""

from bisect import bisect_left, insort
from collections import deque
from math import fsum, inf, isfinite, sqrt

from app.core.analyze.scored import NOTHING, Scored

HUGE = 1e100
WARM = 30
"""Points before the first score."""
FLOOR = 1e-9
"""The scale is at least this share of the centre: below is rounding."""
TINY = 1e-150
SURE = 1e6
IQR_SD = 1.3489795003921634
"""Interquartile range of N(0, 1); the median absolute deviation is half of it."""


class Rolling:
    """Distance from the centre of the newest ``window`` points, over their scale. O(window) memory."""

    def __init__(self, window: int = 1000, threshold: float = 4.0) -> None:
        self.threshold = threshold
        self._newest: deque[float] = deque(maxlen=window)

    def step(self, time_s: float, value: float) -> Scored:
        """The score of ``value``, which is learned after; ``time_s`` does not count."""
        del time_s
        if not isfinite(value):
            return NOTHING
        value = min(max(value, -HUGE), HUGE)
        score = 0.0
        if len(self._newest) >= WARM:
            centre, scale = self.centre_and_scale()
            score = min(abs(value - centre) / (scale + FLOOR * abs(centre) + TINY), SURE)
        self.learn(value)
        return Scored(score, score >= self.threshold)

    def centre_and_scale(self) -> tuple[float, float]:
        """What is usual, and by how much points differ from it (0 when they do not)."""
        raise NotImplementedError

    def learn(self, value: float) -> None:
        """Take ``value`` in; the oldest goes out when the window is full."""
        self._newest.append(value)


class ZScore(Rolling):
    """|x - mean| / sd. The sums are made anew from the window every ``window`` points, so rounding cannot pile up."""

    def __init__(self, window: int = 1000, threshold: float = 4.0) -> None:
        super().__init__(window, threshold)
        self._sum = self._squares = self._origin = 0.0
        self._learned = 0

    def centre_and_scale(self) -> tuple[float, float]:
        n = len(self._newest)
        mean = self._sum / n
        return self._origin + mean, sqrt(max(self._squares / n - mean * mean, 0.0))

    def learn(self, value: float) -> None:
        if len(self._newest) == self._newest.maxlen:
            old = self._newest[0] - self._origin
            self._sum -= old
            self._squares -= old * old
        super().learn(value)
        self._learned += 1
        if self._learned == 1 or self._learned % (self._newest.maxlen or 1) == 0:
            self._anew()
        else:
            new = value - self._origin
            self._sum += new
            self._squares += new * new

    def _anew(self) -> None:
        self._origin = fsum(self._newest) / len(self._newest)
        self._sum = fsum(x - self._origin for x in self._newest)
        self._squares = fsum((x - self._origin) ** 2 for x in self._newest)


class Sorted(Rolling):
    """Keeps the window in order, so that every quantile is at hand."""

    def __init__(self, window: int = 1000, threshold: float = 4.0) -> None:
        super().__init__(window, threshold)
        self._order: list[float] = []

    def learn(self, value: float) -> None:
        if len(self._newest) == self._newest.maxlen:
            del self._order[bisect_left(self._order, self._newest[0])]
        super().learn(value)
        insort(self._order, value)

    def quantile(self, share: float) -> float:
        """The nearest-rank quantile of the window."""
        return self._order[min(int(share * len(self._order)), len(self._order) - 1)]


class InterquartileRange(Sorted):
    """|x - median| / (IQR / 1.349): 1.349 is the interquartile range of the standard normal distribution."""

    def centre_and_scale(self) -> tuple[float, float]:
        return self.quantile(0.5), (self.quantile(0.75) - self.quantile(0.25)) / IQR_SD


class MedianDeviation(Sorted):
    """|x - median| / (1.483 MAD): robust against up to half of the window being strange."""

    def centre_and_scale(self) -> tuple[float, float]:
        centre = self.quantile(0.5)
        return centre, self._deviation(centre) * 2.0 / IQR_SD

    def _deviation(self, centre: float) -> float:
        """The median of the distances: walk out from the centre, always to the nearer neighbour side by bisection."""
        order = self._order
        n = len(order)
        k = n // 2
        low, high = 0, n - k - 1  # the k + 1 nearest points are order[i : i + k + 1] for some i
        while low < high:
            i = (low + high) // 2
            right = order[i + k + 1] if i + k + 1 < n else inf
            if centre - order[i] > right - centre:
                low = i + 1
            else:
                high = i
        return max(centre - order[low], order[low + k] - centre)
