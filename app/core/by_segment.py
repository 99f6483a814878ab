"""A trial's scores by segment, against Simpson's paradox: an arm can win on the whole and lose in a part.

Kept beside the trial, from its complete panes. Each segment's difference has an always-valid interval at an equal share
of the error (``stats.ab``); the stratified difference weighs segments by their pairs, so that it does not move when the
two slices have another mix of segments (Simpson, JRSS B 1951; Mantel, Haenszel, JNCI 1959).
"""

import msgspec

from app.core.cell import Cell
from app.core.pane import ClosedPane
from app.core.stats import ab
from app.core.stats.reference import Sums
from app.core.trial import Trial, covers


class Pair(msgspec.Struct, frozen=True, array_like=True):
    """Scores of both slices in one segment."""

    trial: Sums = Sums()
    control: Sums = Sums()


BySegment = dict[str, Pair]


class Difference(msgspec.Struct, frozen=True):
    """Trial minus control, in points of a score in [0, 1]; ``n`` pairs; bounds None while nothing is known."""

    estimate: float
    low: float | None
    high: float | None
    n: float


def observed(by: BySegment, trial: Trial, pane: ClosedPane, channel: str) -> BySegment:
    """``by`` with the scores of one more pane; incomplete panes are evidence for nothing."""
    if not pane.complete:
        return by
    found = dict(by)
    for key, cell in sorted(pane.cells.items()):
        if not covers(trial, key.version) or channel not in cell.quality:
            continue
        pair = found.get(key.segment, Pair())
        if key.slice == ("shadow" if trial.mirrored else "trial") and key.arm == trial.arm:
            found[key.segment] = Pair(pair.trial + _sums(cell, channel), pair.control)
        elif key.slice == "control" and key.arm == trial.control_arm:
            found[key.segment] = Pair(pair.trial, pair.control + _sums(cell, channel))
    return found


def _sums(cell: Cell, channel: str) -> Sums:
    score = cell.quality[channel]
    return Sums(score.n, score.total, score.squares)


def differences(by: BySegment, alpha: float) -> dict[str, Difference]:
    """The difference of every segment that has scores in both slices; all intervals hold together at ``alpha``."""
    rule = ab.Rule(alpha=alpha / max(1, len(by)))
    found: dict[str, Difference] = {}
    for segment, pair in sorted(by.items()):
        if pair.trial.n and pair.control.n:
            (c,) = ab.compared(ab.update(ab.Experiment(), pair.control, (pair.trial,), rule), rule)
            found[segment] = Difference(c.estimate, c.low, c.high, c.n)
    return found


def stratified(found: dict[str, Difference]) -> float | None:
    """The mean difference within segments, weighted by pairs; None without any."""
    pairs = sum(d.n for d in found.values())
    return sum(d.n * d.estimate for d in found.values()) / pairs if pairs else None


def harmed(found: dict[str, Difference], tolerance: float) -> tuple[str, ...]:
    """Segments in which harm beyond ``tolerance`` (points) is certain."""
    return tuple(segment for segment, d in found.items() if d.high is not None and d.high < -tolerance)
