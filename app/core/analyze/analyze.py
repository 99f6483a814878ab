"""The five analyzers over one service: closed panes and windows in, findings out (requirements/004, Analyzer Engine).

It lies downstream of the row, like the windows: ``step`` never reads what is kept here. A critical finding reaches the
rules only by the log, as every alert does. Cadences are crossings of event time: each pane, a quarter, an hour.
"""

import msgspec

from app.core.analyze import drift, performance
from app.core.analyze.drift import Drift
from app.core.analyze.finding import EVERY, Cleared, Note
from app.core.analyze.incidents import Incidents, settle
from app.core.analyze.performance import Performance
from app.core.analyze.scope import Scope
from app.core.cell import Summary
from app.core.document import ServiceDocument
from app.core.open_pane import UNATTRIBUTED
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.sketch import Histogram
from app.core.windows import Windows

MAX_WATCHED = 160
"""(arm, segment) pairs watched; what exceeds them is counted in ``refused``."""
GONE_S = 3600
"""A series without traffic for so long has no open finding."""
SERIES_A_PAIR = 10


class Watched(msgspec.Struct, frozen=True, array_like=True):
    """State of one arm in one segment; segment ``*`` is the arm as a whole."""

    arm: str
    segment: str
    last_s: int = 0
    performance: Performance = Performance()
    drift: Drift = Drift()


class Analysis(msgspec.Struct, frozen=True, array_like=True):
    """State of one service."""

    watched: tuple[Watched, ...] = ()
    incidents: Incidents = Incidents()
    last_s: int = 0
    refused: int = 0

    @property
    def deadline_s(self) -> int | None:
        """When open findings end for want of traffic (epoch seconds), or None."""
        return self.last_s + GONE_S if self.incidents.open else None


def analyse(
    analysis: Analysis, document: ServiceDocument, pane: ClosedPane | None, windows: Windows, now_s: int
) -> tuple[Analysis, list[Output]]:
    """``analysis`` after ``pane`` (None: only time passed), and the findings that began, rose or ended."""
    if pane is None:
        return _settled(analysis, document.service, [], now_s)
    parts = bool(document.segments.by)
    known = {(watched.arm, watched.segment): watched for watched in analysis.watched}
    hours = _hours(windows)
    notes: list[Note] = []
    refused = analysis.refused
    for (arm, segment), summary in sorted(_scopes(pane, parts=parts).items()):
        watched = known.get((arm, segment))
        if watched is None:
            if len(known) >= MAX_WATCHED:
                refused += 1
                continue
            watched = Watched(arm, segment)
        scope = Scope(
            document=document, now_s=now_s, series=SERIES_A_PAIR * len(known), arm=arm, segment=segment, parts=parts
        )
        known[arm, segment], said = _step(watched, scope, summary, hours.get(arm, {}), complete=pane.complete)
        notes += said
    analysis = Analysis(tuple(known[key] for key in sorted(known)), analysis.incidents, now_s, refused)
    return _settled(analysis, document.service, notes, now_s)


def _scopes(pane: ClosedPane, *, parts: bool) -> dict[tuple[str, str], Summary]:
    """The pane by (arm, segment), and each arm as a whole."""
    found: dict[tuple[str, str], Summary] = {}
    for (arm, segment), summary in pane.arms.items():
        if arm == UNATTRIBUTED:
            continue
        if parts:
            found[arm, segment] = summary
        found.setdefault((arm, EVERY), Summary.empty()).add(summary)
    return found


def _hours(windows: Windows) -> dict[str, Histogram]:
    """Latencies of the longest open window, by arm."""
    found: dict[str, Histogram] = {}
    for sums in windows.open[-1].arms if windows.open else ():
        total = found.setdefault(sums.arm, {})
        for k, n in sums.histogram.items():
            total[k] = total.get(k, 0) + n
    return found


def _step(
    watched: Watched, scope: Scope, summary: Summary, hour: Histogram, *, complete: bool
) -> tuple[Watched, list[Note]]:
    """Every analyzer on one (arm, segment). Incomplete panes show models, but are no evidence of a level."""
    shifted, notes = drift.step(watched.drift, scope, summary.cell, complete=complete)
    watched = msgspec.structs.replace(watched, last_s=scope.now_s, drift=shifted)
    if not complete:
        return watched, notes
    performed, said = performance.step(watched.performance, scope, summary, hour)
    notes += said
    return msgspec.structs.replace(watched, performance=performed), notes


def _settled(analysis: Analysis, service: str, notes: list[Note], now_s: int) -> tuple[Analysis, list[Output]]:
    gone = {(w.arm, w.segment) for w in analysis.watched if now_s - w.last_s >= GONE_S}
    if now_s - analysis.last_s >= GONE_S:
        gone.add((EVERY, EVERY))
    ended = [
        Cleared(key, "there was no traffic for an hour")
        for incident in analysis.incidents.open
        for key in incident.active
        if tuple(key.split("|")[-2:]) in gone
    ]
    incidents, said = settle(analysis.incidents, service, [*notes, *ended], now_s)
    return msgspec.structs.replace(analysis, incidents=incidents), said


def postponed(analysis: Analysis, now_s: int) -> Analysis:
    """``analysis`` when a step of it failed: as it was, but no deadline is held for ever."""
    return msgspec.structs.replace(analysis, last_s=now_s)
