"""Tumbling event-time windows of 1, 5, 15 and 60 minutes over closed panes, and the aggregates they become.

``Windows`` is kept in the table ``windows``. It lies downstream of the row: it is computed from panes the row's
document has oriented and never read back by ``step``, so its changelog record is written before the row's, and a crash
between the two replays the row exactly while the windows skip what they already hold.

Rows: one per (arm, segment) with slice ``*`` and quantiles; one per slice besides (sums only); one service total with
arm, segment and slice ``*`` that also carries late events and unattributed feedback.
"""

import msgspec

from app.core.cell import (
    Cell,
    CellKey,
    Late,
    Score,
    Summary,
    add_cell_without_groups,
    add_late,
    copy_cell,
    copy_without_groups,
)
from app.core.events import rfc3339
from app.core.ids import stable_id
from app.core.open_pane import UNATTRIBUTED
from app.core.outputs import AGGREGATE, Output, OutputRole
from app.core.pane import ClosedPane
from app.core.sketch import Histogram, merge_into, pack, quantiles

SIZES_S = (60, 300, 900, 3600)


class ArmSums(msgspec.Struct, array_like=True):
    """Sums of one (arm, segment) of a window, and of each slice where there is more than the main one (else none)."""

    arm: str
    segment: str
    cell: Cell
    histogram: Histogram
    slices: dict[str, Cell] = {}


class Window(msgspec.Struct, array_like=True):
    """One open window. ``start_s`` inclusive, ``start_s + size_s`` exclusive; ``panes`` with data, all ``complete``?"""

    size_s: int
    start_s: int
    arms: list[ArmSums] = []
    late: Late = msgspec.field(default_factory=Late)
    sources: int = 0
    complete: bool = True
    shadowed: int = 0

    @property
    def end_s(self) -> int:
        return self.start_s + self.size_s


class Windows(msgspec.Struct, array_like=True):
    """The open windows of one service, at most one of each size."""

    open: list[Window] = []

    @property
    def deadline_s(self) -> int | None:
        """When the next window ends (epoch seconds), or None."""
        return min((w.end_s for w in self.open), default=None)


def roll(windows: Windows, service: str, pane: ClosedPane | None, now_s: int) -> tuple[Windows, list[Output]]:
    """Add ``pane`` (None: only time passed) and emit the windows that end at or before ``now_s``.

    Returns the windows to keep, sharing nothing with the given ones that is changed later.
    """
    outputs: list[Output] = []
    still_open = list(windows.open)
    if pane is not None:
        still_open = _emit(still_open, service, pane.start_s, outputs)
        still_open = _all_added(_opened(still_open, pane.start_s), pane)
    return Windows(_emit(still_open, service, now_s, outputs)), outputs


def _emit(windows: list[Window], service: str, now_s: int, outputs: list[Output]) -> list[Window]:
    for window in windows:
        if window.end_s <= now_s:
            outputs.extend(aggregates(window, service))
    return [w for w in windows if w.end_s > now_s]


def _opened(windows: list[Window], start_s: int) -> list[Window]:
    known = {w.size_s for w in windows}
    fresh = [Window(size, start_s - start_s % size) for size in SIZES_S if size not in known]
    return sorted([*windows, *fresh], key=lambda w: w.size_s)


def _all_added(windows: list[Window], pane: ClosedPane) -> list[Window]:
    """``pane`` added to each. Windows that began together hold the same sums, and the same list of them, until one
    ends: they are added to once.
    """
    done: dict[int, list[ArmSums]] = {}
    found = []
    for window in windows:
        same = id(window.arms) if window.arms else 0
        arms = done.get(same)
        if arms is None:
            arms = done[same] = _arms_added(window.arms, pane)
        found.append(_added(window, arms, pane))
    return found


def _arms_added(before: list[ArmSums], pane: ClosedPane) -> list[ArmSums]:
    arms = {(a.arm, a.segment): a for a in before}
    for (arm, segment), summary in pane.arms.items():
        arms[arm, segment] = _arm_sums(arms.get((arm, segment)), arm, segment, summary)
    _add_slices(arms, {(a.arm, a.segment): a.cell for a in before}, pane)
    return [arms[key] for key in sorted(arms)]


def _added(window: Window, arms: list[ArmSums], pane: ClosedPane) -> Window:
    late = Late()
    add_late(late, window.late)
    add_late(late, pane.late)
    return Window(
        window.size_s,
        window.start_s,
        arms,
        late,
        max(window.sources, pane.sources),
        window.complete and pane.complete,
        window.shadowed + pane.shadowed,
    )


def _arm_sums(known: ArmSums | None, arm: str, segment: str, summary: Summary) -> ArmSums:
    if known is None:
        return ArmSums(arm, segment, copy_without_groups(summary.cell), dict(summary.histogram), {})
    total = ArmSums(arm, segment, copy_without_groups(known.cell), dict(known.histogram), dict(known.slices))
    add_cell_without_groups(total.cell, summary.cell)
    merge_into(total.histogram, summary.histogram)
    return total


def _add_slices(arms: dict[tuple[str, str], ArmSums], before: dict[tuple[str, str], Cell], pane: ClosedPane) -> None:
    """Sums by slice, from the first pane on in which an (arm, segment) had more than its main one."""
    names: dict[tuple[str, str], set[str]] = {}
    for key in pane.cells:
        names.setdefault((key.arm, key.segment), set()).add(key.slice)
    for key, cell in pane.cells.items():
        pair = key.arm, key.segment
        sums = arms.get(pair)
        if names[pair] == {"main"} and (sums is None or not sums.slices):
            continue
        if sums is not None and not sums.slices and pair in before:
            sums.slices["main"] = copy_cell(before[pair])  # so far all was main
        _add_slice(arms, key, cell)


def _add_slice(arms: dict[tuple[str, str], ArmSums], key: CellKey, cell: Cell) -> None:
    sums = arms.get((key.arm, key.segment))
    if sums is None:  # only shadow answers: not served, so no row of the arm itself
        sums = arms[key.arm, key.segment] = ArmSums(key.arm, key.segment, Cell(), {}, {})
    known = sums.slices.get(key.slice)
    total = copy_without_groups(cell if known is None else known)
    if known is not None:
        add_cell_without_groups(total, cell)
    sums.slices[key.slice] = total


# ---- the aggregate event ----
class _Row(msgspec.Struct, gc=False):
    """Data of the event, its fields in the order of their names. ``late`` and what follows from it: of a service."""

    arm: str
    cached_tokens: int
    complete: bool
    cost_usd: float
    costed: int
    count: int
    errors: int
    histogram: bytes | None
    input_tokens: int
    late: int
    late_cost_usd: float | msgspec.UnsetType
    late_input_tokens: int | msgspec.UnsetType
    late_output_tokens: int | msgspec.UnsetType
    latency_ms: dict[str, float]
    output_tokens: int
    own_cost_usd: float
    quality: dict[str, dict[str, float]]
    segment: str
    service: str
    shadowed: int | msgspec.UnsetType
    slice: str
    sources: int
    ttft_ms: dict[str, float] | None
    window_end: str
    window_s: int
    window_start: str


def aggregates(window: Window, service: str) -> list[Output]:
    """The aggregate events of a finished window, in fixed order."""
    told = _Told(window, service)
    outputs: list[Output] = []
    total = Cell()
    histogram: Histogram = {}
    for sums in window.arms:
        add_cell_without_groups(total, sums.cell)
        merge_into(histogram, sums.histogram)
        if sums.arm == UNATTRIBUTED:
            continue
        if sums.cell.n or sums.cell.quality:
            outputs.append(told.row(sums.arm, sums.segment, "*", sums.cell, sums.histogram))
        if sums.slices.keys() - {"main"}:
            outputs += [told.row(sums.arm, sums.segment, name, sums.slices[name], None) for name in sorted(sums.slices)]
    outputs.append(told.row("*", "*", "*", total, histogram, window))
    return outputs


class _Told:
    """What all rows of a window say alike, worked out once."""

    def __init__(self, window: Window, service: str) -> None:
        self.service = service
        self.role: OutputRole = "aggregates_hourly" if window.size_s == SIZES_S[-1] else "aggregates"
        self.sources, self.complete = window.sources, window.complete
        self.size_s, self.start_s, self.end_s = window.size_s, window.start_s, window.end_s
        self.start, self.end = rfc3339(window.start_s), rfc3339(window.end_s)

    def row(
        self, arm: str, segment: str, slice_: str, cell: Cell, histogram: Histogram | None, of: Window | None = None
    ) -> Output:
        """One aggregate event; ``of``: the window, for the row of the service, which says more."""
        buckets = sorted(histogram) if histogram is not None else None
        data = _Row(
            arm=arm,
            cached_tokens=cell.cached_tokens,
            complete=self.complete,
            cost_usd=cell.cost_usd,
            costed=cell.cost_n,
            count=cell.n,
            errors=cell.errors,
            histogram=pack(histogram, buckets) if histogram is not None else None,
            input_tokens=cell.input_tokens,
            late=of.late.n if of else 0,
            late_cost_usd=of.late.cost_usd if of else msgspec.UNSET,
            late_input_tokens=of.late.input_tokens if of else msgspec.UNSET,
            late_output_tokens=of.late.output_tokens if of else msgspec.UNSET,
            latency_ms=_latency(cell, histogram, buckets),
            output_tokens=cell.output_tokens,
            own_cost_usd=cell.own_cost_usd,
            quality={c: _score(cell.quality[c]) for c in sorted(cell.quality)},
            segment=segment,
            service=self.service,
            shadowed=of.shadowed if of else msgspec.UNSET,
            slice=slice_,
            sources=self.sources,
            ttft_ms={"mean": cell.ttft_ms / cell.ttft_n, "n": cell.ttft_n} if cell.ttft_n else None,
            window_end=self.end,
            window_s=self.size_s,
            window_start=self.start,
        )
        identity = stable_id(AGGREGATE, self.service, self.size_s, self.start_s, arm, segment, slice_)
        return Output(self.role, AGGREGATE, identity, self.service, self.end_s, _json(data))


def _latency(cell: Cell, histogram: Histogram | None, buckets: list[int] | None) -> dict[str, float]:
    values = {"max": cell.latency_ms_max, "mean": cell.latency_ms / cell.n if cell.n else 0.0}
    if histogram is not None:
        values["p50"], values["p95"], values["p99"] = quantiles(histogram, (0.5, 0.95, 0.99), buckets)
    return values


def _score(score: Score) -> dict[str, float]:
    return {"mean": score.total / score.n if score.n else 0.0, "n": score.n}


_json = msgspec.json.Encoder().encode
