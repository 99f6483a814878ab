"""An arm with a few answers a minute waits until they are worth a look: its panes are joined, then analysed as one.

Of less than ``LEAST_N`` answers hardly anything can be said. So sums are kept until they
stand for that many, or for as many scores, or ``FAILED`` answers failed (then the sooner the better). Nothing waits
longer than until the main cadence, nor while the arm has an open finding, whose end is counted in panes.
What is analysed is the same answers in fewer panes: false alarms, bounded by the number of panes, become fewer; a
change of an arm with four answers a minute is told up to ``LEAST_N`` answers later. Models that
change in silence do not wait (``analyze.drift``), nor does what the service is watched for as a whole.
"""

import msgspec

from app.core.cell import Cell, Summary, add_cell_without_groups, copy_without_groups, without_groups
from app.core.sketch import Histogram, merge_into

LEAST_N = 16
"""Answers (or scores) that are worth a look: as many as limits of pane series are tuned to. 30 found a latency that
doubled at 20 answers a minute after 8 minutes instead of 4, and saved little more.
"""
FAILED = 4
"""Failed answers that do not wait. At 4 a minute that all fail, nothing waits at all."""


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """Sums of the panes that wait, without session groups."""

    cell: Cell
    histogram: Histogram


def joined(waits: Waiting | None, summary: Summary) -> Waiting:
    """``waits`` with one more pane; neither is changed."""
    if waits is None:
        return Waiting(without_groups(summary.cell), summary.histogram)
    cell, histogram = copy_without_groups(waits.cell), waits.histogram.copy()
    add_cell_without_groups(cell, summary.cell)
    merge_into(histogram, summary.histogram)
    return Waiting(cell, histogram)


def enough(cell: Cell) -> bool:
    """Whether sums are worth a look."""
    if cell.n >= LEAST_N or cell.errors >= FAILED:
        return True
    return any(score.n >= LEAST_N for score in cell.quality.values())
