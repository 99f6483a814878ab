"""The streaming anomaly scorer: four views of a series, one score, no look at what is still to come.

Constant memory and time a point (STATISTICS section 1). A point is scored before it is learned; every scale is learned
from the series itself and floored; nothing is tuned to one series.
"""

from math import isfinite, sqrt

import msgspec

from app.core.analyze.fatigue import Fatigue
from app.core.analyze.level import Level
from app.core.analyze.regime import Regime
from app.core.analyze.scored import NOTHING, Scored
from app.core.analyze.seasonal import Seasonal

DAY_S = 86_400.0
MEMORY = 2000.0
HUGE = 1e100
"""Values beyond are taken as this, so that no square overflows."""
SURE = 1000.0
"""One view says at most this."""


THRESHOLD = 5.0


class Scorer(msgspec.Struct, array_like=True):
    """Scores one series point by point. The whole state is this struct: ``snapshot`` and ``restore`` lose nothing.

    >>> scorer = Scorer.new()
    >>> [scorer.step(60.0 * i, 1.0).alert for i in range(1000)].count(True)
    0
    >>> scorer.step(60_000.0, 50.0).alert
    True
    """

    short: Level
    long: Level
    regime: Regime
    daily: Seasonal
    fatigue: Fatigue

    @classmethod
    def new(cls, threshold: float = THRESHOLD) -> "Scorer":
        """A scorer that has seen nothing; scores from ``threshold`` on are alerts."""
        return cls(
            Level(20.0, MEMORY),
            Level(100.0, MEMORY),
            Regime(60.0, MEMORY),
            Seasonal.make(24, DAY_S, memory=MEMORY, forget=0.05),
            Fatigue(threshold=threshold, quiet=200, memory=3000.0, weight=0.2),
        )

    def step(self, time_s: float, value: float) -> Scored:
        """Score ``value`` at ``time_s`` (seconds since 1970), then learn it. A value that is not finite scores 0 and
        teaches nothing.
        """
        if not isfinite(value):
            return NOTHING
        value = min(max(value, -HUGE), HUGE)
        views = (
            self.short.step(value),
            self.long.step(value),
            self.regime.step(value),
            self.daily.step(time_s, value),
        )
        total = 0.0
        for view in views:
            bounded = min(abs(view), SURE)
            total += bounded * bounded
        return Scored(*self.fatigue.step(sqrt(total)))

    def snapshot(self) -> bytes:
        """The state as MessagePack."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def restore(cls, snapshot: bytes) -> "Scorer":
        """The scorer a snapshot was made of; ``msgspec.DecodeError`` when it is none."""
        return msgspec.msgpack.decode(snapshot, type=cls)
