"""A closed minute of one service, before and after the service document gave it meaning.

``RawPane`` is what the merge knows: raw facts of all sources. ``orient`` maps raw segment parts to declared segments
and prices what came without a cost; both may change with the document, so they are applied here and never at ingest.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.core.cell import Cell, CellKey, Late, Summary, add_cell, add_late, copy_cell
from app.core.document import ServiceDocument, segment_of
from app.core.facts import Partial
from app.core.prices import PriceBook, TokenPrice, costs
from app.core.sketch import Histogram, merge_into

PANE_S = 60

K = TypeVar("K", CellKey, tuple[str, str])
V = TypeVar("V")


class Minute(msgspec.Struct):
    """What both kinds of pane say: which minute, whether every source was heard, how many had data, what came late."""

    number: int
    complete: bool
    sources: int
    late: Late

    @property
    def start_s(self) -> int:
        """First second of the minute (epoch seconds)."""
        return self.number * PANE_S

    @property
    def end_s(self) -> int:
        """First second after it."""
        return (self.number + 1) * PANE_S


class RawPane(Minute):
    """Sums of one (service, minute) over its sources, in source order; cells by raw key. ``shadowed`` requests came by
    the road that does not count (``app.core.evidence``) and are in no sum.
    """

    cells: dict[CellKey, Cell]
    histograms: dict[tuple[str, str], Histogram]
    shadowed: int = 0


class ClosedPane(Minute):
    """A pane with declared segments and costs. ``arms`` holds (arm, segment) with histograms; ``cells`` every
    (arm, segment, slice, version). Arm "" is feedback without a receipt.
    """

    cells: dict[CellKey, Cell]
    arms: dict[tuple[str, str], Summary]
    shadowed: int = 0


def merge_parts(number: int, parts: dict[str, Partial], *, complete: bool) -> RawPane:
    """Sum the partials of one (service, pane) over sources, in source order: float sums depend on the order."""
    pane = RawPane(number, complete, len(parts), Late(), {}, {})
    own: set[CellKey] = set()
    mixed: set[tuple[str, str]] = set()
    for source in sorted(parts):
        partial = parts[source]
        add_late(pane.late, partial.late)
        for counted in partial.cells:
            _add_cell(pane.cells, own, counted.key, counted.cell)
        for h in partial.histograms:
            _add_histogram(pane.histograms, mixed, (h.arm, h.segment), h.histogram)
    return pane


def orient(document: ServiceDocument, raw: RawPane) -> ClosedPane:
    """Map segments and price what came without a cost, by ``document`` as it is at this pane."""
    book: PriceBook | None = None
    pane = ClosedPane(raw.number, raw.complete, raw.sources, raw.late, {}, {}, raw.shadowed)
    served: dict[tuple[str, str], Cell] = {}
    own: set[CellKey] = set()
    whole: set[tuple[str, str]] = set()
    for key in sorted(raw.cells):
        cell = raw.cells[key]
        if cell.unpriced is not None and document.prices:
            book = book or PriceBook(document)
            cell = _priced(cell, book.of_arm(key.arm, raw.start_s))
        segment = segment_of(document, key.segment)
        _add_cell(pane.cells, own, CellKey(key.arm, segment, key.slice, key.version), cell)
        if key.slice != "shadow":
            _add_cell(served, whole, (key.arm, segment), cell)
    histograms: dict[tuple[str, str], Histogram] = {}
    mixed: set[tuple[str, str]] = set()
    for (arm, parts), histogram in sorted(raw.histograms.items()):
        _add_histogram(histograms, mixed, (arm, segment_of(document, parts)), histogram)
    pane.arms = {where: Summary(cell, histograms.get(where) or {}) for where, cell in served.items()}
    return pane


def _add(found: dict[K, V], own: set[K], key: K, given: V, copy: Callable[[V], V], add: Callable[[V, V], None]) -> None:
    """Add without changing what was given: one alone is itself, and the sum of several is our ``own``."""
    known = found.get(key)
    if known is None:
        found[key] = given
        return
    if key not in own:
        known = found[key] = copy(known)
        own.add(key)
    add(known, given)


def _add_cell(cells: dict[K, Cell], own: set[K], key: K, cell: Cell) -> None:
    _add(cells, own, key, cell, copy_cell, add_cell)


def _add_histogram(histograms: dict[K, Histogram], own: set[K], key: K, histogram: Histogram) -> None:
    _add(histograms, own, key, histogram, dict.copy, merge_into)


def _priced(cell: Cell, price: TokenPrice | None) -> Cell:
    """``cell``, or a copy with its unpriced moments moved into the cost sums where the book knows the arm's model."""
    if cell.unpriced is None or price is None:
        return cell
    copy, known = copy_cell(cell), costs(cell, price)
    copy.cost_n, copy.cost_usd, copy.cost_sq, copy.input_cost = known.n, known.total, known.squares, known.input_cost
    copy.unpriced = None
    if cell.unpriced.n == cell.n:  # else a group does not know which of its requests were priced
        a, b, c = price.coefficients
        for group in copy.groups.values():
            group.cost = a * group.input_tokens + b * group.output_tokens + c * group.cached_tokens
    return copy
