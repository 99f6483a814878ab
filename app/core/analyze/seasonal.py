"""One view of a series: how far a point is from what is usual at this hour, of the day or of the week."""

import msgspec

from app.core.analyze.usual import Usual

HOUR_S = 3600.0
FLOOR = 0.01
"""Points are taken to miss the mean of their hour usually by at least this share of the spread of all points."""


class Hours(msgspec.Struct, array_like=True):
    """The mean of every hour of a period. ``forget``: the least share a new point has in it."""

    means: list[float]
    counts: list[int]
    forget: float

    def hour(self, time_s: float) -> int:
        return int(time_s // HOUR_S) % len(self.means)

    def learn(self, hour: int, value: float) -> None:
        n = self.counts[hour] = self.counts[hour] + 1
        self.means[hour] += max(self.forget, 1.0 / n) * (value - self.means[hour])


def hours(period: int, forget: float) -> Hours:
    return Hours([0.0] * period, [0] * period, forget)


class Seasonal(msgspec.Struct, array_like=True):
    """Two forecasts, the mean of the hour of the day and of the hour of the week; the one that has erred less is believed.
    The error is scored in units of what it usually is.
    """

    daily: Hours
    weekly: Hours
    daily_error: Usual
    weekly_error: Usual

    @classmethod
    def new(cls) -> "Seasonal":
        return cls(hours(24, 0.05), hours(168, 0.2), Usual(), Usual())

    def step(self, time_s: float, value: float, spread: float, grain: float) -> float:
        """The signed score of ``value``, 0 in an hour not seen before; then learn it. Arguments as of ``Level``."""
        floor = FLOOR * spread + grain
        daily, weekly = self.daily, self.weekly
        hour, week_hour = daily.hour(time_s), weekly.hour(time_s)
        score = 0.0
        if daily.counts[hour]:
            score = self.daily_error.score(value - daily.means[hour], floor)
            if self.daily_error.count <= 100:
                score = 0.0
        if weekly.counts[week_hour]:
            weekly_score = self.weekly_error.score(value - weekly.means[week_hour], floor)
            if self.weekly_error.count > 200 and self.weekly_error.cubes < self.daily_error.cubes:
                score = weekly_score
        daily.learn(hour, value)
        weekly.learn(week_hour, value)
        return score
