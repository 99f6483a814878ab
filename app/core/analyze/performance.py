"""Performance: latency (typical, p95, p99), failed answers, time to the first token, output speed.

Typical latency is a CUSUM on its logarithm. Percentiles are judged by the share of answers beyond them: with a limit in
the document 5 % (1 %) is what is promised; without one, the limit is the percentile of the first full hour, and the
share is what is usual, told a pane later than the mean would be. Failed answers are an e-detector, against the limit or
against what is usual. The time to the first token and output speed are pane series; a limit of the mean time to the
first token is told when ``LIMIT_PANES`` panes in a row are above it.
"""

from collections.abc import Callable
from math import exp, log, log1p

import msgspec

from app.core.analyze.finding import Note, Signal
from app.core.analyze.flag import Flag, raised
from app.core.analyze.ring_watch import LIMIT_N, RingWatch, enough, step_sums
from app.core.analyze.scope import Scope
from app.core.analyze.series import IDLE, Excursion, MeanWatch, RateWatch, step_mean, step_rate
from app.core.analyze.telling import told
from app.core.analyze.wording import (
    ERRORS,
    LATENCY,
    OVER_P95,
    OVER_P99,
    SLOW_P95,
    SLOW_P99,
    THROUGHPUT,
    TTFT,
    Metric,
)
from app.core.cell import Cell, Summary
from app.core.sketch import Histogram, bucket, quantile
from app.core.stats.reference import Sums

LATENCY_FLOOR = 0.05
"""Least standard deviation of the logarithm of one latency."""
WORTH = 0.5
"""A change below this share of its tolerance is not worth a finding."""
TAIL_N = 1000
"""Answers in the open hour before its percentiles become limits."""
LIMIT_PANES = 3
PERCENTILES = {"p95": 0.95, "p99": 0.99}


class Tail(msgspec.Struct, frozen=True, array_like=True):
    """Answers in buckets above ``bucket`` are slow."""

    bucket: int
    share: RateWatch = RateWatch()


class Performance(msgspec.Struct, frozen=True, array_like=True):
    """State of one arm in one segment."""

    latency: MeanWatch = MeanWatch()
    errors: RateWatch = RateWatch()
    error_limit: RateWatch | None = None
    limits: dict[str, RateWatch] = {}
    tails: dict[str, Tail] = {}
    ttft: RingWatch | None = None
    speed: RingWatch | None = None
    ttft_limit: Flag = Flag()


def step(state: Performance, scope: Scope, summary: Summary, hour: Histogram) -> tuple[Performance, list[Note]]:
    """Add a closed complete pane. ``hour``: latencies of the open hour of this arm and segment."""
    notes: list[Note] = []
    cell = summary.cell
    if not cell.n:
        return state, notes
    if scope.means:
        state, said = _means(state, scope, cell)
        notes += said
        state, said = _percentiles(state, scope, summary.histogram)
        notes += said
    if scope.whole:
        state, said = _tails(state, scope, summary.histogram, hour)
        notes += said
        state, said = _pace(state, scope, cell)
        notes += said
    return state, notes


def _means(state: Performance, scope: Scope, cell: Cell) -> tuple[Performance, list[Note]]:
    tolerance, points = scope.document.guardrails.latency.tolerance, scope.document.guardrails.errors.tolerance
    limits, notes = scope.limits(cell.n), list[Note]()
    sums = Sums(cell.n, cell.log_latency, cell.log_latency_sq)
    idle = log1p(IDLE * WORTH * tolerance)
    watch, moved = step_mean(state.latency, sums, limits.cusum, scope.now_s, LATENCY_FLOOR, idle, idle)
    if moved:
        watch, notes = told(watch, moved, scope.key("latency", "mean"), _slower(scope, cell.n))
    errors, moved = step_rate(
        state.errors, cell.errors, cell.n, limits.e_limit, scope.now_s, idle=IDLE * WORTH * points
    )
    if moved:
        errors, said = told(errors, moved, scope.key("errors", "rate"), _failing(scope))
        notes += said
    state = msgspec.structs.replace(state, latency=watch, errors=errors)
    fixed = scope.document.thresholds.error_rate
    if fixed is None:
        return state, notes
    at_key = scope.key("errors", "limit")
    watch_at, moved = step_rate(
        state.error_limit or RateWatch(), cell.errors, cell.n, limits.e_limit, scope.now_s, promised=fixed
    )
    watch_at, more = told(watch_at, moved, at_key, _over(scope, at_key, "error-limit", ERRORS))
    return msgspec.structs.replace(state, error_limit=watch_at), notes + more


def _slower(scope: Scope, n: int) -> Callable[[Excursion], Signal | None]:
    def make(out: Excursion) -> Signal | None:
        times = (exp(min(50.0, out.value - out.usual)) - 1.0) / max(scope.document.guardrails.latency.tolerance, 1e-9)
        if out.value <= out.usual or times < WORTH:
            return None
        return scope.signal("performance", scope.key("latency", "mean"), "latency-rise", LATENCY, out, times, n=n)

    return make


def _failing(scope: Scope) -> Callable[[Excursion], Signal | None]:
    def make(out: Excursion) -> Signal | None:
        times = (out.value - out.usual) / max(scope.document.guardrails.errors.tolerance, 1e-9)
        key = scope.key("errors", "rate")
        return scope.signal("performance", key, "error-burst", ERRORS, out, times) if times >= WORTH else None

    return make


def _over(scope: Scope, key: str, kind: str, metric: Metric) -> Callable[[Excursion], Signal]:
    def make(out: Excursion) -> Signal:
        return scope.signal("performance", key, kind, metric, out, out.value / out.usual, fixed=True)

    return make


def _percentiles(state: Performance, scope: Scope, histogram: Histogram) -> tuple[Performance, list[Note]]:
    """The share of answers beyond the fixed limits of p95 and p99."""
    thresholds, notes = scope.document.thresholds, list[Note]()
    for name, limit, metric in (
        ("p95", thresholds.latency_ms_p95, OVER_P95),
        ("p99", thresholds.latency_ms_p99, OVER_P99),
    ):
        if limit is None:
            continue
        n, slow = sum(histogram.values()), beyond(histogram, bucket(limit))
        key = scope.key("latency", name + "-limit")
        watch, moved = step_rate(
            state.limits.get(name, RateWatch()), slow, n, scope.limits(n).e_limit, scope.now_s,
            promised=1.0 - PERCENTILES[name],
        )  # fmt: skip
        watch, said = told(watch, moved, key, _over(scope, key, f"latency-{name}-limit", metric))
        state = msgspec.structs.replace(state, limits={**state.limits, name: watch})
        notes += said
    return state, notes


def beyond(histogram: Histogram, limit: int) -> int:
    """Values in buckets above ``limit``."""
    return sum([n for k, n in histogram.items() if k > limit])


def _tails(state: Performance, scope: Scope, pane: Histogram, hour: Histogram) -> tuple[Performance, list[Note]]:
    if not state.tails:
        if not scope.main or sum(hour.values()) < TAIL_N:
            return state, []
        tails = {name: Tail(bucket(quantile(hour, q))) for name, q in PERCENTILES.items()}
        return msgspec.structs.replace(state, tails=tails), []
    notes: list[Note] = []
    n, tails = sum(pane.values()), dict(state.tails)
    for (name, tail), metric in zip(state.tails.items(), (SLOW_P95, SLOW_P99), strict=True):
        idle = IDLE * (1.0 - PERCENTILES[name])
        watch, moved = step_rate(
            tail.share, beyond(pane, tail.bucket), n, scope.limits(n).e_limit, scope.now_s, idle=idle
        )
        if moved and moved != "raised":  # the mean says it more plainly, so it speaks first
            watch, said = told(watch, moved, scope.key("latency", name), _slower_tail(scope, name, metric))
            notes += said
        tails[name] = Tail(tail.bucket, watch)
    return msgspec.structs.replace(state, tails=tails), notes


def _slower_tail(scope: Scope, name: str, metric: Metric) -> Callable[[Excursion], Signal | None]:
    def make(out: Excursion) -> Signal | None:
        times = min(1.9, out.value / max(out.usual, 1e-9) - 1.0)  # a share is not a latency: a warning
        key = scope.key("latency", name)
        return scope.signal("performance", key, f"latency-{name}-rise", metric, out, times) if times >= 1 else None

    return make


def _pace(state: Performance, scope: Scope, cell: Cell) -> tuple[Performance, list[Note]]:
    tolerance, notes = max(scope.document.guardrails.latency.tolerance, 1e-9), list[Note]()
    limit = scope.limits(LIMIT_N).cusum
    if cell.ttft_n and cell.ttft_ms > 0:
        ttft, moved = step_sums(
            state.ttft or RingWatch(),
            cell.ttft_n,
            cell.ttft_ms,
            cell.ttft_n,
            enough(tolerance),
            limit,
            scope.now_s,
            look=scope.look,
            above=log1p(IDLE * WORTH * tolerance),
            below=log1p(IDLE * WORTH * tolerance),
            name=scope.detector,
        )
        if moved:
            ttft, notes = told(ttft, moved, scope.key("latency", "ttft"), _later(scope))
        state = msgspec.structs.replace(state, ttft=ttft)
        state, said = _ttft_limit(state, scope, cell.ttft_ms / cell.ttft_n)
        notes += said
    if cell.output_tokens and cell.latency_ms > 0:
        written = cell.output_tokens / max(1, cell.n - cell.errors)  # failures write nothing: they are no slowness
        idle = log1p(IDLE * tolerance)
        speed, moved = step_sums(
            state.speed or RingWatch(), cell.n, 1000.0 * written * cell.n, cell.latency_ms, enough(tolerance), limit,
            scope.now_s, look=scope.look, above=idle, below=idle, name=scope.detector,
        )  # fmt: skip
        if moved:
            speed, said = told(speed, moved, scope.key("latency", "speed"), _slow_output(scope))
            notes = notes + said
        state = msgspec.structs.replace(state, speed=speed)
    return state, notes


def _later(scope: Scope) -> Callable[[Excursion], Signal | None]:
    def make(out: Excursion) -> Signal | None:
        times = (exp(min(50.0, out.value - out.usual)) - 1.0) / max(scope.document.guardrails.latency.tolerance, 1e-9)
        key = scope.key("latency", "ttft")
        return scope.signal("performance", key, "ttft-rise", TTFT, out, times) if times >= WORTH else None

    return make


def _slow_output(scope: Scope) -> Callable[[Excursion], Signal | None]:
    def make(out: Excursion) -> Signal | None:
        tolerance = max(scope.document.guardrails.latency.tolerance, 1e-9)
        times, key = min(1.9, (exp(min(50.0, out.usual - out.value)) - 1.0) / tolerance), scope.key("latency", "speed")
        return scope.signal("performance", key, "slow-output", THROUGHPUT, out, times) if times >= 1 else None

    return make


def _ttft_limit(state: Performance, scope: Scope, ttft_ms: float) -> tuple[Performance, list[Note]]:
    most, signal = scope.document.thresholds.ttft_ms, None
    if most is None:
        return state, []
    key = scope.key("latency", "ttft-limit")
    if ttft_ms > most:
        out = Excursion(scope.now_s, log(ttft_ms), log(most))
        signal = scope.signal("performance", key, "ttft-limit", TTFT, out, ttft_ms / most, fixed=True)
    flag, notes = raised(state.ttft_limit, key, signal, scope.now_s, after=LIMIT_PANES, why="it is inside its limit")
    return msgspec.structs.replace(state, ttft_limit=flag), notes
