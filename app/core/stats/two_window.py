"""Two-window test on bucketed sums: has this arm changed? Then only the newest part counts (STATISTICS 3).

The newest >= 400 requests are compared with >= 200 older ones at every boundary of 24 buckets; the largest |z| above 5
is a change (a scan in the spirit of ADWIN, Bifet and Gavalda, 2007). Rewards are composites of means. Windows with
different mixes of segments are compared after subtracting what the arm's own segment means explain, so that weights
which send an arm harder prompts are not taken for a change of the arm.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from app.core.stats.moments import ArmSums, Means, error_of, means_of, overall, reward_of
from app.core.stats.reward import Objective

BUCKETS = 24
BUCKET_N = 50
NEWEST_N = 400
OLDER_N = 200
SCORES_MIN = 40
Z_CHANGE = 5.0


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
    best, at = Z_CHANGE, None
    if sum(bucket.n for bucket in buckets) < OLDER_N + NEWEST_N:
        return None
    known = _Known.of(sums)
    before = list(accumulate(buckets, _joined))
    after = list(accumulate(reversed(buckets), lambda later, earlier: _joined(earlier, later)))
    for i in range(1, len(buckets)):
        older, newest = before[i - 1], after[-1 - i]
        if older.n < OLDER_N or newest.n < NEWEST_N:
            continue
        z = abs(_z(older, newest, known, objective))
        if z > best:
            best, at = z, i
    return at


def _joined(earlier: Bucket, later: Bucket) -> Bucket:
    return merged((earlier, later))


def keep_newest(buckets: tuple[Bucket, ...], sums: Sequence[ArmSums]) -> tuple[ArmSums, ...]:
    """The arm's sums as ``buckets`` alone would have them: each segment's means move by the arm's shift, its variances
    stay, its numbers are those of the buckets.
    """
    kept, known = merged(buckets), _Known.of(sums)
    seen, expected = _window(kept, known), known.expected(kept)
    costed = kept.cost_n / kept.n if kept.n else 0.0
    return tuple(
        _rebuilt(means, seen, expected, kept.requests[s], kept.scored[s], costed * kept.requests[s])
        for s, means in enumerate(known.segments)
    )


class _Known(msgspec.Struct, frozen=True):
    """An arm's means: of all its traffic, and per segment (of all its traffic where a segment has none)."""

    arm: Means
    segments: tuple[Means, ...]

    @classmethod
    def of(cls, sums: Sequence[ArmSums]) -> "_Known":
        pairs = zip(*(msgspec.structs.astuple(s) for s in sums), strict=True)
        arm = overall(ArmSums(*map(sum, pairs)))
        return cls(arm, tuple(means_of(s, arm) for s in sums))

    def expected(self, window: Bucket) -> Means:
        """What a window of this mix of segments shows if nothing changed."""
        n, scores = max(window.n, 1e-300), max(window.scores, 1e-300)
        by_n = list(zip(self.segments, window.requests, strict=True))
        return msgspec.structs.replace(
            self.arm,
            quality=sum(m.quality * c for m, c in zip(self.segments, window.scored, strict=True)) / scores,
            cost=sum(m.cost * c for m, c in by_n) / n,
            latency=sum(m.latency * c for m, c in by_n) / n,
            errors=sum(m.errors * c for m, c in by_n) / n,
        )


def _window(bucket: Bucket, known: _Known) -> Means:
    return msgspec.structs.replace(
        known.arm,
        quality=bucket.quality / bucket.scores if bucket.scores else known.arm.quality,
        cost=bucket.cost_usd / bucket.cost_n if bucket.cost_n else known.arm.cost,
        latency=bucket.latency_ms / bucket.n if bucket.n else known.arm.latency,
        errors=bucket.errors / bucket.n if bucket.n else known.arm.errors,
    )


def _z(older: Bucket, newest: Bucket, known: _Known, objective: Objective) -> float:
    if min(older.scores, newest.scores) < SCORES_MIN:
        objective = msgspec.structs.replace(objective, quality=0.0)
    if min(older.cost_n, newest.cost_n) < SCORES_MIN:
        objective = msgspec.structs.replace(objective, cost=0.0)
    shift = _residual(newest, known, objective) - _residual(older, known, objective)
    error = sum(error_of(known.arm, objective, b.scores, b.cost_n, b.n) for b in (older, newest))
    return shift / math.sqrt(error) if error > 0.0 else 0.0


def _residual(window: Bucket, known: _Known, objective: Objective) -> float:
    return reward_of(_window(window, known), objective) - reward_of(known.expected(window), objective)


def _rebuilt(means: Means, seen: Means, expected: Means, n: float, scores: float, cost_n: float) -> ArmSums:
    quality = min(1.0, max(0.0, means.quality + seen.quality - expected.quality))
    cost = max(0.0, means.cost + seen.cost - expected.cost)
    latency = max(0.0, means.latency + seen.latency - expected.latency)
    log_mean = math.log(max(latency, 1e-6)) - means.log_var / 2.0
    return ArmSums(
        n=n,
        errors=n * min(1.0, max(0.0, means.errors + seen.errors - expected.errors)),
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
