"""How far is a value from the ones before it? z-score, Tukey's fences and median deviation, each with a floored scale.

On short windows, such as rings of 128 panes: the state keeps the window itself. A value is scored before it joins.

    zscore  |x - mean| / sd                      alarm from 3     (sd: divided by n - 1)
    iqr     distance beyond the quartiles / IQR  alarm from 1.5   (Tukey, Exploratory Data Analysis, 1977)
    mad     .6745 |x - median| / MAD             alarm from 3.5   (Iglewicz and Hoaglin, 1993)

The scale is at least ``floor`` and at least 1e-6 of the centre, so a constant window does not make noise certain.

>>> state = Robust("mad")
>>> for x in range(60): state = update(state, x % 7)
>>> alarm(state), alarm(update(state, 40.0))
(False, True)
"""

import math
from statistics import fmean, median
from typing import Literal

import msgspec

Rule = Literal["zscore", "iqr", "mad"]
LIMITS: dict[str, float] = {"zscore": 3.0, "iqr": 1.5, "mad": 3.5}
SIZE = 128
WARM = 30
"""Values before the first score."""
LARGEST = 1e6
"""Highest score."""
_BIGGEST = 1e100
"""Values beyond are taken as this, so that no square overflows."""


class Robust(msgspec.Struct, frozen=True, array_like=True):
    """``values``: the newest ``size``, oldest first; ``score`` of the newest, in [0, 1e6]; ``skipped``: not finite."""

    rule: Rule = "zscore"
    size: int = SIZE
    values: tuple[float, ...] = ()
    score: float = 0.0
    skipped: int = 0


def update(state: Robust, x: float, *, floor: float = 0.0) -> Robust:
    """Score ``x`` against the window, then add it. A value that is not finite is counted, scores 0 and is left out."""
    if not math.isfinite(x):
        return msgspec.structs.replace(state, score=0.0, skipped=state.skipped + 1)
    x = max(-_BIGGEST, min(_BIGGEST, float(x)))
    score = score_of(state.rule, state.values, x, floor=floor) if len(state.values) >= WARM else 0.0
    return Robust(state.rule, state.size, (*state.values, x)[-state.size :], score, state.skipped)


def alarm(state: Robust, limit: float | None = None) -> bool:
    """Whether the newest value is strange; ``limit``: score from which it is (the rule's own when None)."""
    return state.score >= (LIMITS[state.rule] if limit is None else limit)


def score_of(rule: Rule, window: tuple[float, ...], x: float, *, floor: float = 0.0) -> float:
    """Score of ``x`` against at least two values."""
    if rule == "zscore":
        return _zscore(window, x, floor)
    return _iqr(window, x, floor) if rule == "iqr" else _mad(window, x, floor)


def _zscore(window: tuple[float, ...], x: float, floor: float) -> float:
    mean = fmean(window)
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in window) / (len(window) - 1))
    return _scaled(abs(x - mean), sd, mean, floor)


def _iqr(window: tuple[float, ...], x: float, floor: float) -> float:
    ordered = sorted(window)
    low, high = _quantile(ordered, 0.25), _quantile(ordered, 0.75)
    return _scaled(max(0.0, low - x, x - high), high - low, 0.5 * (low + high), floor)


def _mad(window: tuple[float, ...], x: float, floor: float) -> float:
    centre = median(window)
    return _scaled(0.6744897501960817 * abs(x - centre), median(abs(v - centre) for v in window), centre, floor)


def _scaled(distance: float, scale: float, centre: float, floor: float) -> float:
    return min(LARGEST, distance / max(scale, floor, 1e-6 * abs(centre), 1e-12))


def _quantile(ordered: list[float], q: float) -> float:
    position = q * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])
