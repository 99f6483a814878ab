"""Two-window test on bucketed sums: has this arm changed? Then only the newest part counts (STATISTICS 3).

The newest >= 400 requests are compared with >= 200 older ones at every boundary of 24 buckets; the largest |z| above 5
is a change (a scan in the spirit of ADWIN, Bifet and Gavalda, 2007). A collapse is seen in >= 100 requests: |z| above
6.5, with the variance the window itself suggests where that is larger, so that no skew of few scores passes for a
change. Rewards are composites of means. Windows with
different mixes of segments are compared after subtracting what the arm's own segment means explain, so that weights
which send an arm harder prompts are not taken for a change of the arm.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.core.stats.moments import ArmSums, Means, means_of, overall, total_of
from app.core.stats.reward import Objective, lognormal_variance

Array = NDArray[np.float64]

BUCKETS = 24
BUCKET_N = 50
NEWEST_N = 400
OLDER_N = 200
SCORES_MIN = 40
Z_CHANGE = 5.0
COLLAPSE_N = 100
Z_COLLAPSE = 6.5


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """Totals of consecutive minutes from ``minute`` on; ``requests`` and ``scored``: counts per segment."""

    minute: int = 0
    errors: float = 0.0
    latency_ms: float = 0.0
    cost_n: float = 0.0
    cost_usd: float = 0.0
    quality: float = 0.0
    requests: tuple[float, ...] = ()
    scored: tuple[float, ...] = ()

    @property
    def n(self) -> float:
        """Requests."""
        return sum(self.requests)

    @property
    def scores(self) -> float:
        """Scores."""
        return sum(self.scored)


def bucket_of(minute: int, segments: Sequence[ArmSums]) -> Bucket:
    """One minute of an arm as a bucket."""
    return Bucket(
        minute=minute,
        errors=sum(s.errors for s in segments),
        latency_ms=sum(s.latency_ms for s in segments),
        cost_n=sum(s.cost_n for s in segments),
        cost_usd=sum(s.cost_usd for s in segments),
        quality=sum(s.quality for s in segments),
        requests=tuple(s.n for s in segments),
        scored=tuple(s.scores for s in segments),
    )


def merged(buckets: Sequence[Bucket]) -> Bucket:
    """Sum of consecutive buckets."""
    return Bucket(
        minute=buckets[0].minute,
        errors=sum(b.errors for b in buckets),
        latency_ms=sum(b.latency_ms for b in buckets),
        cost_n=sum(b.cost_n for b in buckets),
        cost_usd=sum(b.cost_usd for b in buckets),
        quality=sum(b.quality for b in buckets),
        requests=tuple(map(sum, zip(*(b.requests for b in buckets), strict=True))),
        scored=tuple(map(sum, zip(*(b.scored for b in buckets), strict=True))),
    )


def pushed(buckets: tuple[Bucket, ...], new: Bucket) -> tuple[Bucket, ...]:
    """Add a minute: the newest bucket grows to ``BUCKET_N`` requests, the two oldest merge beyond ``BUCKETS``."""
    if new.n == 0 and new.scores == 0:
        return buckets
    growing = bool(buckets) and buckets[-1].n < BUCKET_N
    buckets = (*buckets[:-1], merged((buckets[-1], new))) if growing else (*buckets, new)
    return buckets if len(buckets) <= BUCKETS else (merged(buckets[:2]), *buckets[2:])


def changed_since(buckets: tuple[Bucket, ...], sums: Sequence[ArmSums], objective: Objective) -> int | None:
    """Index of the first bucket after the change, or None. ``sums``: all that is known of the arm, per segment."""
    return changes([(buckets, sums)], objective)[0]


def changes(
    arms: Sequence[tuple[tuple[Bucket, ...], Sequence[ArmSums]]], objective: Objective
) -> tuple[int | None, ...]:
    """``changed_since`` of several arms of the same segments, which together cost little more than one."""
    found: list[int | None] = [None] * len(arms)
    due = [i for i, (buckets, _) in enumerate(arms) if _may_have_changed(buckets)]
    if not due:
        return tuple(found)
    both, arm, at = _windows([arms[i][0] for i in due])
    known = [_Known.of(arms[i][1]) for i in due]
    strength = np.zeros((len(due), BUCKETS + 1))
    strength[arm, at] = _strength(both, _Levels.of(known, arm), objective)
    for i, row, best in zip(due, strength, strength.argmax(axis=1).tolist(), strict=True):
        found[i] = best + 1 if row[best] > 1.0 else None
    return tuple(found)


def _may_have_changed(buckets: tuple[Bucket, ...]) -> bool:
    """Whether some boundary has enough requests on both sides."""
    left, before = sum([bucket.n for bucket in buckets]), 0.0
    if left < OLDER_N + COLLAPSE_N:
        return False
    for bucket in buckets[:-1]:
        before += bucket.n
        if before >= OLDER_N:
            return left - before >= COLLAPSE_N
    return False


def keep_newest(buckets: tuple[Bucket, ...], sums: Sequence[ArmSums]) -> tuple[ArmSums, ...]:
    """The arm's sums as ``buckets`` alone would have them: each segment's means move by the arm's shift, its variances
    stay, its numbers are those of the buckets.
    """
    kept, known = merged(buckets), _Known.of(sums)
    shift = _shift(kept, known)
    costed = kept.cost_n / kept.n if kept.n else 0.0
    return tuple(
        _rebuilt(means, shift, kept.requests[s], kept.scored[s], costed * kept.requests[s])
        for s, means in enumerate(known.segments)
    )


class _Shift(NamedTuple):
    """How far the means of a window are from what was expected of it."""

    quality: float
    cost: float
    latency: float
    errors: float


def _shift(window: Bucket, known: "_Known") -> _Shift:
    """Of one window; 0 for what it has no observations of."""
    n, scores = max(window.n, 1e-300), max(window.scores, 1e-300)
    quality = sum(k * m.quality for k, m in zip(window.scored, known.segments, strict=True)) / scores
    cost, latency, errors = (
        sum(k * level for k, level in zip(window.requests, levels, strict=True)) / n
        for levels in zip(*((m.cost, m.latency, m.errors) for m in known.segments), strict=True)
    )
    return _Shift(
        (window.quality / scores if window.scores else known.arm.quality) - quality,
        (window.cost_usd / window.cost_n if window.cost_n else known.arm.cost) - cost,
        window.latency_ms / n - latency,
        window.errors / n - errors,
    )


class _Known(msgspec.Struct, frozen=True):
    """An arm's means: of all its traffic, and per segment (of all its traffic where a segment has none)."""

    arm: Means
    segments: tuple[Means, ...]

    @classmethod
    def of(cls, sums: Sequence[ArmSums]) -> "_Known":
        arm = overall(total_of(sums))
        return cls(arm, tuple(means_of(s, arm) for s in sums))


class _Levels(NamedTuple):
    """What is known of the arm of each window: one entry a window, ``latency_var`` of a latency of mean 1;
    ``segments``: windows x segments x (quality, cost, latency, errors).
    """

    quality: Array
    quality_var: Array
    cost: Array
    cost_var: Array
    latency: Array
    latency_var: Array
    errors: Array
    segments: Array

    @classmethod
    def of(cls, known: Sequence[_Known], arm: "NDArray[np.intp]") -> "_Levels":
        """``arm``: index into ``known`` of each window."""
        rows = [
            (m.quality, m.quality_var, m.cost, m.cost_var, m.latency, lognormal_variance(1.0, m.log_var), m.errors)
            for m in (one.arm for one in known)
        ]
        levels = [[(m.quality, m.cost, m.latency, m.errors) for m in one.segments] for one in known]
        quality, quality_var, cost, cost_var, latency, latency_var, errors = np.array(rows)[arm].T
        return cls(quality, quality_var, cost, cost_var, latency, latency_var, errors, np.array(levels)[arm])


PLAIN = 5
"""Columns of a table of buckets that do not depend on the segments."""


class _Windows(NamedTuple):
    """Sums before and after boundaries between buckets: 2 x windows, the counts x segments besides."""

    n: Array
    errors: Array
    latency: Array
    cost_n: Array
    cost: Array
    scores: Array
    quality: Array
    requests: Array
    scored: Array


def _windows(arms: Sequence[tuple[Bucket, ...]]) -> "tuple[_Windows, NDArray[np.intp], NDArray[np.intp]]":
    """Every boundary with enough requests on both sides; its arm, and the last bucket before it."""
    segments, longest = len(arms[0][0].requests), max(map(len, arms))
    nothing = (0.0,) * (PLAIN + 2 * segments)
    table = np.array([
        [(b.errors, b.latency_ms, b.cost_n, b.cost_usd, b.quality, *b.requests, *b.scored) for b in buckets]
        + [nothing] * (longest - len(buckets))
        for buckets in arms
    ])  # fmt: skip
    before = table.cumsum(axis=1)
    n = before[..., PLAIN : PLAIN + segments].sum(axis=2)
    arm, at = np.nonzero((n >= OLDER_N) & (n[:, -1:] - n >= COLLAPSE_N))
    older = before[arm, at]
    both = np.array([older, before[arm, -1] - older])
    requests, scored = both[..., PLAIN : PLAIN + segments], both[..., PLAIN + segments :]
    errors, latency, cost_n, cost, quality = both.transpose(2, 0, 1)[:PLAIN]
    windows = _Windows(
        requests.sum(axis=2), errors, latency, cost_n, cost, scored.sum(axis=2), quality, requests, scored
    )  # fmt: skip
    return windows, arm, at


def _strength(both: _Windows, known: _Levels, objective: Objective) -> Array:
    """|z| over what it must exceed to be a change, by boundary."""
    weight = _Weights(
        np.where(both.scores.min(axis=0) >= SCORES_MIN, objective.quality, 0.0),
        np.where(both.cost_n.min(axis=0) >= SCORES_MIN, objective.cost / objective.cost_max_usd, 0.0),
        objective.latency / objective.latency_max_ms,
    )
    seen = _Seen(
        both.quality / np.maximum(both.scores, 1.0),
        both.cost / np.maximum(both.cost_n, 1.0),
        both.latency / both.n,
        both.errors / both.n,
    )
    few = both.n[1] < NEWEST_N
    errors = _error(both, known.quality_var, known, weight, known.latency, known.errors, 1.0)
    error = errors.sum(axis=0)
    if few.any():
        error = np.where(few, errors[0] + _cautious(both, seen, known, weight)[1], error)
    residual = _residual(both, seen, known, weight)
    z = np.abs(residual[1] - residual[0]) / np.sqrt(np.maximum(error, 1e-300))
    return np.where(error > 0.0, z / np.where(few, Z_COLLAPSE, Z_CHANGE), 0.0)


class _Weights(NamedTuple):
    """Reward per unit of quality, USD and ms; 0 where a window has too few of them."""

    quality: Array
    per_usd: Array
    per_ms: float


class _Seen(NamedTuple):
    """Means of the windows; anything where there is nothing, as it weighs nothing."""

    quality: Array
    cost: Array
    latency: Array
    errors: Array


def _residual(both: _Windows, seen: _Seen, known: _Levels, weight: _Weights) -> Array:
    """Reward of the windows less what their mix of segments explains."""
    quality = (both.scored * known.segments[..., 0]).sum(axis=2) / np.maximum(both.scores, 1.0)
    expected = (both.requests[..., None] * known.segments[..., 1:]).sum(axis=2) / both.n[..., None]
    return np.asarray(
        weight.quality * (seen.quality * (1.0 - seen.errors) - quality * (1.0 - expected[..., 2]))
        - weight.per_usd * (seen.cost - expected[..., 0])
        - weight.per_ms * (seen.latency - expected[..., 1])
    )


def _cautious(both: _Windows, seen: _Seen, known: _Levels, weight: _Weights) -> Array:
    """Variance of the windows' rewards with the larger of the arm's variances and those a window suggests (scores in
    [0, 1] vary by m(1 - m) at most, costs and latencies with their size).
    """
    quality_var = np.maximum(known.quality_var, seen.quality * (1.0 - seen.quality))
    latency, errors = np.maximum(known.latency, seen.latency), np.maximum(known.errors, np.minimum(0.5, seen.errors))
    rises = np.where(known.cost > 0.0, np.maximum(1.0, seen.cost / np.maximum(known.cost, 1e-300)), 1.0)
    return _error(both, quality_var, known, weight, latency, errors, rises)


def _error(
    both: _Windows,
    quality_var: Array,
    known: _Levels,
    weight: _Weights,
    latency: Array,
    errors: Array,
    rises: Array | float,
) -> Array:
    """Variance of the windows' rewards at these levels; ``rises``: of the cost."""
    of_request = (weight.quality * known.quality) ** 2 * (errors * (1.0 - errors))
    of_request = of_request + weight.per_ms**2 * latency**2 * known.latency_var
    return np.asarray(
        (weight.quality * (1.0 - errors)) ** 2 * quality_var / np.maximum(both.scores, 1.0)
        + (weight.per_usd * rises) ** 2 * known.cost_var / np.maximum(both.cost_n, 1.0)
        + of_request / both.n
    )


def _rebuilt(means: Means, shift: _Shift, n: float, scores: float, cost_n: float) -> ArmSums:
    quality = min(1.0, max(0.0, means.quality + shift.quality))
    cost = max(0.0, means.cost + shift.cost)
    latency = max(0.0, means.latency + shift.latency)
    log_mean = math.log(max(latency, 1e-6)) - means.log_var / 2.0
    return ArmSums(
        n=n,
        errors=n * min(1.0, max(0.0, means.errors + shift.errors)),
        latency_ms=n * latency,
        log_latency=n * log_mean,
        log_latency_sq=n * log_mean * log_mean + max(0.0, n - 1.0) * means.log_var,
        cost_n=cost_n,
        cost_usd=cost_n * cost,
        cost_sq=cost_n * cost * cost + max(0.0, cost_n - 1.0) * means.cost_var,
        scores=scores,
        quality=scores * quality,
        quality_sq=scores * quality * quality + max(0.0, scores - 1.0) * means.quality_var,
    )
