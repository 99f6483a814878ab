"""The five analyzers over one service: closed panes and windows in, findings out (requirements/004, Analyzer Engine).

It lies downstream of the row, like the windows: ``step`` never reads what is kept here. A critical finding reaches the
rules only by the log, as every alert does. Cadences are crossings of event time: each pane, a quarter, an hour.
"""

import msgspec

from app.core.analyze import anomaly, burn, cost, drift, performance, quality, spend, traffic
from app.core.analyze.anomaly import Anomaly
from app.core.analyze.burn import Burn
from app.core.analyze.cost import Cost
from app.core.analyze.definitions import defined
from app.core.analyze.drift import Drift
from app.core.analyze.finding import EVERY, Cleared, Note
from app.core.analyze.incidents import Incidents, settle
from app.core.analyze.performance import Performance
from app.core.analyze.quality import Quality
from app.core.analyze.scope import Scope
from app.core.analyze.spend import Spend
from app.core.analyze.traffic import Traffic
from app.core.analyze.waiting import Waiting, enough, joined
from app.core.cell import Cell, Summary, add_cell_without_groups
from app.core.document import ServiceDocument
from app.core.open_pane import UNATTRIBUTED
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.sketch import Histogram, merge_into
from app.core.windows import Windows

MAX_WATCHED = 160
"""(arm, segment) pairs watched; what exceeds them is counted in ``refused``."""
GONE_S = 3600
"""What had no traffic for so long has no open finding, and its series begin anew."""
SERIES_WHOLE, SERIES_PART, SERIES_SERVICE = 12, 4, 8
"""Series that share the budget of false alarms: of an arm, of one of its segments, of the service."""


class Watched(msgspec.Struct, frozen=True, array_like=True):
    """State of one arm in one segment; segment ``*`` is the arm as a whole. ``definition``: what the document says.

    ``waits``: panes not analysed yet.
    """

    arm: str
    segment: str
    definition: str = ""
    last_s: int = 0
    performance: Performance = Performance()
    quality: Quality = {}
    drift: Drift | None = None
    cost: Cost | None = None
    waits: Waiting | None = None


class Whole(msgspec.Struct, frozen=True, array_like=True):
    """State of the service as such. ``trend``: feedback that names no answer."""

    traffic: Traffic = Traffic()
    anomaly: Anomaly = Anomaly()
    burn: Burn = Burn()
    spend: Spend = Spend()
    trend: Quality = {}


class Analysis(msgspec.Struct, frozen=True, array_like=True):
    """State of one service: at most ``MAX_WATCHED`` pairs and ``incidents.MAX_OPEN`` open findings, counted beyond."""

    watched: tuple[Watched, ...] = ()
    whole: Whole = Whole()
    incidents: Incidents = Incidents()
    last_s: int = 0
    refused: int = 0

    @property
    def deadline_s(self) -> int | None:
        """When silence is a finding, or open findings end for want of traffic (epoch seconds), or None."""
        silence_s = self.whole.traffic.deadline_s
        return self.last_s + GONE_S if silence_s is None and _lasting(self.incidents) else silence_s


def analyse(
    analysis: Analysis, document: ServiceDocument, pane: ClosedPane | None, windows: Windows, now_s: int
) -> tuple[Analysis, list[Output]]:
    """``analysis`` after ``pane`` (None: only time passed), and the findings that began, rose or ended."""
    scope = Scope(document=document, now_s=now_s, series=_series(analysis), parts=bool(document.segments.by))
    if pane is None:
        silent, notes = traffic.waited(analysis.whole.traffic, scope)
        whole = msgspec.structs.replace(analysis.whole, traffic=silent)
        return _settled(msgspec.structs.replace(analysis, whole=whole), document.service, notes, now_s)
    watched, notes, refused = _watched(analysis, scope, pane, windows)
    whole, said = _whole(analysis.whole, scope, pane)
    analysis = Analysis(watched, whole, analysis.incidents, now_s, analysis.refused + refused)
    return _settled(analysis, document.service, [*notes, *said], now_s)


def _series(analysis: Analysis) -> int:
    wholes = sum(watched.segment == EVERY for watched in analysis.watched)
    return SERIES_SERVICE + SERIES_WHOLE * wholes + SERIES_PART * (len(analysis.watched) - wholes)


# ---- arms ----
def _watched(
    analysis: Analysis, scope: Scope, pane: ClosedPane, windows: Windows
) -> tuple[tuple[Watched, ...], list[Note], int]:
    known = {(watched.arm, watched.segment): watched for watched in analysis.watched}
    hours, notes, refused = _hours(windows) if scope.main else {}, list[Note](), 0
    definitions, open_ = defined(scope.document), _with_findings(analysis.incidents)
    for (arm, segment), summary in sorted(_pairs(pane, parts=scope.parts).items()):
        before = known.get((arm, segment))
        if before is None and len(known) >= MAX_WATCHED:
            refused += 1
            continue
        at = msgspec.structs.replace(scope, arm=arm, segment=segment)
        watched, said = _current(before, at, definitions.get(arm, ""), analysis.incidents)
        urgent = scope.main or (arm, segment) in open_
        known[arm, segment], more = (
            _step(watched, at, summary, hours.get(arm, {}), urgent=urgent)
            if pane.complete
            else _incomplete(watched, at, summary.cell)
        )
        notes += said
        notes += more
    return tuple([known[key] for key in sorted(known)]), notes, refused


def _with_findings(incidents: Incidents) -> set[tuple[str, ...]]:
    """(arm, segment) of every series that has not cleared."""
    return {tuple(key.split("|")[-2:]) for incident in incidents.open for key in incident.active}


def _pairs(pane: ClosedPane, *, parts: bool) -> dict[tuple[str, str], Summary]:
    """The pane by (arm, segment) where there are segments, and each arm as a whole."""
    found: dict[tuple[str, str], Summary] = {}
    for (arm, segment), summary in pane.arms.items():
        if arm == UNATTRIBUTED:
            continue
        if not parts:
            found[arm, EVERY] = summary
            continue
        found[arm, segment] = summary
        found.setdefault((arm, EVERY), Summary.empty()).add(summary)
    return found


def _hours(windows: Windows) -> dict[str, Histogram]:
    """Latencies of the longest open window, by arm."""
    found: dict[str, Histogram] = {}
    for sums in windows.open[-1].arms if windows.open else ():
        merge_into(found.setdefault(sums.arm, {}), sums.histogram)
    return found


def _current(known: Watched | None, scope: Scope, definition: str, incidents: Incidents) -> tuple[Watched, list[Note]]:
    """The state to go on with: afresh when the document changed the arm, or after a long time without traffic."""
    if known is None:
        return Watched(scope.arm, scope.segment, definition), []
    if known.definition == definition and scope.now_s - known.last_s < GONE_S:
        return known, []
    models = known.drift.models if known.drift is not None and known.definition == definition else drift.Models()
    fresh = Watched(scope.arm, scope.segment, definition, drift=Drift(models) if scope.whole else None)
    return fresh, _ended(incidents, {(scope.arm, scope.segment)}, "the arm is new: its document changed or it paused")


def _incomplete(watched: Watched, scope: Scope, cell: Cell) -> tuple[Watched, list[Note]]:
    """Incomplete panes show which models answer, but are no evidence of a level."""
    drifted, notes = _models(watched, scope, cell)
    return msgspec.structs.replace(watched, last_s=scope.now_s, drift=drifted), notes


def _models(watched: Watched, scope: Scope, cell: Cell) -> tuple[Drift | None, list[Note]]:
    if not (scope.whole and cell.n):
        return watched.drift, []
    return drift.answered(watched.drift or Drift(), scope, cell)


def _step(
    watched: Watched, scope: Scope, summary: Summary, hour: Histogram, *, urgent: bool
) -> tuple[Watched, list[Note]]:
    """Every analyzer on one pair, once what it has done is worth a look (``analyze.waiting``), or ``urgent``."""
    drifted, notes = _models(watched, scope, summary.cell)
    cell = summary.cell
    if watched.waits is not None or not (urgent or enough(cell)):
        waits = joined(watched.waits, summary)
        cell = waits.cell
        if not (urgent or enough(cell)):
            return msgspec.structs.replace(watched, last_s=scope.now_s, drift=drifted, waits=waits), notes
        summary = Summary(cell, waits.histogram)
    paid = watched.cost
    performed, said = performance.step(watched.performance, scope, summary, hour)
    scores, more = quality.step(watched.quality, scope, cell)
    if scope.whole:
        drifted, lengths = drift.step(drifted or Drift(), scope, cell)
        paid, costs = cost.step(paid or Cost(), scope, cell)
        notes, more = [*notes, *lengths], more + costs
    after = Watched(watched.arm, watched.segment, watched.definition, scope.now_s, performed, scores, drifted, paid)
    return after, [*notes, *said, *more]


# ---- the service ----
def _whole(whole: Whole, scope: Scope, pane: ClosedPane) -> tuple[Whole, list[Note]]:
    arms: dict[str, Cell] = {}
    total, unnamed = Summary.empty(), Cell()
    limited = burn.objectives(scope)[2] is not None  # else nobody asks for the latencies of the service
    for (arm, _), summary in pane.arms.items():
        if arm == UNATTRIBUTED:
            add_cell_without_groups(unnamed, summary.cell)
            continue
        add_cell_without_groups(arms.setdefault(arm, Cell()), summary.cell)
        add_cell_without_groups(total.cell, summary.cell)
        if limited:
            merge_into(total.histogram, summary.histogram)
    heard, notes = traffic.heard(whole.traffic, scope, total.cell.n, complete=pane.complete)
    spent, said = spend.step(whole.spend, scope, pane)
    notes += said
    whole = msgspec.structs.replace(whole, traffic=heard, spend=spent)
    if not pane.complete:
        return whole, notes
    strange, said = anomaly.step(whole.anomaly, scope, arms)
    burnt, more = burn.step(whole.burn, scope, total)
    trend, told = quality.step(whole.trend, msgspec.structs.replace(scope, parts=False), unnamed)
    whole = msgspec.structs.replace(whole, anomaly=strange, burn=burnt, trend=trend)
    return whole, [*notes, *said, *more, *told]


# ---- findings ----
def _settled(analysis: Analysis, service: str, notes: list[Note], now_s: int) -> tuple[Analysis, list[Output]]:
    gone = {(w.arm, w.segment) for w in analysis.watched if now_s - w.last_s >= GONE_S}
    everything = now_s - analysis.last_s >= GONE_S
    ended = _ended(analysis.incidents, None if everything else gone, "there was no traffic for an hour")
    incidents, said = settle(analysis.incidents, service, [*notes, *ended], now_s)
    return msgspec.structs.replace(analysis, incidents=incidents), said


def _lasting(incidents: Incidents) -> list[str]:
    """Active series that end for want of traffic: all but silence itself."""
    return [key for incident in incidents.open for key in incident.active if key != traffic.KEY]


def _ended(incidents: Incidents, pairs: set[tuple[str, str]] | None, why: str) -> list[Note]:
    """The end of every lasting series of these (arm, segment); None: of all."""
    return [Cleared(key, why) for key in _lasting(incidents) if pairs is None or tuple(key.split("|")[-2:]) in pairs]


def postponed(analysis: Analysis, now_s: int) -> Analysis:
    """``analysis`` when a step of it failed: as it was, but no deadline is held for ever."""
    whole = msgspec.structs.replace(analysis.whole, traffic=Traffic())
    return msgspec.structs.replace(analysis, whole=whole, last_s=now_s)
