"""One view of a series: how far its recent mean stands from its long-run mean."""

import msgspec

from app.core.analyze.usual import Usual

FLOOR = 0.1
"""The two means are taken to differ usually by at least this share of the spread of single points."""


class Level(msgspec.Struct, array_like=True):
    """The mean of about the last ``span`` points less the long-run mean, in units of what that difference usually is:
    autocorrelation widens the unit, so it does not count as surprise.
    """

    span: int
    usual: Usual
    recent: float = 0.0

    def step(self, value: float, count: int, mean: float, spread: float, grain: float) -> float:
        """The signed score of ``value``, 0 during the first two spans; then learn it. ``count``, ``mean`` and
        ``spread`` (a standard deviation) are of the points before; ``grain`` is the smallest difference that is not
        rounding.
        """
        pace = 2.0 / (self.span + 1.0)
        if pace * (count + 1) < 1.0:
            pace = 1.0 / (count + 1)
        self.recent += pace * (value - self.recent)
        if count < self.span:
            return 0.0
        score = self.usual.score(self.recent - mean, FLOOR * spread + grain)
        return score if count >= 2 * self.span else 0.0
