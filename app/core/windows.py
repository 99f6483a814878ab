"""Tumbling event-time windows of 1, 5, 15 and 60 minutes over closed panes, and the aggregates they become.

A pane is added to the smallest window; a window that ends gives its sums to the next larger one, so each costs little
more than its own aggregates.

``Windows`` is kept in the table ``windows``. It lies downstream of the row: it is computed from panes the row's
document has oriented and never read back by ``step``, so its changelog record is written before the row's, and a crash
between the two replays the row exactly while the windows skip what they already hold.

Rows: one per (arm, segment) with slice ``*`` and quantiles; one per slice besides (sums only); one service total with
arm, segment and slice ``*`` that also carries late events and unattributed feedback.
"""

import msgspec

from app.core.cell import (
    Cell,
    Late,
    Score,
    add_cell_without_groups,
    add_late,
    copy_without_groups,
    without_groups,
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
    packed: bytes | None = None

    def pack(self, buckets: list[int] | None = None) -> bytes:
        """The packed histogram, made once: sums do not change. ``buckets`` as for ``sketch.pack``."""
        if self.packed is None:
            self.packed = pack(self.histogram, buckets)
        return self.packed


class Window(msgspec.Struct, array_like=True):
    """One open window. ``start_s`` inclusive, ``start_s + size_s`` exclusive; were all panes ``complete``?

    A ``nested`` one holds what the smaller ones inside it gave when they ended; others (kept by former releases, and
    the smallest) get every pane.
    """

    size_s: int
    start_s: int
    arms: list[ArmSums] = []
    late: Late = msgspec.field(default_factory=Late)
    sources: int = 0
    complete: bool = True
    shadowed: int = 0
    nested: bool = False

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

    Returns the windows to keep; neither ``windows`` nor ``pane`` are changed, and sums that did not change are shared.
    """
    outputs: list[Output] = []
    still_open = windows.open
    if pane is not None:
        still_open = _ended(still_open, service, pane.start_s, outputs)
        still_open = _with_pane(_opened(still_open, pane.start_s), pane)
    return Windows(_ended(still_open, service, now_s, outputs)), outputs


def _ended(windows: list[Window], service: str, now_s: int, outputs: list[Output]) -> list[Window]:
    """What is left when those that end are told, the smallest first: each gives its sums to the next larger one."""
    left: list[Window] = []
    given: Window | None = None
    for window in windows:
        whole = _joined(window, given) if given is not None and window.nested else window
        given = None
        if whole.end_s <= now_s:
            outputs.extend(aggregates(whole, service))
            given = whole
        else:
            left.append(whole)
    return left


def _opened(windows: list[Window], start_s: int) -> list[Window]:
    known = {w.size_s for w in windows}
    fresh = [Window(size, start_s - start_s % size, nested=size > SIZES_S[0]) for size in SIZES_S if size not in known]
    return sorted([*windows, *fresh], key=lambda w: w.size_s)


def _with_pane(windows: list[Window], pane: ClosedPane) -> list[Window]:
    """``pane`` added to the smallest, and to those that smaller ones give nothing."""
    minute = Window(0, 0, _arms_of(pane), pane.late, pane.sources, pane.complete, pane.shadowed)
    return [w if w.nested else _joined(w, minute) for w in windows]


def _joined(window: Window, more: Window) -> Window:
    late = Late()
    add_late(late, window.late)
    add_late(late, more.late)
    return Window(
        window.size_s,
        window.start_s,
        _sums(window.arms, more.arms),
        late,
        max(window.sources, more.sources),
        window.complete and more.complete,
        window.shadowed + more.shadowed,
        window.nested,
    )


def _arms_of(pane: ClosedPane) -> list[ArmSums]:
    """The sums of a pane, its cells shared. Slices where an (arm, segment) has more than its main one."""
    arms = {
        (arm, segment): ArmSums(arm, segment, without_groups(summary.cell), summary.histogram)
        for (arm, segment), summary in pane.arms.items()
    }
    for pair in {(key.arm, key.segment) for key in pane.cells if key.slice != "main"}:
        sums = arms.get(pair)
        if sums is None:  # only shadow answers: not served, so no row of the arm itself
            sums = arms[pair] = ArmSums(*pair, Cell(), {})
        sums.slices = {}
        for key, cell in pane.cells.items():
            if (key.arm, key.segment) == pair:
                _add(sums.slices, key.slice, cell)
    return [arms[pair] for pair in sorted(arms)]


def _sums(before: list[ArmSums], more: list[ArmSums]) -> list[ArmSums]:
    """Both together, in order; what only one of them has is shared."""
    if not before:
        return more
    arms = {(sums.arm, sums.segment): sums for sums in before}
    for sums in more:
        known = arms.get((sums.arm, sums.segment))
        arms[sums.arm, sums.segment] = sums if known is None else _sum(known, sums)
    return [arms[pair] for pair in sorted(arms)]


def _sum(one: ArmSums, other: ArmSums) -> ArmSums:
    cell, histogram, slices = copy_without_groups(one.cell), one.histogram.copy(), dict[str, Cell]()
    add_cell_without_groups(cell, other.cell)
    merge_into(histogram, other.histogram)
    if one.slices or other.slices:
        for sums in (one, other):
            for name, part in (sums.slices or {"main": sums.cell}).items():  # without slices all was main
                _add(slices, name, part)
    return ArmSums(one.arm, one.segment, cell, histogram, slices)


def _add(slices: dict[str, Cell], name: str, cell: Cell) -> None:
    known = slices.get(name)
    if known is None:
        slices[name] = copy_without_groups(cell)
    else:
        add_cell_without_groups(known, cell)


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
            outputs.append(told.row(sums))
        if sums.slices.keys() - {"main"}:
            of_slices = [(name, ArmSums(sums.arm, sums.segment, sums.slices[name], {})) for name in sorted(sums.slices)]
            outputs += [told.row(one, name) for name, one in of_slices]
    outputs.append(told.row(ArmSums("*", "*", total, histogram), of=window))
    return outputs


class _Told:
    """What all rows of a window say alike, worked out once."""

    def __init__(self, window: Window, service: str) -> None:
        self.service = service
        self.role: OutputRole = "aggregates_hourly" if window.size_s == SIZES_S[-1] else "aggregates"
        self.sources, self.complete = window.sources, window.complete
        self.size_s, self.start_s, self.end_s = window.size_s, window.start_s, window.end_s
        self.start, self.end = rfc3339(window.start_s), rfc3339(window.end_s)

    def row(self, sums: ArmSums, slice_: str = "*", of: Window | None = None) -> Output:
        """One aggregate event, without a histogram where it is of one slice; ``of``: the window, for the row of the
        service, which says more.
        """
        arm, segment, cell = sums.arm, sums.segment, sums.cell
        histogram = sums.histogram if slice_ == "*" else None
        buckets = sorted(histogram) if histogram is not None else None
        data = _Row(  # in the order of the fields: by name it takes twice the time
            arm,
            cell.cached_tokens,
            self.complete,
            cell.cost_usd,
            cell.cost_n,
            cell.n,
            cell.errors,
            sums.pack(buckets) if histogram is not None else None,
            cell.input_tokens,
            of.late.n if of else 0,
            of.late.cost_usd if of else msgspec.UNSET,
            of.late.input_tokens if of else msgspec.UNSET,
            of.late.output_tokens if of else msgspec.UNSET,
            _latency(cell, histogram, buckets),
            cell.output_tokens,
            cell.own_cost_usd,
            {c: _score(cell.quality[c]) for c in sorted(cell.quality)},
            segment,
            self.service,
            of.shadowed if of else msgspec.UNSET,
            slice_,
            self.sources,
            {"mean": cell.ttft_ms / cell.ttft_n, "n": cell.ttft_n} if cell.ttft_n else None,
            self.end,
            self.size_s,
            self.start,
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
