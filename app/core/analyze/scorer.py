"""The streaming anomaly scorer: four views of a series, one score, no look at what is still to come.

Constant memory and time a point (STATISTICS section 1). A point is scored before it is learned; every scale is learned
from the series itself and floored; scale, sign and offset of the values do not matter.
`python -m benchmarks.nab` reprints what the settings are worth; they stand on a wide plateau and are the same for every
series. Alerts per 1,000 points of pure noise: .08 normal, .3 Poisson(2) or AR(.9), .9 lognormal or Student t(3).
"""

from math import isfinite, sqrt

import msgspec

from app.core.analyze.fatigue import Fatigue
from app.core.analyze.level import Level
from app.core.analyze.regime import Regime
from app.core.analyze.scored import NOTHING, Scored
from app.core.analyze.seasonal import Seasonal
from app.core.analyze.usual import MEMORY, PACE, Usual

THRESHOLD = 5.5
"""Score from which a point is an alert."""
HUGE = 1e100
"""Values beyond are taken as this, so that no cube overflows."""
FAR = 100.0
"""A value farther than this many standard deviations from the mean counts as this far."""
SURE = 1000.0
"""No score is larger."""
ROUNDING = 1e-9
"""Differences below this share of the mean are rounding, not change."""
TINY = 1e-50


class Scorer(msgspec.Struct, array_like=True):
    """Scores one series point by point: the root of the summed squares of four views, each about in standard
    deviations. The whole state is this struct, about 2 kB: ``snapshot`` and ``restore`` lose nothing.

    >>> scorer = Scorer.new()
    >>> sum(scorer.step(60.0 * i, 1.0).alert for i in range(1000))
    0
    >>> scorer.step(60_000.0, 50.0).alert
    True
    """

    short: Level
    long: Level
    regime: Regime
    seasonal: Seasonal
    fatigue: Fatigue
    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    @classmethod
    def new(cls, threshold: float = THRESHOLD) -> "Scorer":
        """A scorer that has seen nothing; a score from ``threshold`` on is an alert."""
        return cls(Level(20, Usual()), Level(100, Usual()), Regime(60), Seasonal.new(), Fatigue(threshold))

    def step(self, time_s: float, value: float) -> Scored:
        """Score ``value`` at ``time_s`` (seconds since 1970), then learn it. What is not finite scores 0 and teaches
        nothing.
        """
        if not (isfinite(value) and isfinite(time_s)):
            return NOTHING
        count, mean, spread = self.count, self.mean, sqrt(self.variance)
        far = FAR * spread if spread else HUGE
        if not -far <= value - mean <= far:
            value = mean + far if value > mean else mean - far
        if not -HUGE <= value <= HUGE:
            value = HUGE if value > 0.0 else -HUGE
        if not count:
            mean = self.mean = value
        grain = ROUNDING * abs(mean) + TINY
        short = self.short.step(value, count, mean, spread, grain)
        long = self.long.step(value, count, mean, spread, grain)
        livelier = self.regime.step(value, count, spread, grain)
        unseasonal = self.seasonal.step(time_s, value, spread, grain)
        self._learn(value)
        total = short * short + long * long + livelier * livelier + unseasonal * unseasonal
        return self.fatigue.step(sqrt(total) if total < SURE * SURE else SURE)

    def snapshot(self) -> bytes:
        """The state as MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def restore(cls, snapshot: bytes) -> "Scorer":
        """The scorer a snapshot was made of; ``msgspec.DecodeError`` when it is none."""
        return msgspec.msgpack.decode(snapshot, type=cls)

    def _learn(self, value: float) -> None:
        n = self.count = self.count + 1
        pace = 1.0 / n if n < MEMORY else PACE
        error = value - self.mean
        self.mean += pace * error
        self.variance += pace * (error * error * (1.0 - pace) - self.variance)
