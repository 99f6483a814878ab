"""The contrast of two concurrent slices, taken within the minute and added up (STATISTICS 5).

    d = sum_t om_t (yT_t - yC_t) / sum_t om_t,   om_t = nC nT / (nC + nT),   effective n = sum_t om_t

is the least-squares effect with a level of its own for every t: whatever moves both slices together (a daily trend, a
bandit beside them) cancels. A t is a *block*: one minute, or as many consecutive minutes of one step as it takes until
both slices hold ``BLOCK_N`` observations (and ``BLOCK_GROUPS`` session groups when routing is sticky), because minutes
with one slice only would be lost. The rule looks at counts only, never at values.

Variance of one effective pair, V = W * sum om^2 (vC/nC + vT/nT) / W^2 with W = sum om: vC, vT are pooled from the
squares within blocks, or from the squares around the slice's mean while those have under ``WITHIN_DF`` degrees of
freedom (larger, never smaller in expectation). Bounded metrics get one observation added at either end, so that a run
of equal values is not taken for certainty. With session groups V is also computed from clusters (Liang and Zeger,
1986): sum over groups of the squared linearised score, times G / (G - 1); each block's scores are scaled by
sqrt(k / (k - 1)) for the mean taken from its k groups. The larger of the two variances counts.
"""

import math
from collections.abc import Iterable

import msgspec

from app.core.cell import SESSION_GROUPS

BLOCK_N = 16
"""Observations a slice needs to close a block."""
BLOCK_GROUPS = 8
"""Session groups a slice needs to close a block when routing is sticky..."""
BLOCK_LIMIT = 512
"""...or this many observations in both slices, so that a block always ends."""
WITHIN_DF = 30
"""Degrees of freedom within blocks from which their variance is used alone."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Sums of one metric in one slice: number, sum, sum of squares; ``groups``: (group, n, sum), groups ascending."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    groups: tuple[tuple[int, int, float], ...] = ()


class Side(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of one slice over closed blocks.

    ``within``: squares around block means; ``leverage``: sum om^2 / n; ``scores``: linearised score by session group
    (empty or 64 long); ``grouped``: observations that had a group.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    blocks: int = 0
    within: float = 0.0
    leverage: float = 0.0
    grouped: int = 0
    scores: tuple[float, ...] = ()


class Contrast(msgspec.Struct, frozen=True, array_like=True):
    """State of one metric: sums over closed blocks, and the block that is still open.

    ``weight`` = sum om, ``difference`` = sum om (yT - yC), ``level`` = sum om yC.
    """

    weight: float = 0.0
    difference: float = 0.0
    level: float = 0.0
    trial: Side = Side()
    control: Side = Side()
    open_trial: Sample = Sample()
    open_control: Sample = Sample()


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """Trial minus control: ``estimate``, ``variance`` of one effective pair, ``n`` effective pairs, ``df`` behind the
    variance. ``n`` 0: nothing can be said.
    """

    estimate: float = 0.0
    variance: float = 0.0
    n: float = 0.0
    df: float = 0.0


def add(a: Sample, b: Sample) -> Sample:
    """Sum of two samples of the same slice; commutative."""
    if not (a.groups and b.groups):
        return Sample(a.n + b.n, a.total + b.total, a.squares + b.squares, a.groups or b.groups)
    groups = {group: (n, total) for group, n, total in a.groups}
    for group, n, total in b.groups:
        n0, total0 = groups.get(group, (0, 0.0))
        groups[group] = (n0 + n, total0 + total)
    merged = tuple((group, *groups[group]) for group in sorted(groups))
    return Sample(a.n + b.n, a.total + b.total, a.squares + b.squares, merged)


def observe(contrast: Contrast, trial: Sample, control: Sample) -> Contrast:
    """Add one minute; the block closes when both slices have enough in it."""
    if trial.n == 0 and control.n == 0:
        return contrast
    trial, control = add(contrast.open_trial, trial), add(contrast.open_control, control)
    grown = msgspec.structs.replace(contrast, open_trial=trial, open_control=control)
    return close(grown) if _full(trial, control) else grown


def close(contrast: Contrast) -> Contrast:
    """End the open block (the shares are about to change, or a verdict is due); one-sided blocks say nothing."""
    trial, control = contrast.open_trial, contrast.open_control
    if not (_usable(trial) and _usable(control)):
        return msgspec.structs.replace(contrast, open_trial=Sample(), open_control=Sample())
    om = trial.n * control.n / (trial.n + control.n)
    mean_trial, mean_control = trial.total / trial.n, control.total / control.n
    return Contrast(
        weight=contrast.weight + om,
        difference=contrast.difference + om * (mean_trial - mean_control),
        level=contrast.level + om * mean_control,
        trial=_fold(contrast.trial, trial, om),
        control=_fold(contrast.control, control, om),
    )


def difference(contrast: Contrast, *, bounded: bool = False, floor: float = 0.0) -> Difference:
    """Trial minus control in the metric's unit. ``bounded``: values lie in [0, 1]; ``floor``: least variance of one
    observation.
    """
    closed = close(contrast)
    if closed.weight <= 0.0:
        return Difference()
    variance, df = _variance(closed, 1.0, bounded=bounded, floor=floor)
    return Difference(closed.difference / closed.weight, variance, closed.weight, df)


def ratio(contrast: Contrast, *, floor: float = 0.0) -> Difference:
    """Trial / control - 1 of the means, by the delta method; nothing while the control mean is not positive.

    ``floor``: least variance of one observation, relative to the squared control mean.
    """
    closed = close(contrast)
    if closed.weight <= 0.0 or closed.level <= 0.0:
        return Difference()
    level = closed.level / closed.weight
    change = closed.difference / closed.level
    variance, df = _variance(closed, 1.0 + change, bounded=False, floor=floor * level * level)
    return Difference(change, variance / (level * level), closed.weight, df)


def variance_of(side: Side, *, bounded: bool = False, floor: float = 0.0) -> float:
    """Variance of one observation of a slice; infinite below two observations."""
    if side.n < 2:
        return math.inf
    mean = side.total / side.n
    around, df = side.within, side.n - side.blocks
    if df < WITHIN_DF:
        around, df = max(0.0, side.squares - side.total * mean), side.n - 1
    if bounded:
        around, df = around + mean * mean + (1.0 - mean) ** 2, df + 2
    return max(floor, around / df)


def _full(trial: Sample, control: Sample) -> bool:
    fewest = min(trial.n, control.n)
    if fewest < BLOCK_N:
        return False
    sticky = bool(trial.groups or control.groups)
    return not sticky or fewest >= BLOCK_LIMIT or min(len(trial.groups), len(control.groups)) >= BLOCK_GROUPS


def _usable(sample: Sample) -> bool:
    """A sample of one session cannot tell its own error."""
    return sample.n > 0 and len(sample.groups) != 1


def _fold(side: Side, sample: Sample, om: float) -> Side:
    return Side(
        n=side.n + sample.n,
        total=side.total + sample.total,
        squares=side.squares + sample.squares,
        blocks=side.blocks + 1,
        within=side.within + max(0.0, sample.squares - sample.total * sample.total / sample.n),
        leverage=side.leverage + om * om / sample.n,
        grouped=side.grouped + sum(n for _, n, _ in sample.groups),
        scores=_scored(side.scores, sample, om / sample.n),
    )


def _scored(scores: tuple[float, ...], sample: Sample, scale: float) -> tuple[float, ...]:
    k = len(sample.groups)
    if k < 2:
        return scores
    mean = sum(total for *_, total in sample.groups) / max(1, sum(n for _, n, _ in sample.groups))
    scale *= math.sqrt(k / (k - 1))
    sums = list(scores or (0.0,) * SESSION_GROUPS)
    for group, n, total in sample.groups:
        sums[group % SESSION_GROUPS] += scale * (total - n * mean)
    return tuple(sums)


def _variance(closed: Contrast, slope: float, *, bounded: bool, floor: float) -> tuple[float, float]:
    """(variance of a pair, df) of sum om (yT - slope yC) / sqrt(sum om)."""
    trial, control = closed.trial, closed.control
    single = _times(variance_of(trial, bounded=bounded, floor=floor), trial.leverage)
    single += slope * slope * _times(variance_of(control, bounded=bounded, floor=floor), control.leverage)
    single /= closed.weight
    df = float(trial.n + control.n - 2)
    if not (trial.scores or control.scores):
        return single, df
    squares, groups = _clustered(trial.scores, control.scores, slope)
    if groups == 0:  # every block had two groups or more (``_usable``), and not one of them differed: no errors at all
        return single, df
    if groups < 2:
        return math.inf, 0.0
    covered = (trial.grouped + control.grouped) / (trial.n + control.n)
    clustered = squares * groups / (groups - 1) / closed.weight + max(0.0, 1.0 - covered) * single
    return (clustered, float(groups - 1)) if clustered > single else (single, df)


def _clustered(trial: Iterable[float], control: Iterable[float], slope: float) -> tuple[float, int]:
    empty = (0.0,) * SESSION_GROUPS
    scores = [t - slope * c for t, c in zip(tuple(trial) or empty, tuple(control) or empty, strict=True)]
    return sum(score * score for score in scores), sum(score != 0.0 for score in scores)


def _times(variance: float, leverage: float) -> float:
    return variance * leverage if leverage > 0.0 else 0.0
