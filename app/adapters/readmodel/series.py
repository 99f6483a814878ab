"""Means over time by arm, each with a 95 % interval: what a chart shows.

A point adds up the closed windows of one bucket. Its interval is that of a ratio estimator over those windows (Cochran,
Sampling Techniques, 1977, 6.4): sums y_i over n_i requests each, r = sum y / sum n, with the variance of y_i - r n_i
between windows and Student's t. So it needs no second moments, and requests of one minute may resemble each other.
"""

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from app.adapters.readmodel.answers import Answer
from app.adapters.readmodel.model import MAX_MERGED, TooManyError
from app.adapters.readmodel.store import Store
from app.core.events import rfc3339
from app.core.stats.student import two_sided

ALPHA = 0.05
FEWEST = 3
"""Windows with traffic before a point has an interval."""
PLANS = ((1_440, 300, 60), (2_880, 1_800, 300), (14_400, 7_200, 900), (43_200, 21_600, 3_600))
"""(up to so many minutes, size of a bucket in s, size of the windows in it in s)."""
_scores = msgspec.json.Decoder(dict[str, dict[str, float]]).decode


class Estimate(Answer, frozen=True, kw_only=True):
    """A mean over ``n`` requests with its 95 % interval; bounds None with too few windows to tell."""

    mean: float
    low: float | None
    high: float | None
    n: int


class ArmSeries(Answer, frozen=True, kw_only=True):
    """One arm, an entry for each bucket. ``share`` of the service's requests in [0, 1]; an entry without data is None.

    ``cost_usd_per_1000``: of requests whose cost is known; ``quality`` in [0, 1]; ``error_share`` in [0, 1].
    """

    arm: str
    count: list[int]
    share: list[float | None]
    cost_usd_per_1000: list[Estimate | None]
    latency_ms: list[Estimate | None]
    quality: list[Estimate | None]
    error_share: list[Estimate | None]


class Series(Answer, frozen=True, kw_only=True):
    """Buckets of ``bucket_s`` in [start, end), ``times`` their beginnings; ``quality`` is by scores of
    ``channel``.
    """

    service: str
    start: str | None
    end: str | None
    bucket_s: int
    channel: str
    times: list[str]
    arms: list[ArmSeries]


class _Ratio:
    """Sums of one metric in one bucket; mutable."""

    __slots__ = ("nn", "sum_n", "sum_y", "windows", "yn", "yy")

    def __init__(self) -> None:
        self.windows = 0
        self.sum_n = self.sum_y = self.nn = self.yn = self.yy = 0.0

    def add(self, y: float, n: float) -> None:
        if n > 0:
            self.windows += 1
            self.sum_n, self.sum_y = self.sum_n + n, self.sum_y + y
            self.nn, self.yn, self.yy = self.nn + n * n, self.yn + y * n, self.yy + y * y

    def estimate(self, *, scale: float = 1.0, least: float = -math.inf, most: float = math.inf) -> Estimate | None:
        if not self.sum_n:
            return None
        k, r = self.windows, self.sum_y / self.sum_n
        if k < FEWEST:
            return Estimate(mean=scale * r, low=None, high=None, n=int(self.sum_n))
        spread = max(0.0, self.yy - 2 * r * self.yn + r * r * self.nn) * k / (k - 1)
        width = two_sided(ALPHA, k - 1) * math.sqrt(spread) / self.sum_n
        low, high = max(least, scale * (r - width)), min(most, scale * (r + width))
        return Estimate(mean=scale * r, low=low, high=high, n=int(self.sum_n))


class _Bucket:
    """One arm in one bucket; mutable."""

    def __init__(self) -> None:
        self.count = 0
        self.cost, self.latency, self.quality, self.errors = _Ratio(), _Ratio(), _Ratio(), _Ratio()

    def add(self, row: Any, channel: str) -> None:
        count = row["count"]
        self.count += count
        self.latency.add(row["latency_ms_mean"] * count, count)
        self.errors.add(row["errors"], count)
        self.cost.add(row["cost_usd"], row["costed"])
        score = _scores(row["quality_json"]).get(channel)
        if score:
            self.quality.add(score["n"] * score["mean"], score["n"])


def plan(minutes: int) -> tuple[int, int]:
    """Size of a bucket and of the windows in it, in seconds, for a chart over ``minutes``."""
    return next((bucket_s, size_s) for most, bucket_s, size_s in PLANS if minutes <= most or most == PLANS[-1][0])


def series(store: Store, service: str, minutes: int, end_s: int | None, channel: str) -> Series:
    """The buckets of the ``minutes`` before ``end_s`` (None: nothing is counted yet). ``TooManyError``."""
    bucket_s, size_s = plan(minutes)
    if end_s is None:
        return Series(service=service, start=None, end=None, bucket_s=bucket_s, channel=channel, times=[], arms=[])
    start_s = (end_s - 60 * minutes) // bucket_s * bucket_s
    rows = store.query(
        "SELECT start_s, arm, count, errors, costed, cost_usd, latency_ms_mean, quality_json FROM aggregates"
        " WHERE service = ? AND window_s = ? AND start_s >= ? AND end_s <= ? AND slice = '*' AND arm <> '*'"
        " ORDER BY start_s, arm LIMIT ?",
        (service, size_s, start_s, end_s, MAX_MERGED + 1),
    )
    if len(rows) > MAX_MERGED:
        raise TooManyError(f"more than {MAX_MERGED:,} windows: ask for a shorter time")
    starts = list(range(start_s, end_s, bucket_s))
    return Series(
        service=service,
        start=rfc3339(start_s),
        end=rfc3339(end_s),
        bucket_s=bucket_s,
        channel=channel,
        times=[rfc3339(at) for at in starts],
        arms=_arms(rows, starts, bucket_s, channel),
    )


def _arms(rows: Iterable[Any], starts: list[int], bucket_s: int, channel: str) -> list[ArmSeries]:
    buckets: dict[str, dict[int, _Bucket]] = {}
    totals = dict.fromkeys(starts, 0)
    for row in rows:
        at = row["start_s"] // bucket_s * bucket_s
        buckets.setdefault(row["arm"], {}).setdefault(at, _Bucket()).add(row, channel)
        totals[at] += row["count"]
    return [_arm(arm, [held.get(at) for at in starts], list(totals.values())) for arm, held in sorted(buckets.items())]


def _arm(arm: str, held: list[_Bucket | None], totals: list[int]) -> ArmSeries:
    counts = [b.count if b else 0 for b in held]
    return ArmSeries(
        arm=arm,
        count=counts,
        share=[n / total if total else None for n, total in zip(counts, totals, strict=True)],
        cost_usd_per_1000=[b.cost.estimate(scale=1000.0, least=0.0) if b else None for b in held],
        latency_ms=[b.latency.estimate(least=0.0) if b else None for b in held],
        quality=[b.quality.estimate(least=0.0, most=1.0) if b else None for b in held],
        error_share=[b.errors.estimate(least=0.0, most=1.0) if b else None for b in held],
    )
