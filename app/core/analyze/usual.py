"""How large a quantity usually is: the unit in which surprise is measured."""

from math import cbrt

import msgspec

MEMORY = 5000.0
"""Points after which what was learned has faded to about a third."""
PACE = 1.0 / MEMORY
GAUSSIAN = 1.5957691216057308
"""E|Z|^3 of the standard normal distribution: makes the unit one standard deviation when the quantity is normal."""
LIMIT = 20.0
"""One observation counts as at most this many units: a single absurd value does not blind the scorer, while a lasting
change of scale is still learned within a few points."""


class Usual(msgspec.Struct, array_like=True):
    """The cube root of the mean cube of a size. Third powers, not squares: rare large values widen the unit more, so
    a series with heavy tails needs more to surprise.
    """

    cubes: float = 0.0
    count: int = 0

    def score(self, quantity: float, floor: float) -> float:
        """``quantity`` in units of what it usually is, the unit being at least ``floor`` > 0; then learn its size."""
        unit = cbrt(self.cubes / GAUSSIAN)
        if unit < floor:  # noqa: PLR1730  # twice as fast as max() on the path of every point
            unit = floor
        size = abs(quantity)
        n = self.count = self.count + 1
        if n > 50 and size > LIMIT * unit:
            size = LIMIT * unit
        self.cubes += (1.0 / n if n < MEMORY else PACE) * (size * size * size - self.cubes)
        return quantity / unit
