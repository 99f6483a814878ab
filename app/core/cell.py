"""How telemetry adds up: a cell is the sums of one (arm, segment, slice, version) in one event-time minute.

Mutable: cells are changed in place by the fold (stage 1) and summed by the merge (stage 2). Addition is a
commutative monoid up to floating-point rounding, so sums are always taken in a fixed order (log offset, then source).
Raw facts only: a request that came without a cost keeps the token moments a price book needs to cost it later.
Units: ms, USD, tokens, quality in [0, 1].
"""

import msgspec

from app.core.sketch import Histogram, merge_into

SESSION_GROUPS = 64
MAX_MODELS = 8
"""Pairs of response model and fingerprint a cell remembers: the first in order, so that merging forgets alike."""
MAX_PROMPTS = 256


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
    """Sums of one session group: the clusters of a sticky comparison. Trial and control keep them for all requests,
    the other slices for those of a session, and all slices for judge scores.
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


# Written out: a loop over field names with getattr and setattr costs five times as much, for every cell and window.
def add_score(total: Score, other: Score) -> None:
    """Add ``other`` to ``total`` in place."""
    total.n += other.n
    total.total += other.total
    total.squares += other.squares


def add_late(total: Late, other: Late) -> None:
    """Add ``other`` to ``total`` in place."""
    total.n += other.n
    total.cost_usd += other.cost_usd
    total.input_tokens += other.input_tokens
    total.output_tokens += other.output_tokens


def add_waste(total: Waste, other: Waste) -> None:
    """Add ``other`` to ``total`` in place."""
    total.retries += other.retries
    total.retries_usd += other.retries_usd
    total.invalid += other.invalid
    total.invalid_usd += other.invalid_usd
    total.limited += other.limited
    total.limits += other.limits
    total.written += other.written
    total.hashed += other.hashed
    total.repeats += other.repeats
    total.repeats_usd += other.repeats_usd


def _add_unpriced(total: Unpriced, other: Unpriced) -> None:
    total.n += other.n
    total.input += other.input
    total.output += other.output
    total.cached += other.cached
    total.input_sq += other.input_sq
    total.output_sq += other.output_sq
    total.cached_sq += other.cached_sq
    total.input_output += other.input_output
    total.input_cached += other.input_cached
    total.output_cached += other.output_cached


def _add_group(total: Group, other: Group) -> None:
    total.n += other.n
    total.errors += other.errors
    total.log_latency += other.log_latency
    total.cost += other.cost
    total.scores += other.scores
    total.quality += other.quality


def _add_sums(total: Cell, other: Cell) -> None:
    total.n += other.n
    total.errors += other.errors
    total.latency_ms += other.latency_ms
    total.log_latency += other.log_latency
    total.log_latency_sq += other.log_latency_sq
    total.ttft_n += other.ttft_n
    total.ttft_ms += other.ttft_ms
    total.input_tokens += other.input_tokens
    total.output_tokens += other.output_tokens
    total.cached_tokens += other.cached_tokens
    total.input_tokens_sq += other.input_tokens_sq
    total.cost_n += other.cost_n
    total.cost_usd += other.cost_usd
    total.cost_sq += other.cost_sq
    total.input_cost += other.input_cost
    total.own_cost_usd += other.own_cost_usd
    total.in_session += other.in_session
    if other.latency_ms_max > total.latency_ms_max:  # noqa: PLR1730  # max() is a call, four times as slow
        total.latency_ms_max = other.latency_ms_max


def add_cell(total: Cell, other: Cell) -> None:
    """Add ``other`` to ``total`` in place; ``other`` is left as it is."""
    add_cell_without_groups(total, other)
    for group, sums in other.groups.items():
        _add_group(total.groups.setdefault(group, Group()), sums)


def add_cell_without_groups(total: Cell, other: Cell) -> None:
    """As ``add_cell``, but for the session groups, which serve comparisons within the minute only."""
    _add_sums(total, other)
    for channel, score in other.quality.items():
        add_score(total.quality.setdefault(channel, Score()), score)
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


def copy_cell(cell: Cell) -> Cell:
    """A cell equal to ``cell`` that shares nothing with it."""
    copy = Cell(latency_ms_max=cell.latency_ms_max)
    add_cell(copy, cell)
    return copy


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
