"""One view of a series: how far a point is from what is usual at this hour, of the day or of the week."""

import msgspec

from app.core.analyze.usual import Usual

HOUR_S = 3600.0
DAY, WEEK = 24, 168
DAILY_WARM, WEEKLY_WARM = 100, 200
"""Errors seen before a forecast is believed."""
FLOOR = 0.01
"""Points are taken to miss the mean of their hour usually by at least this share of the spread of all points."""


class Hours(msgspec.Struct, array_like=True):
    """The mean of every hour of a period. ``forget``: the least share a new point has in it."""

    means: list[float]
    counts: list[int]
    forget: float

    @classmethod
    def new(cls, period: int, forget: float) -> "Hours":
        return cls([0.0] * period, [0] * period, forget)

    def learn(self, hour: int, value: float) -> float | None:
        """By how much ``value`` differs from the mean of its hour, ``None`` when it is the first; then learn it."""
        n = self.counts[hour] = self.counts[hour] + 1
        if n == 1:
            self.means[hour] = value
            return None
        error = value - self.means[hour]
        forget = self.forget
        self.means[hour] += error * (forget if forget * n > 1.0 else 1.0 / n)
        return error


class Seasonal(msgspec.Struct, array_like=True):
    """Two forecasts, the mean of the hour of the day and of the hour of the week. The one that has erred less is
    believed, and its error is scored in units of what it usually is.
    """

    daily: Hours
    weekly: Hours
    daily_error: Usual
    weekly_error: Usual

    @classmethod
    def new(cls) -> "Seasonal":
        return cls(Hours.new(DAY, 0.05), Hours.new(WEEK, 0.2), Usual(), Usual())

    def step(self, time_s: float, value: float, spread: float, grain: float) -> float:
        """The signed score of ``value``, 0 in an hour not seen before; then learn it. Arguments as of ``Level``."""
        hour = int(time_s // HOUR_S)
        floor = FLOOR * spread + grain
        by_day, by_week = self.daily_error, self.weekly_error
        score = 0.0
        error = self.daily.learn(hour % DAY, value)
        if error is not None:
            daily_score = by_day.score(error, floor)
            if by_day.count > DAILY_WARM:
                score = daily_score
        error = self.weekly.learn(hour % WEEK, value)
        if error is not None:
            weekly_score = by_week.score(error, floor)
            if by_week.count > WEEKLY_WARM and by_week.cubes < by_day.cubes:
                score = weekly_score
        return score
