"""Two-window test on bucketed sums: has this arm changed? Then only the newest part counts (STATISTICS 3).

The newest >= 400 requests are compared with >= 200 older ones at every boundary of 24 buckets; the largest |z| above 5
is a change (a scan in the spirit of ADWIN, Bifet and Gavalda, 2007). A collapse is seen in >= 100 requests: |z| above
6.5, with the variance the window itself suggests where that is larger, so that no skew of few scores passes for a
change. Rewards are composites of means. Windows with
different mixes of segments are compared after subtracting what the arm's own segment means explain, so that weights
which send an arm harder prompts are not taken for a change of the arm.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.core.stats.moments import ArmSums, Means, means_of, overall
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
    counts = [bucket.n for bucket in buckets]
    if sum(counts) < OLDER_N + COLLAPSE_N:
        return None
    before = np.cumsum(counts)[:-1]
    after = sum(counts) - before
    candidates = (before >= OLDER_N) & (after >= COLLAPSE_N)
    if not candidates.any():
        return None
    known, older = _Known.of(sums), _Windows.of(buckets)
    strength = np.where(candidates, _strength(older, older.rest(buckets), known, objective), 0.0)
    at = int(strength.argmax())
    return at + 1 if strength[at] > 1.0 else None


def keep_newest(buckets: tuple[Bucket, ...], sums: Sequence[ArmSums]) -> tuple[ArmSums, ...]:
    """The arm's sums as ``buckets`` alone would have them: each segment's means move by the arm's shift, its variances
    stay, its numbers are those of the buckets.
    """
    kept, known = merged(buckets), _Known.of(sums)
    window = _Windows(*(column.sum(axis=0, keepdims=True) for column in _columns(buckets)))
    shift = _Shift(*((a - b).item() for a, b in zip(_seen(window, known.arm), known.expected(window), strict=True)))
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


class _Known(msgspec.Struct, frozen=True):
    """An arm's means: of all its traffic, and per segment (of all its traffic where a segment has none)."""

    arm: Means
    segments: tuple[Means, ...]

    @classmethod
    def of(cls, sums: Sequence[ArmSums]) -> "_Known":
        pairs = zip(*(msgspec.structs.astuple(s) for s in sums), strict=True)
        arm = overall(ArmSums(*map(sum, pairs)))
        return cls(arm, tuple(means_of(s, arm) for s in sums))

    def expected(self, window: "_Windows") -> tuple[Array, Array, Array, Array]:
        """Mean quality, cost, latency and error rate of such mixes of segments if nothing changed, by window."""
        levels = np.array([(m.quality, m.cost, m.latency, m.errors) for m in self.segments])
        by_score = window.scored @ levels / np.maximum(window.scores, 1e-300)[:, None]
        by_request = window.requests @ levels / np.maximum(window.n, 1e-300)[:, None]
        return by_score[:, 0], by_request[:, 1], by_request[:, 2], by_request[:, 3]


class _Windows(msgspec.Struct, frozen=True):
    """Sums of one window per boundary between two buckets: boundaries, or boundaries x segments for the counts."""

    n: Array
    errors: Array
    latency: Array
    cost_n: Array
    cost: Array
    scores: Array
    quality: Array
    requests: Array
    scored: Array

    @classmethod
    def of(cls, buckets: Sequence[Bucket]) -> "_Windows":
        """Everything before each boundary."""
        return cls(*(np.cumsum(column, axis=0)[:-1] for column in _columns(buckets)))

    def rest(self, buckets: Sequence[Bucket]) -> "_Windows":
        """Everything after each boundary, where these are the windows before."""
        parts = zip(_columns(buckets), msgspec.structs.astuple(self), strict=True)
        return _Windows(*(column.sum(axis=0) - older for column, older in parts))


def _columns(buckets: Sequence[Bucket]) -> Iterator[Array]:
    plain = np.array([
        (b.n, b.errors, b.latency_ms, b.cost_n, b.cost_usd, b.scores, b.quality) for b in buckets
    ])  # fmt: skip
    yield from plain.T
    yield np.array([b.requests for b in buckets])
    yield np.array([b.scored for b in buckets])


def _strength(older: _Windows, newest: _Windows, known: "_Known", objective: Objective) -> Array:
    """|z| over what it must exceed to be a change, by boundary."""
    scored = np.minimum(older.scores, newest.scores) >= SCORES_MIN
    costed = np.minimum(older.cost_n, newest.cost_n) >= SCORES_MIN
    few = newest.n < NEWEST_N
    weight = _Weights(
        np.where(scored, objective.quality, 0.0),
        np.where(costed, objective.cost / objective.cost_max_usd, 0.0),
        objective.latency / objective.latency_max_ms,
    )
    shift = _residual(newest, known, weight) - _residual(older, known, weight)
    error = _error(older, known.arm, weight, cautious=False) + np.where(
        few, _error(newest, known.arm, weight, cautious=True), _error(newest, known.arm, weight, cautious=False)
    )
    z = np.abs(shift) / np.sqrt(np.maximum(error, 1e-300))
    return np.where(error > 0.0, z / np.where(few, Z_COLLAPSE, Z_CHANGE), 0.0)


class _Weights(NamedTuple):
    """Reward per unit of quality, USD and ms; 0 where a window has too few of them."""

    quality: Array
    per_usd: Array
    per_ms: float


def _residual(window: _Windows, known: "_Known", weight: _Weights) -> Array:
    """Reward of the windows less what their mix of segments explains."""
    quality, cost, latency, errors = known.expected(window)
    seen_quality, seen_cost, seen_latency, seen_errors = _seen(window, known.arm)
    return np.asarray(
        weight.quality * (seen_quality * (1.0 - seen_errors) - quality * (1.0 - errors))
        - weight.per_usd * (seen_cost - cost)
        - weight.per_ms * (seen_latency - latency)
    )


def _seen(window: _Windows, known: Means) -> tuple[Array, Array, Array, Array]:
    """Mean quality, cost, latency and error rate; those of the arm where a window has none."""
    return (
        np.where(window.scores > 0.0, window.quality / np.maximum(window.scores, 1e-300), known.quality),
        np.where(window.cost_n > 0.0, window.cost / np.maximum(window.cost_n, 1e-300), known.cost),
        window.latency / np.maximum(window.n, 1e-300),
        window.errors / np.maximum(window.n, 1e-300),
    )


def _error(window: _Windows, known: Means, weight: _Weights, *, cautious: bool) -> Array:
    """Variance of a window's reward. ``cautious``: with the larger of the arm's variances and those the window suggests
    (scores in [0, 1] vary by m(1 - m) at most, costs and latencies with their size).
    """
    quality, cost, slower, failed = _seen(window, known)
    rises = np.maximum(1.0, cost / known.cost) if cautious and known.cost > 0.0 else np.ones_like(cost)
    quality_var = np.maximum(known.quality_var, quality * (1.0 - quality) if cautious else 0.0)
    latency = np.maximum(known.latency, slower if cautious else 0.0)
    errors = np.maximum(known.errors, np.minimum(0.5, failed) if cautious else 0.0)
    of_quality = (weight.quality * (1.0 - errors)) ** 2 * quality_var / np.maximum(window.scores, 1e-300)
    of_errors = (weight.quality * known.quality) ** 2 * errors * (1.0 - errors) / np.maximum(window.n, 1e-300)
    of_cost = (weight.per_usd * rises) ** 2 * known.cost_var / np.maximum(window.cost_n, 1e-300)
    of_latency = weight.per_ms**2 * latency**2 * lognormal_variance(1.0, known.log_var) / np.maximum(window.n, 1e-300)
    return np.asarray(of_quality + of_errors + of_cost + of_latency)


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
