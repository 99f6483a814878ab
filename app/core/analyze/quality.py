"""Quality, by channel (judge, user, implicit): has the mean score fallen?

Scores in [0, 1] are an e-detector on 1 - score, which is right for 0/1 scores and safe for all others. Where scores
scatter much less than 0/1 scores would, a CUSUM knows it sooner. A least score of the document is a promise of its own.
Feedback that names no answer is the trend of the service: arm ``*``.
"""

import msgspec

from app.core.analyze import wording
from app.core.analyze.finding import Note, Signal
from app.core.analyze.scope import Scope
from app.core.analyze.series import IDLE, Excursion, MeanWatch, RateWatch, step_mean, step_rate
from app.core.analyze.telling import told
from app.core.cell import Cell, Score
from app.core.stats.reference import Sums

NARROW = 0.5
"""Scores whose variance is below this share of that of 0/1 scores with the same mean are watched by CUSUM, too."""
FLOOR = 0.02
WORTH = 0.5


class Channel(msgspec.Struct, frozen=True, array_like=True):
    """State of one channel."""

    mean: MeanWatch = MeanWatch()
    bad: RateWatch = RateWatch()
    limit: RateWatch | None = None


Quality = dict[str, Channel]
"""State of one arm in one segment."""


def step(state: Quality, scope: Scope, cell: Cell) -> tuple[Quality, list[Note]]:
    """Add the scores that arrived in a closed complete pane."""
    notes: list[Note] = []
    for name in sorted(cell.quality):
        here = scope.means if name == scope.document.objective.score_channel else scope.whole
        if not here:
            continue
        channel, said = _channel(state.get(name, Channel()), scope, name, cell.quality[name])
        state = {**state, name: channel}
        notes += said
    return state, notes


def _channel(channel: Channel, scope: Scope, name: str, score: Score) -> tuple[Channel, list[Note]]:
    metric, tolerance = wording.quality(name), max(scope.document.guardrails.quality.tolerance, 1e-9)
    limits, notes, before = scope.limits(score.n), list[Note](), channel.mean

    def lower(out: Excursion) -> Signal | None:
        times, key = (out.usual - out.value) / tolerance, scope.key("quality", f"{name}-mean")
        if times < WORTH or not _narrow(before):
            return None
        return scope.signal("quality", key, "quality-drop", metric, out, times)

    idle = IDLE * WORTH * tolerance
    watch, moved = step_mean(
        channel.mean, Sums(score.n, score.total, score.squares), limits.cusum, scope.now_s, FLOOR, idle, idle
    )
    if moved:
        watch, notes = told(watch, moved, scope.key("quality", f"{name}-mean"), lower)

    def worse(out: Excursion) -> Signal | None:
        times, bad_key = (out.value - out.usual) / tolerance, scope.key("quality", f"{name}-bad")
        shown = _turned(out)
        return scope.signal("quality", bad_key, "quality-drop", metric, shown, times) if times >= WORTH else None

    bad, moved = step_rate(channel.bad, score.n - score.total, score.n, limits.e_limit, scope.now_s, idle=idle)
    if moved:
        bad, said = told(bad, moved, scope.key("quality", f"{name}-bad"), worse)
        notes = notes + said
    channel = Channel(watch, bad, channel.limit)
    least = scope.document.thresholds.quality_min
    if least is None:
        return channel, notes
    at_key = scope.key("quality", f"{name}-limit")

    def under(out: Excursion) -> Signal:
        times = 1.0 + (out.value - out.usual) / tolerance
        return scope.signal("quality", at_key, "quality-limit", metric, _turned(out), times, fixed=True)

    limit, moved = step_rate(
        channel.limit or RateWatch(), score.n - score.total, score.n, limits.e_limit, scope.now_s, promised=1.0 - least
    )
    limit, said = told(limit, moved, at_key, under)
    return msgspec.structs.replace(channel, limit=limit), notes + said


def _narrow(watch: MeanWatch) -> bool:
    reference = watch.detector.normal.reference
    mean = reference.mean
    return reference.n > 1 and reference.variance < NARROW * mean * (1.0 - mean)


def _turned(out: Excursion) -> Excursion:
    """An excursion of 1 - score as one of the score."""
    return Excursion(out.since_s, 1.0 - out.value, 1.0 - out.usual, out.told)
