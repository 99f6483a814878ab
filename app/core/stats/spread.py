"""Batch CUSUM of the variance: has a metric become more scattered? Once per closed pane, from its sums.

    S = max(0, S + sum z^2 (1 - 1/R) / 2 - n ln(R) / 2),   z = (x - mean) / sd of the reference,   R = 2

is the likelihood ratio of a variance R times the reference's (Page, 1954; Hawkins and Olwell, 1998, ch. 4). Made for
values near normal: latency and cost as logarithms. A shifted mean raises it too. Heavier tails raise false alarms.

>>> state = Spread()
>>> for x in range(1100): state = update(state, Sums(1, x % 2, x % 2))
>>> alarm(update(state, Sums(20, 10.0, 60.0)))
True
"""

import math

import msgspec

from app.core.stats.reference import Normal, Sums, forgot_recent, learned, scale

RATIO = 2.0
LIMIT = 7.7
LARGEST = 1e9


class Spread(msgspec.Struct, frozen=True, array_like=True):
    """State of one metric: ``evidence`` is a log likelihood ratio >= 0; ``skipped``: panes that were not numbers."""

    normal: Normal = Normal()
    evidence: float = 0.0
    skipped: int = 0


def update(state: Spread, pane: Sums, *, ratio: float = RATIO, limit: float = LIMIT, floor: float = 0.0) -> Spread:
    """Add a closed pane. Empty panes change nothing; sums that cannot be are counted and left out."""
    if not pane.usable:
        return state if pane.n == 0 else msgspec.structs.replace(state, skipped=state.skipped + 1)
    normal = state.normal
    if not normal.ready:
        return msgspec.structs.replace(state, normal=learned(normal, pane))
    mean, sigma = normal.reference.mean, scale(normal.reference, floor)
    square = max(0.0, pane.squares - 2.0 * mean * pane.total + pane.n * mean * mean) / (sigma * sigma)
    step = 0.5 * square * (1.0 - 1.0 / ratio) - 0.5 * pane.n * math.log(ratio)
    evidence = min(LARGEST, max(0.0, state.evidence + step))
    kept = learned(normal, pane) if evidence < limit else forgot_recent(normal)
    return Spread(kept, evidence, state.skipped)


def alarm(state: Spread, limit: float = LIMIT) -> bool:
    """Whether the scatter has grown."""
    return state.evidence >= limit


def level(state: Spread, limit: float = LIMIT) -> float:
    """Share of the way to an alarm, in [0, 1]; 1 means alarm."""
    return min(1.0, state.evidence / limit)


def limit_for(panes: float) -> float:
    """A level whose average run is at least this many panes, whatever their size (measured), and at least 1."""
    return max(1.0, math.log(max(1.0, panes)) - 1.5)


def restarted(state: Spread) -> Spread:
    """After an alarm: same reference, no evidence."""
    return Spread(forgot_recent(state.normal), skipped=state.skipped)


def rebaselined(state: Spread) -> Spread:
    """After an accepted change: what comes next is the new normal."""
    return Spread(skipped=state.skipped)
