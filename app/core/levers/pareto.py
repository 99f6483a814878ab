"""The Pareto front of arms over quality, cost and latency, and its knee.

An arm is dominated when another is at least as good in every metric and better in one (requirements/004). The knee is
the point of the front closest to the ideal one, after each metric is scaled to its range on the front: it needs no
weights (Branke, Deb, Dierolf, Osswald, PPSN 2004). Only arms of which all three are known take part.

>>> a, b, c = Point("a", 0.9, 0.02, 900.0), Point("b", 0.88, 0.002, 500.0), Point("c", 0.8, 0.004, 700.0)
>>> [point.arm for point in front([a, b, c])], dominated_by(c, [a, b, c]), knee(front([a, b, c]))
(['a', 'b'], 'b', 'b')
"""

import math
from collections.abc import Sequence

import msgspec


class Point(msgspec.Struct, frozen=True):
    """An arm in the space of what counts: quality in [0, 1] (more is better), USD a request and ms (less is better)."""

    arm: str
    quality: float
    cost: float
    latency: float

    @property
    def losses(self) -> tuple[float, float, float]:
        """The three metrics, all less-is-better."""
        return -self.quality, self.cost, self.latency


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
    pairs = list(zip(one.losses, other.losses, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def dominated_by(point: Point, points: Sequence[Point]) -> str:
    """The first arm in ``points`` that dominates ``point``, or ""."""
    return next((other.arm for other in points if dominates(other, point)), "")


def front(points: Sequence[Point]) -> list[Point]:
    """The points that nothing dominates, in the order given."""
    return [point for point in points if not dominated_by(point, points)]


def knee(points: Sequence[Point]) -> str:
    """The arm of a front that is closest to the best of every metric at once; "" for an empty front."""
    columns = list(zip(*(point.losses for point in points), strict=True))
    best = [min(column) for column in columns]
    span = [max(column) - low for column, low in zip(columns, best, strict=True)]

    def distance(point: Point) -> float:
        scaled = ((x - low) / s if s > 0 else 0.0 for x, low, s in zip(point.losses, best, span, strict=True))
        return math.hypot(*scaled)

    return min(points, key=distance).arm if points else ""
