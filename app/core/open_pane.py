"""The sums of an open pane while it is open: what the fold adds every event to.

Mutable, in the hottest loop of the project: classes whose sums C can reach (``app.core.native``), turned into the cells
of ``app.core.cell`` when the pane is sent.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import ClassVar

from app.core import facts
from app.core.cell import (
    CUT_OFF,
    MAX_MODELS,
    MAX_PROMPTS,
    OVERFLOW,
    SEPARATOR,
    Cell,
    CellKey,
    Group,
    Late,
    Score,
    Unpriced,
    Waste,
)
from app.core.events import NAME_PATTERN, Feedback, Rejected, Response, SegmentParts, is_name
from app.core.native import Buckets, Ids, Known, Marked, Sums
from app.core.usual import adder, known_key

MAX_SERVICES = 20_000
"""Services of one pane and source; events of further ones are dead-lettered."""
UNATTRIBUTED = ""
"""Arm of feedback that names no receipt: it counts for the service's trend only."""
MAX_CELLS = 512
"""Cells of one service, pane and source; what exceeds them shares one overflow cell. A constant, not a setting: what
a setting may change must not touch the state (I6)."""
COMPARED = frozenset(("trial", "control", "shadow"))
"""Slices whose sums are also kept per session group, whether or not a request is of a session."""

MAX_KNOWN = 100_000
"""Entries of one pane's ``known``; further ones are looked for every time."""


class Counted(Sums):
    """The sums of one cell of an open pane: they are added to for every event. ``cell()`` makes a ``Cell``.

    The histogram is shared by all cells of its (arm, segment). Session groups are summed in ``compared`` slices, and in
    the others for requests of a session.
    """

    __slots__ = ("models", "prompts", "rare_waste", "scores")

    def __init__(self, histogram: Buckets, *, compared: bool) -> None:
        super().__init__(histogram, compared)
        self.scores: dict[str, Score] = {}
        self.models: set[str] = set()
        self.rare_waste: Waste | None = None
        self.prompts: set[str] = set()

    add: ClassVar[Callable[["Counted", Response], None]] = adder()
    """Count one answer; the lines are in ``app.core.usual``, which also writes them out for single spellings."""

    def add_model(self, response_model: str, fingerprint: str) -> None:
        """Another model answered than the last time: rare, so the usual answer costs two comparisons."""
        if not response_model and not fingerprint:  # a failed answer does not say
            return
        self.response_model, self.fingerprint = response_model, fingerprint
        self.models.add(response_model + SEPARATOR + fingerprint)
        if len(self.models) > MAX_MODELS:
            self.models.remove(max(self.models))

    def add_waste(
        self,
        cost: float,
        retry_of: str,
        valid_json: bool | None,
        limit: int | None,
        written: int,
        prompt: str,
        finish_reason: str,
    ) -> None:
        """An answer that was paid for in vain, or may have been (``app.core.cell.Waste``)."""
        if limit is not None:
            self.limited += 1
            self.limits += limit
            self.written += written
        if not (retry_of or prompt) and valid_json is not False and finish_reason not in CUT_OFF:
            return
        waste = self.rare_waste
        if waste is None:
            waste = self.rare_waste = Waste()
        if retry_of:
            waste.retries += 1
            waste.retries_usd += cost
        if valid_json is False:
            waste.invalid += 1
            waste.invalid_usd += cost
        if finish_reason in CUT_OFF:
            waste.truncated += 1
        if prompt:
            waste.hashed += 1
            if prompt in self.prompts:
                waste.repeats += 1
                waste.repeats_usd += cost
            elif len(self.prompts) < MAX_PROMPTS:
                self.prompts.add(prompt)

    def _waste(self) -> Waste | None:
        waste = self.rare_waste
        if self.limited:
            waste = Waste() if waste is None else waste
            waste.limited, waste.limits, waste.written = self.limited, self.limits, self.written
        return waste

    def add_unpriced(self, a: int, b: int, c: int) -> None:
        """The token moments (input, output, cached) of an answer that came without a cost."""
        self.unpriced_n += 1
        self.unpriced_input += a
        self.unpriced_output += b
        self.unpriced_cached += c
        self.unpriced_input_sq += a * a
        self.unpriced_output_sq += b * b
        self.unpriced_cached_sq += c * c
        self.unpriced_input_output += a * b
        self.unpriced_input_cached += a * c
        self.unpriced_output_cached += b * c

    def _unpriced(self) -> Unpriced | None:
        if not self.unpriced_n:
            return None
        return Unpriced(*(getattr(self, f"unpriced_{name}") for name in Unpriced.__struct_fields__))

    def score(self, data: Feedback) -> None:
        """Count one score of an answer given earlier."""
        quality = data.quality
        if data.source == "judge":
            self.quality_n += 1
            self.quality += quality
            self.quality_sq += quality * quality
            receipt = data.receipt
            if receipt is not None and receipt.session_group is not None:
                self.score_grouped(receipt.session_group, quality)
            return
        score = self.scores.setdefault(data.source, Score())
        score.n += 1
        score.total += quality
        score.squares += quality * quality

    def cell(self) -> Cell:
        """The sums as facts carry them; shares scores and waste, so encode it before the next event."""
        scores = dict(self.scores)
        if self.quality_n:
            scores["judge"] = Score(self.quality_n, self.quality, self.quality_sq)
        return Cell(
            n=self.n,
            errors=self.errors,
            latency_ms=self.latency,
            latency_ms_max=self.latency_max,
            log_latency=self.log_latency,
            log_latency_sq=self.log_latency_sq,
            ttft_n=self.ttft_n,
            ttft_ms=self.ttft,
            input_tokens=self.input,
            output_tokens=self.output,
            cached_tokens=self.cached,
            input_tokens_sq=self.input_sq,
            cost_n=self.n - self.unpriced_n,
            cost_usd=self.cost,
            cost_sq=self.cost_sq,
            input_cost=self.input_cost,
            own_cost_usd=self.own_cost,
            quality=scores,
            groups={number: Group(*sums) for number, sums in self.group_sums()},
            unpriced=self._unpriced(),
            in_session=self.in_session,
            models=sorted(self.models),
            waste=self._waste(),
        )


class OpenService(Marked):
    """One service of an open pane."""

    __slots__ = ("cells", "changed", "histograms", "late", "sent")

    def __init__(self) -> None:
        self.hwm = -1
        self.sent = -1
        self.late = Late()
        self.cells: dict[tuple[str, str, str, int], Counted] = {}
        self.histograms: defaultdict[tuple[str, str], Buckets] = defaultdict(Buckets)
        self.changed: list[tuple[tuple[str, str, str, int], Counted]] = []

    def change(self, key: tuple[str, str, str, int], counted: Counted) -> None:
        """Have ``counted`` in the next early partial."""
        counted.changed = True
        self.changed.append((key, counted))

    def counted(self, key: tuple[str, str, str, int]) -> tuple[Counted, bool]:
        """The cell of a new ``key``, or the overflow cell (True) when the bound is reached."""
        full = len(self.cells) >= MAX_CELLS
        if full:
            key = (OVERFLOW, "", "main", 0)
            known = self.cells.get(key)
            if known is not None:
                return known, True
        # shadow answers were not served: their latency stays out of the arm's histogram
        histogram = Buckets() if key[2] == "shadow" else self.histograms[key[:2]]
        cell = self.cells[key] = Counted(histogram, compared=key[2] in COMPARED)
        return cell, full


Place = tuple[OpenService, Counted, tuple[str, str, str, int]]
"""A cell with its service and its key there."""


class OpenPane:
    """One open minute: the offset and marks just before its first event, the ids seen, the services.

    ``known`` only saves time: the cells by what answers say of themselves, in the fields of the usual spelling.
    """

    __slots__ = ("before", "fields", "first", "ids", "known", "services")

    def __init__(self, first: int, before: tuple[int, int]) -> None:
        self.first = first
        self.before = before
        self.ids = Ids()
        self.fields: tuple[str, ...] = ()
        self.known = Known()
        self.services: dict[str, OpenService] = {}

    def known_by(self, fields: tuple[str, ...]) -> Known:
        """``known`` by these key fields: of one spelling at a time."""
        if self.fields != fields:
            self.fields, self.known = fields, Known()
        return self.known

    def remember(self, data: Response, known: Place) -> None:
        """The next answer that says the same of itself need not look for its cell."""
        key = known_key(data, self.fields) if self.fields and len(self.known) < MAX_KNOWN else None
        if key is not None:
            self.known[key] = known


def partial_of(name: str, number: int, service: OpenService, *, full: bool) -> facts.Partial:
    """The cumulative content of one service's pane: all of it when full, else the changed cells without histograms."""
    chosen = list(service.cells.items()) if full else service.changed
    cells = [facts.CountedCell(CellKey(*key), counted.cell()) for key, counted in chosen]
    histograms = [facts.CountedHistogram(a, s, h.counts()) for (a, s), h in service.histograms.items()] if full else []
    for _, counted in service.changed:
        counted.changed = False
    service.changed = []
    if full:
        service.sent = service.hwm
    return facts.Partial(name, number, service.hwm, full, service.late, cells, histograms)


def refusal(pane: OpenPane, service: str, arm: str) -> Rejected | None:
    """Why an event that would open a new service or cell is not counted, or None."""
    if service not in pane.services and len(pane.services) >= MAX_SERVICES:
        return Rejected("too_many_services", f"more than {MAX_SERVICES} services in one minute of one partition")
    if not is_name(service):
        return Rejected("bad_service_name", f"not a service name: {service[:40]!r} (pattern {NAME_PATTERN})")
    if arm != UNATTRIBUTED and not is_name(arm):
        return Rejected("bad_arm_name", f"not an arm name: {arm[:40]!r} (pattern {NAME_PATTERN})")
    return None


def raw_segment(parts: SegmentParts | None) -> str:
    if parts is None or not (parts.tenant or parts.task_type or parts.region):
        return ""
    return SEPARATOR.join((parts.tenant, parts.task_type, parts.region))


def key_of(data: Response | Feedback) -> tuple[str, str, str, int]:
    if isinstance(data, Response):
        segment = "" if data.segment is None else raw_segment(data.segment)
        return (data.arm or data.model, segment, data.slice, data.version)
    receipt = data.receipt
    if receipt is None:
        return (UNATTRIBUTED, "", "main", 0)
    return (receipt.arm, raw_segment(receipt.segment), receipt.slice, receipt.version)


def add_late_event(late: Late, data: Response | Feedback) -> None:
    late.n += 1
    if isinstance(data, Response):
        late.cost_usd += data.cost_usd or 0.0
        late.input_tokens += data.input_tokens
        late.output_tokens += data.output_tokens
