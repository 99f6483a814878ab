"""The three classic rules over the newest points: z-score, interquartile range, median deviation.

The rules and limits of ``app.core.stats.robust``, made for long windows: a point costs O(log window) comparisons, not a
sort. The scale is at least a tenth of the standard deviation of the window, so that equal points do not make noise
certain. On the labelled series of NAB the own scorer does about twice as well (STATISTICS section 1).

>>> rule = MedianDeviation()
>>> [rule.step(0.0, x).alert for x in [*(i % 7 for i in range(60)), 40.0]].count(True)
1
"""

from bisect import bisect_left, insort
from collections import deque
from math import fsum, inf, isfinite, sqrt

from app.core.analyze.scored import NOTHING, Scored
from app.core.stats.robust import LARGEST, LIMITS, WARM

WINDOW = 1000
HUGE = 1e100
"""Values beyond are taken as this, so that no square overflows."""
FLOOR = 0.1
ROUNDING = 1e-6
TINY = 1e-12
NORMAL = 0.6744897501960817
"""The median deviation of N(0, 1)."""


class ZScore:
    """|x - mean| / sd over the newest ``window`` points, from 3 an alert. O(window) memory, O(1) time a point."""

    rule = "zscore"

    def __init__(self, threshold: float | None = None, window: int = WINDOW) -> None:
        self.threshold = LIMITS[self.rule] if threshold is None else threshold
        self._window = window
        self._newest: deque[float] = deque()
        self._origin = self._sum = self._squares = 0.0
        self._learned = 0

    def step(self, time_s: float, value: float) -> Scored:
        """The score of ``value``, in [0, 1e6], which is learned after; ``time_s`` does not count."""
        del time_s
        if not isfinite(value):
            return NOTHING
        value = min(max(value, -HUGE), HUGE)
        score = self._score(value) if len(self._newest) >= WARM else 0.0
        self._learn(value)
        return Scored(score, score >= self.threshold)

    def mean_and_sd(self) -> tuple[float, float]:
        """Of the window, at least two points."""
        n = len(self._newest)
        mean = self._sum / n
        return self._origin + mean, sqrt(max(self._squares - n * mean * mean, 0.0) / (n - 1))

    def _score(self, value: float) -> float:
        mean, sd = self.mean_and_sd()
        return self._scaled(abs(value - mean), sd, mean)

    def _scaled(self, distance: float, scale: float, centre: float) -> float:
        floor = FLOOR * self.mean_and_sd()[1]
        return min(distance / max(scale, floor, ROUNDING * abs(centre), TINY), LARGEST)

    def _learn(self, value: float) -> None:
        if len(self._newest) == self._window:
            self._forget(self._newest.popleft())
        self._newest.append(value)
        self._learned += 1
        if self._learned == 1 or self._learned % self._window == 0:
            self._sum_anew()
        else:
            self._add(value, 1.0)

    def _forget(self, value: float) -> None:
        self._add(value, -1.0)

    def _add(self, value: float, sign: float) -> None:
        beyond = value - self._origin
        self._sum += sign * beyond
        self._squares += sign * beyond * beyond

    def _sum_anew(self) -> None:
        """Once a window, so that rounding cannot pile up and one huge value is forgotten with its window."""
        self._origin = fsum(self._newest) / len(self._newest)
        self._sum = fsum(x - self._origin for x in self._newest)
        self._squares = fsum((x - self._origin) ** 2 for x in self._newest)


class _Sorted(ZScore):
    """Keeps the window in order as well, so that every quantile is at hand."""

    def __init__(self, threshold: float | None = None, window: int = WINDOW) -> None:
        super().__init__(threshold, window)
        self._order: list[float] = []

    def _learn(self, value: float) -> None:
        super()._learn(value)
        insort(self._order, value)

    def _forget(self, value: float) -> None:
        super()._forget(value)
        del self._order[bisect_left(self._order, value)]

    def _quantile(self, share: float) -> float:
        position = share * (len(self._order) - 1)
        low = int(position)
        high = min(low + 1, len(self._order) - 1)
        return self._order[low] + (position - low) * (self._order[high] - self._order[low])


class InterquartileRange(_Sorted):
    """Distance beyond the quartiles over their distance, from 1.5 an alert (Tukey's fences)."""

    rule = "iqr"

    def _score(self, value: float) -> float:
        low, high = self._quantile(0.25), self._quantile(0.75)
        return self._scaled(max(0.0, low - value, value - high), high - low, 0.5 * (low + high))


class MedianDeviation(_Sorted):
    """.6745 |x - median| / MAD, from 3.5 an alert: robust while less than half of the window is strange."""

    rule = "mad"

    def _score(self, value: float) -> float:
        centre, n = self._quantile(0.5), len(self._order)
        deviation = 0.5 * (self._nearest(centre, (n - 1) // 2) + self._nearest(centre, n // 2))
        return self._scaled(NORMAL * abs(value - centre), deviation, centre)

    def _nearest(self, centre: float, rank: int) -> float:
        """The distance of rank ``rank`` (from 0). The nearest ``rank`` + 1 points stand side by side: find where."""
        order, n = self._order, len(self._order)
        low, high = 0, n - rank - 1
        while low < high:
            middle = (low + high) // 2
            beyond = order[middle + rank + 1] if middle + rank + 1 < n else inf
            if centre - order[middle] > beyond - centre:
                low = middle + 1
            else:
                high = middle
        return max(centre - order[low], order[low + rank] - centre)
