"""How telemetry adds up: a cell is the sums of one (arm, segment, slice, version) in one event-time minute.

Mutable: cells are changed in place by the fold (stage 1) and summed by the merge (stage 2). Addition is a
commutative monoid up to floating-point rounding, so sums are always taken in a fixed order (log offset, then source).
Raw facts only: a request that came without a cost keeps the token moments a price book needs to cost it later.
Units: ms, USD, tokens, quality in [0, 1].
"""

from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any

import msgspec

from app.core.sketch import Histogram, merge_into

SESSION_GROUPS = 64
MAX_MODELS = 8
"""Pairs of response model and fingerprint a cell remembers: the first in order, so that merging forgets alike."""
MAX_PROMPTS = 256


CUT_OFF = frozenset(("length", "max_tokens", "MAX_TOKENS", "model_length"))
"""How providers say that an answer ended at the token limit."""


class Score(msgspec.Struct, array_like=True):
    """Sums of one quality channel: number, sum, sum of squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0


class Unpriced(msgspec.Struct, array_like=True):
    """Token moments of the requests that came without a cost: cost = in*a + out*b + cached*c is linear in these."""

    n: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    input_sq: float = 0.0
    output_sq: float = 0.0
    cached_sq: float = 0.0
    input_output: float = 0.0
    input_cached: float = 0.0
    output_cached: float = 0.0


class Group(msgspec.Struct, array_like=True):
    """Sums of one session group: the clusters of a sticky comparison. Trial, control and shadow keep them for all
    requests, the other slices for those of a session, and all slices for judge scores.
    """

    n: int = 0
    errors: int = 0
    log_latency: float = 0.0
    cost: float = 0.0
    scores: int = 0
    quality: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Waste(msgspec.Struct, array_like=True):
    """Answers that were paid for in vain, or may have been: ``retries`` of earlier requests and ``invalid`` JSON with
    their costs; requests with a token limit, those limits and what was written under them; ``repeats`` of a prompt seen
    in the same cell among those that ``hashed`` their prompt (the first ``MAX_PROMPTS`` prompts are remembered);
    answers ``truncated`` by the limit.
    """

    retries: int = 0
    retries_usd: float = 0.0
    invalid: int = 0
    invalid_usd: float = 0.0
    limited: int = 0
    limits: int = 0
    written: int = 0
    hashed: int = 0
    repeats: int = 0
    repeats_usd: float = 0.0
    truncated: int = 0


class Cell(msgspec.Struct, array_like=True):
    """Sums of one cell. ``log_latency`` sums are over ln(ms); ``quality`` is by channel (judge, user, implicit).

    ``in_session``: requests that belonged to a session. ``models``: what answered, as response model and fingerprint
    joined by U+001F, sorted, the first ``MAX_MODELS``.
    """

    n: int = 0
    errors: int = 0
    latency_ms: float = 0.0
    latency_ms_max: float = 0.0
    log_latency: float = 0.0
    log_latency_sq: float = 0.0
    ttft_n: int = 0
    ttft_ms: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    input_tokens_sq: float = 0.0
    cost_n: int = 0
    cost_usd: float = 0.0
    cost_sq: float = 0.0
    input_cost: float = 0.0
    own_cost_usd: float = 0.0
    quality: dict[str, Score] = {}
    groups: dict[int, Group] = {}
    unpriced: Unpriced | None = None
    in_session: int = 0
    models: list[str] = []
    waste: Waste | None = None


class CellKey(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Which cell. At ingest ``segment`` is raw (tenant, task type, region joined by U+001F); after the merge it is a
    declared segment of the service document, ``other`` or ``*``.
    """

    arm: str
    segment: str
    slice: str
    version: int


class Late(msgspec.Struct, array_like=True):
    """Events that came after their pane closed: spend and totals, never statistics."""

    n: int = 0
    cost_usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0


SEPARATOR = "\x1f"
OVERFLOW = "other"
"""Arm and segment of the cell that takes what exceeds the bound on cells."""


_twin: Callable[[Any], Any] = methodcaller("__copy__")
"""``copy.copy`` of a struct in a third of its time."""


def _adder(kind: type[msgspec.Struct], but: frozenset[str] = frozenset()) -> Callable[[Any, Any], None]:
    """``add(total, other)``: add every field of ``kind`` in place, those ``but`` excepted. Written out, as dataclasses
    write their methods: a loop with getattr and setattr costs five times as much, for every cell of every window.
    """
    names = [name for name in kind.__struct_fields__ if name not in but]
    lines = "".join(f"    total.{name} += other.{name}\n" for name in names)
    found: dict[str, Any] = {}
    exec(f"def add(total, other):\n{lines}", found)  # noqa: S102  # names of struct fields, nothing from outside
    add: Callable[[Any, Any], None] = found["add"]
    return add


add_score: Callable[[Score, Score], None] = _adder(Score)
"""Add the second to the first in place."""
add_late: Callable[[Late, Late], None] = _adder(Late)
"""Add the second to the first in place."""
add_waste: Callable[[Waste, Waste], None] = _adder(Waste)
"""Add the second to the first in place."""
_add_unpriced: Callable[[Unpriced, Unpriced], None] = _adder(Unpriced)
_add_group: Callable[[Group, Group], None] = _adder(Group)
_add_sums: Callable[[Cell, Cell], None] = _adder(
    Cell, frozenset(("latency_ms_max", "quality", "groups", "unpriced", "models", "waste"))
)


def add_cell(total: Cell, other: Cell) -> None:
    """Add ``other`` to ``total`` in place; ``other`` is left as it is."""
    add_cell_without_groups(total, other)
    for group, sums in other.groups.items():
        _add_group(total.groups.setdefault(group, Group()), sums)


def add_cell_without_groups(total: Cell, other: Cell) -> None:
    """As ``add_cell``, but for the session groups, which serve comparisons within the minute only."""
    _add_sums(total, other)
    if other.latency_ms_max > total.latency_ms_max:  # noqa: PLR1730  # a third of the time of max(), for every cell
        total.latency_ms_max = other.latency_ms_max
    for channel, score in other.quality.items():
        known = total.quality.get(channel)
        if known is None:
            total.quality[channel] = _twin(score)
        else:
            add_score(known, score)
    if other.unpriced is not None:
        if total.unpriced is None:
            total.unpriced = Unpriced()
        _add_unpriced(total.unpriced, other.unpriced)
    if other.models and other.models != total.models:
        total.models = sorted({*total.models, *other.models})[:MAX_MODELS]
    if other.waste is not None:
        if total.waste is None:
            total.waste = Waste()
        add_waste(total.waste, other.waste)


def sum_of(parts: Sequence[Cell], add: Callable[[Cell, Cell], None] = add_cell) -> Cell:
    """The sums of all by ``add``. Only for reading: one alone is itself."""
    if len(parts) == 1:
        return parts[0]
    total = Cell()
    for part in parts:
        add(total, part)
    return total


def copy_cell(cell: Cell) -> Cell:
    """A cell equal to ``cell`` that shares nothing with it that is ever changed."""
    found = copy_without_groups(cell)
    if cell.groups:
        found.groups = {number: _twin(group) for number, group in cell.groups.items()}
    return found


def without_groups(cell: Cell) -> Cell:
    """``cell`` without its session groups, only for reading: itself where it has none."""
    return copy_without_groups(cell) if cell.groups else cell


def copy_without_groups(cell: Cell) -> Cell:
    """As ``copy_cell``, without the session groups: a third of the time of adding to an empty cell."""
    found: Cell = _twin(cell)
    found.groups = {}
    quality = found.quality = cell.quality.copy()
    for channel, score in quality.items():
        quality[channel] = _twin(score)
    if cell.unpriced is not None:
        found.unpriced = _twin(cell.unpriced)
    if cell.waste is not None:
        found.waste = _twin(cell.waste)
    return found


class Summary(msgspec.Struct):
    """A cell with its latency histogram: the unit of aggregates and windows."""

    cell: Cell
    histogram: Histogram

    @classmethod
    def empty(cls) -> "Summary":
        return cls(Cell(), {})

    def add(self, other: "Summary") -> None:
        """Add ``other`` in place."""
        add_cell(self.cell, other.cell)
        merge_into(self.histogram, other.histogram)
