"""Stage 1: fold one source partition into open event-time panes (rules I0-I7 of the stream engine).

Mutable state in a hot loop. The state after offset P is a function of the log [0, P) alone (I0): no clock, no claims,
no randomness. Everything else - crash, rebalance, zombie, double send, double commit - is safe because of it.

* The commit point is the first offset of the oldest open pane, so a crash is repaired by re-reading (I3).
* Partials are cumulative for their source and sent once, when the source closes the pane (I7). A source that claims to
  be idle first sends what it holds: the group may close those panes without it (I5).
* Duplicates of a CloudEvent (source, id) are found within the same partition and pane (I1). A late event is counted
  once in the late cell of the watermark's pane; a late repeat of an event counted in a closed pane cannot be known.
* Ids are kept as 64-bit hashes: one pane of a million events meets a false duplicate with probability 3e-8.
"""

from collections.abc import Callable
from math import ceil, log
from typing import cast

import msgspec

from app.core import facts, sketch
from app.core.batch import Batch
from app.core.cell import OVERFLOW, SEPARATOR, Cell, CellKey, Group, Late, Score, Unpriced
from app.core.events import (
    NAME_PATTERN,
    NO_TIME,
    ControlEvent,
    Event,
    Feedback,
    FeedbackEvent,
    Ignored,
    Rejected,
    Response,
    ResponseEvent,
    SegmentParts,
    is_name,
    second_of,
)
from app.core.facts import NEVER
from app.core.ports import Cut, DeadLetter, Decode, Point, Record
from app.core.sketch import Histogram

PANE_S = 60
MAX_CELLS = 512
"""Cells of one service, pane and source; what exceeds them shares one overflow cell. A constant, not a setting: what
a setting may change must not touch the state (I6)."""
MAX_SERVICES = 20_000
"""Services of one pane and source; events of further ones are dead-lettered."""
RECORD_BYTES = 256 * 1024
"""A facts record ends once it holds this many bytes of partials; one partial is never split."""
UNATTRIBUTED = ""
"""Arm of feedback that names no receipt: it counts for the service's trend only."""
COMPARED = frozenset(("trial", "control"))
"""Slices whose sums are also kept per session group."""

_SCALE = 1 / log(sketch.GAMMA)
_FLOOR = sketch.FLOOR
_LOWEST = sketch.bucket(0.0)
_LOG_FLOOR = log(_FLOOR)


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """Commit metadata: watermark and newest closed pane just before the commit offset, newest pane that is complete
    and acked (``done``), and the position up to which control facts and dead letters are acked (``sent``).
    """

    watermark: int = NEVER
    closed: int = NEVER
    done: int = NEVER
    sent: int = 0


_decode_marks = msgspec.json.Decoder(Marks).decode
_encode_marks = msgspec.json.Encoder().encode


class _Counted:
    """The sums of one cell of an open pane, as slots: they are added to for every event. ``cell()`` makes a ``Cell``.

    The histogram is shared by all cells of its (arm, segment). Session groups are summed only in ``compared`` slices.
    """

    __slots__ = (
        "cached", "changed", "compared", "cost", "cost_n", "cost_sq", "errors", "groups", "histogram", "in_session",
        "input", "input_cost", "input_sq", "latency", "latency_max", "log_latency", "log_latency_sq", "n", "output",
        "own_cost", "quality", "quality_n", "quality_sq", "scores", "ttft", "ttft_n", "unpriced",
    )  # fmt: skip

    def __init__(self, histogram: Histogram, *, compared: bool) -> None:
        self.histogram = histogram
        self.compared = compared
        self.changed = False
        self.n = self.errors = self.cost_n = self.ttft_n = self.quality_n = self.in_session = 0
        self.input = self.output = self.cached = self.input_sq = 0
        self.latency = self.latency_max = self.log_latency = self.log_latency_sq = self.ttft = 0.0
        self.cost = self.cost_sq = self.input_cost = self.own_cost = self.quality = self.quality_sq = 0.0
        self.scores: dict[str, Score] = {}
        self.groups: dict[int, Group] = {}
        self.unpriced: Unpriced | None = None

    def add(self, data: Response) -> None:
        """Count one answer. The hottest lines of the project: one branch for what is rare, no call for what is not."""
        latency = data.latency_ms
        tokens = data.input_tokens
        log_latency = log(latency) if latency > _FLOOR else _LOG_FLOOR
        bucket = ceil(log_latency * _SCALE) if latency > _FLOOR else _LOWEST
        histogram = self.histogram
        histogram[bucket] = histogram.get(bucket, 0) + 1
        self.n += 1
        self.latency += latency
        self.log_latency += log_latency
        self.log_latency_sq += log_latency * log_latency
        self.input += tokens
        self.input_sq += tokens * tokens
        self.output += data.output_tokens
        self.latency_max = max(self.latency_max, latency)
        if data.status != "ok":
            self.errors += 1
        cost = data.cost_usd
        if cost is not None:
            self.cost_n += 1
            self.cost += cost
            self.cost_sq += cost * cost
            self.input_cost += tokens * cost
        else:
            self._add_unpriced(data)
        quality = data.quality
        if quality is not None:
            self.quality_n += 1
            self.quality += quality
            self.quality_sq += quality * quality
        if data.cached_tokens:
            self.cached += data.cached_tokens
        if data.session_id:
            self.in_session += 1
        if data.ttft_ms is not None:
            self.ttft_n += 1
            self.ttft += data.ttft_ms
        if data.own_cost_usd:
            self.own_cost += data.own_cost_usd
        if self.compared and data.session_group is not None:
            self._add_grouped(data, data.session_group, log_latency)

    def _add_grouped(self, data: Response, number: int, log_latency: float) -> None:
        group = self._group(number)
        group.n += 1
        group.errors += data.status != "ok"
        group.log_latency += log_latency
        group.cost += data.cost_usd or 0.0
        if data.quality is not None:
            group.scores += 1
            group.quality += data.quality

    def _add_unpriced(self, data: Response) -> None:
        moments = self.unpriced
        if moments is None:
            moments = self.unpriced = Unpriced()
        a, b, c = data.input_tokens, data.output_tokens, data.cached_tokens
        moments.n += 1
        moments.input += a
        moments.output += b
        moments.cached += c
        moments.input_sq += a * a
        moments.output_sq += b * b
        moments.cached_sq += c * c
        moments.input_output += a * b
        moments.input_cached += a * c
        moments.output_cached += b * c

    def score(self, data: Feedback) -> None:
        """Count one score of an answer given earlier."""
        quality = data.quality
        if data.source == "judge":
            self.quality_n += 1
            self.quality += quality
            self.quality_sq += quality * quality
            receipt = data.receipt
            if self.compared and receipt is not None and receipt.session_group is not None:
                group = self._group(receipt.session_group)
                group.scores += 1
                group.quality += quality
            return
        score = self.scores.setdefault(data.source, Score())
        score.n += 1
        score.total += quality
        score.squares += quality * quality

    def _group(self, number: int) -> Group:
        group = self.groups.get(number)
        if group is None:
            group = self.groups[number] = Group()
        return group

    def cell(self) -> Cell:
        """The sums as facts carry them; shares the groups and scores, so encode it before the next event."""
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
            input_tokens_sq=float(self.input_sq),
            cost_n=self.cost_n,
            cost_usd=self.cost,
            cost_sq=self.cost_sq,
            input_cost=self.input_cost,
            own_cost_usd=self.own_cost,
            quality=scores,
            groups=self.groups,
            unpriced=self.unpriced,
            in_session=self.in_session,
        )


class _Service:
    """One service of an open pane."""

    __slots__ = ("cells", "changed", "histograms", "hwm", "late", "sent")

    def __init__(self) -> None:
        self.hwm = -1
        self.sent = -1
        self.late = Late()
        self.cells: dict[tuple[str, str, str, int], _Counted] = {}
        self.histograms: dict[tuple[str, str], Histogram] = {}
        self.changed: list[tuple[tuple[str, str, str, int], _Counted]] = []

    def counted(self, key: tuple[str, str, str, int]) -> tuple[_Counted, bool]:
        """The cell of a new ``key``, or the overflow cell (True) when the bound is reached."""
        full = len(self.cells) >= MAX_CELLS
        if full:
            key = (OVERFLOW, "", "main", 0)
            known = self.cells.get(key)
            if known is not None:
                return known, True
        # shadow answers were not served: their latency stays out of the arm's histogram
        histogram = {} if key[2] == "shadow" else self.histograms.setdefault(key[:2], {})
        cell = self.cells[key] = _Counted(histogram, compared=key[2] in COMPARED)
        return cell, full


class _Pane:
    """One open minute: the offset and marks just before its first event, the ids seen, the services."""

    __slots__ = ("before", "first", "ids", "services")

    def __init__(self, first: int, before: tuple[int, int]) -> None:
        self.first = first
        self.before = before
        self.ids: set[int] = set()
        self.services: dict[str, _Service] = {}


class Fold:
    """The engine of one source partition (``app.core.ports.Engine``).

    ``source`` is ``topic-partition``. ``evidence`` False: a control topic, whose events only pass through. ``topology``
    names the partition count of every evidence topic; ``beat_cuts`` is the number of cuts between marks when nothing
    closes, ``early_cuts`` that between early partials (0: none). ``start`` is the first offset when there is no commit
    ``point`` yet (the log start, rule L2).
    """

    def __init__(
        self,
        source: str,
        point: Point | None,
        *,
        decode: Decode,
        lateness_s: int,
        ahead_s: int,
        topology: dict[str, int],
        facts_partitions: int,
        partition_of: Callable[[str], int],
        evidence: bool = True,
        start: int = 0,
        early_cuts: int = 0,
        beat_cuts: int = 4,
    ) -> None:
        if not 0 <= ahead_s <= lateness_s:
            raise ValueError(f"ahead_s must be within 0..lateness_s ({lateness_s}), not {ahead_s} (rule I2)")
        self.source = source
        self.counts: dict[str, int] = {}
        self._decode = decode
        self._lateness_s = lateness_s
        self._ahead_s = ahead_s
        self._topology = topology
        self._partitions = facts_partitions
        self._partition_of = partition_of
        self._evidence = evidence
        self._early = early_cuts > 0
        self._early_cuts = early_cuts
        self._beat_cuts = beat_cuts
        marks = _decode_marks(point.metadata) if point and point.metadata else Marks(sent=start)
        self._watermark, self._closed, self._done = marks.watermark, marks.closed, marks.done
        self._sent = marks.sent
        self.position = point.offset if point else start
        self.point = point or Point(self.position, self._marks(self._watermark, self._closed))
        self._open: dict[int, _Pane] = {}
        self._control: list[facts.ControlFact] = []
        self._dead: list[Record] = []
        self._idle: int | None = None
        self._idle_news = False
        self._flying = False
        self._cuts = 0
        self._beat_closed = NEVER - 1

    @property
    def watermark(self) -> int:
        """Largest event time seen (epoch seconds), or NEVER."""
        return self._watermark

    @property
    def caught_up(self) -> bool:
        """Whether everything folded so far is acked: the condition for claiming idleness (rule I5)."""
        return not self._flying and self._acked_position == self.position

    _acked_position = -1

    def set_idle(self, second: int) -> None:
        """The log end was reached and unchanged up to ``second`` (rule I5); moves only stage 2's clock."""
        if self._idle is None or second > self._idle:
            self._idle = second
            self._idle_news = True

    # ---- fold: synchronous, in offset order (I1) ----
    def fold(self, batch: Batch) -> None:
        """Fold ``batch``, which continues exactly at ``position``."""
        decode, headers, offsets, first = self._decode, batch.headers, batch.offsets, batch.first
        bound_s = batch.oldest_append_ms() // 1000 + self._ahead_s
        pane: _Pane | None = None
        number = counted = 0
        for i, value in enumerate(batch.values):
            event = decode(value, headers[i] if headers is not None else ())
            offset = first + i if offsets is None else offsets[i]
            # the usual case without a call: one more answer of a known cell in the pane of the event before
            if isinstance(event, ResponseEvent) and pane is not None:
                time_s = second_of(event.time)
                if time_s // PANE_S == number and time_s <= bound_s:
                    data, seen = event.data, hash((event.source, event.id))
                    service = pane.services.get(data.service)
                    if service is not None and seen not in pane.ids:
                        raw = "" if data.segment is None else _raw_segment(data.segment)
                        cell = service.cells.get((data.arm or data.model, raw, data.slice, data.version))
                        if cell is not None and (cell.changed or not self._early):
                            pane.ids.add(seen)
                            service.hwm = offset
                            cell.add(data)
                            counted += offset >= self._sent
                            if time_s > self._watermark:
                                self._advance(time_s)
                            continue
            if isinstance(event, ResponseEvent | FeedbackEvent) and self._evidence:
                self._evidence_event(batch, i, offset, event, bound_s)
                number = self._watermark // PANE_S  # never closed, and only open if it was not done before
                pane = self._open.get(number)
            else:
                self._pass(batch, i, offset, event)
        if counted:
            self.counts["counted"] = self.counts.get("counted", 0) + counted
        self.position = batch.end

    def _evidence_event(
        self, batch: Batch, i: int, offset: int, event: ResponseEvent | FeedbackEvent, bound_s: int
    ) -> None:
        time_s = second_of(event.time) if event.time else batch.append_ms(offset) // 1000
        if time_s == NO_TIME:
            self._reject(batch, i, offset, Rejected("bad_time", f"not an RFC 3339 time: {event.time[:40]!r}"))
            return
        if time_s > bound_s:  # I2: a future clock is bounded by the append time of its record batch
            time_s = min(time_s, batch.append_ms(offset) // 1000 + self._ahead_s)
        self._count(batch, i, offset, event, time_s)

    def _advance(self, time_s: int) -> None:
        self._watermark = time_s
        closed = (time_s - self._lateness_s) // PANE_S - 1
        self._closed = max(self._closed, closed)

    def _count(self, batch: Batch, i: int, offset: int, event: ResponseEvent | FeedbackEvent, time_s: int) -> None:
        number = time_s // PANE_S
        late = number <= self._closed
        if late:  # I2: spend and totals of the watermark's pane, never statistics
            number = self._watermark // PANE_S
        if number > self._done:  # I3: panes <= done were complete and acked at commit time
            pane = self._open.get(number)
            if pane is None:
                pane = self._open[number] = _Pane(offset, (self._watermark, self._closed))
            seen = hash((event.source, event.id))
            if seen in pane.ids:
                self._tally("duplicates", offset)
            else:
                refused = self._add(pane, offset, event.data, late=late)
                if refused is not None:
                    self._reject(batch, i, offset, refused)
                    return
                pane.ids.add(seen)
                self._tally("late" if late else "counted", offset)
        if time_s > self._watermark:
            self._advance(time_s)

    def _add(self, pane: _Pane, offset: int, data: Response | Feedback, *, late: bool) -> Rejected | None:
        service = pane.services.get(data.service)
        key = _key_of(data)
        counted = service.cells.get(key) if service is not None else None
        if counted is None:
            refused = _refusal(pane, data.service, key[0])
            if refused is not None:
                return refused
        if service is None:
            service = pane.services[data.service] = _Service()
        service.hwm = offset
        if late:
            _add_late(service.late, data)
            return None
        if counted is None:
            counted, overflow = service.counted(key)
            if overflow:
                self._tally("overflow_cells", offset)
        if not counted.changed and self._early:
            counted.changed = True
            service.changed.append((key, counted))
        if type(data) is Response:
            counted.add(data)
        else:
            counted.score(data)  # type: ignore[arg-type]  # the other member of the union
        return None

    # ---- what is not evidence ----
    def _pass(self, batch: Batch, i: int, offset: int, event: Event) -> None:
        if type(event) is Rejected:
            self._reject(batch, i, offset, event)
        elif type(event) is Ignored:
            self._tally("ignored", offset)
        elif type(event) is ControlEvent:
            if offset >= self._sent:
                self._tally("control", offset)
                time_s = _time_or(event.time, batch.append_ms(offset) // 1000)
                self._control.append(
                    facts.ControlFact(self.source, offset, event.service, event.type, event.id, time_s, event.data)
                )
        else:
            detail = f"evidence on the control topic of {self.source}: produce it to an evidence topic"
            self._reject(batch, i, offset, Rejected("evidence_on_control_topic", detail))

    def _reject(self, batch: Batch, i: int, offset: int, rejected: Rejected) -> None:
        self._tally("rejected", offset)
        self._tally("rejected_" + rejected.reason, offset)
        if offset >= self._sent:
            self._dead.append(
                DeadLetter(
                    source=self.source,
                    offset=offset,
                    key=batch.keys[i] if batch.keys is not None else None,
                    value=batch.values[i],
                    headers=tuple(batch.headers[i]) if batch.headers is not None else (),
                    rejected=rejected,
                ).record()
            )

    def _tally(self, what: str, offset: int) -> None:
        if offset >= self._sent:  # a re-read after a crash is not counted twice
            self.counts[what] = self.counts.get(what, 0) + 1

    # ---- cut (I4) ----
    def cut(self) -> Cut:
        """One synchronous snapshot: final partials of the closed panes, control facts, dead letters, marks."""
        if self._flying:
            raise RuntimeError(f"{self.source}: cut before the last one was acked; rebuild the engine (rule L8)")
        self._flying = True
        self._cuts += 1
        items = self._items()
        offset, before = self.position, (self._watermark, self._closed)
        for pane in self._open.values():
            if pane.first < offset:
                offset, before = pane.first, pane.before
        beat = self._evidence and (self._closed != self._beat_closed or self._cuts % self._beat_cuts == 0)
        if beat:
            self._beat_closed = self._closed
            self._idle_news = False
        records = [
            *self._control_records(),
            *(
                r
                for p in (range(self._partitions) if beat else sorted(items))
                for r in self._partials(p, items.get(p, []))
            ),
            *self._dead,
        ]
        self._control, self._dead = [], []
        return Cut((tuple(records),), Point(offset, self._marks(*before)), self.position)

    def acked(self, cut: Cut) -> None:
        """Every record of ``cut`` is durable: its point may be committed."""
        self.point = cut.point
        self._acked_position = cut.position
        self._flying = False

    def committed(self, point: Point) -> None:
        """The broker accepted ``point``. Nothing here depends on it."""

    def _items(self) -> dict[int, list[facts.Partial]]:
        items: dict[int, list[facts.Partial]] = {}
        for number in sorted(self._open):
            final = number <= self._closed
            full = final or self._idle_news
            early = self._early and self._cuts % self._early_cuts == 0
            for name, service in self._open[number].services.items():
                if (full and service.sent < service.hwm) or (early and service.changed):
                    partial = _partial(name, number, service, full=full)
                    items.setdefault(self._partition_of(name), []).append(partial)
            if final:
                del self._open[number]
        return items

    def _partials(self, partition: int, items: list[facts.Partial]) -> list[Record]:
        """Records of one partition; only the last carries the marks, so finals come before the watermark they close."""
        chunks = _chunks(items)
        key = self.source.encode()
        last = len(chunks) - 1
        return [
            Record(
                "facts",
                key,
                facts.encode(
                    facts.Partials(
                        self.source, self._watermark if i == last else None, self._idle, self._topology, chunk
                    )
                ),
                partition,
            )
            for i, chunk in enumerate(chunks)
        ]

    def _control_records(self) -> list[Record]:
        return [
            Record("facts", fact.service.encode(), facts.encode(fact), partition)
            for fact in self._control
            for partition in (range(self._partitions) if fact.service == "*" else (self._partition_of(fact.service),))
        ]

    def _marks(self, watermark: int, closed: int) -> str:
        marks = Marks(watermark, closed, max(self._closed, self._done), max(self.position, self._sent))
        return _encode_marks(marks).decode()


def _refusal(pane: _Pane, service: str, arm: str) -> Rejected | None:
    """Why an event that would open a new service or cell is not counted, or None."""
    if service not in pane.services and len(pane.services) >= MAX_SERVICES:
        return Rejected("too_many_services", f"more than {MAX_SERVICES} services in one minute of one partition")
    if not is_name(service):
        return Rejected("bad_service_name", f"not a service name: {service[:40]!r} (pattern {NAME_PATTERN})")
    if arm != UNATTRIBUTED and not is_name(arm):
        return Rejected("bad_arm_name", f"not an arm name: {arm[:40]!r} (pattern {NAME_PATTERN})")
    return None


def _time_or(time: str, fallback_s: int) -> int:
    time_s = second_of(time) if time else NO_TIME
    return fallback_s if time_s == NO_TIME else time_s


def _chunks(items: list[facts.Partial]) -> list[list[facts.Partial]]:
    """Runs of partials (already encoded) of about ``RECORD_BYTES``; one empty run when there are none."""
    chunks: list[list[facts.Partial]] = [[]]
    size = 0
    for item in items:
        if size >= RECORD_BYTES:
            chunks.append([])
            size = 0
        encoded = facts.encode(item)
        chunks[-1].append(cast("facts.Partial", msgspec.Raw(encoded)))  # encodes to the same bytes, once
        size += len(encoded)
    return chunks


def _raw_segment(parts: SegmentParts | None) -> str:
    if parts is None or not (parts.tenant or parts.task_type or parts.region):
        return ""
    return SEPARATOR.join((parts.tenant, parts.task_type, parts.region))


def _key_of(data: Response | Feedback) -> tuple[str, str, str, int]:
    if type(data) is Response:
        segment = "" if data.segment is None else _raw_segment(data.segment)
        return (data.arm or data.model, segment, data.slice, data.version)
    receipt = data.receipt  # type: ignore[union-attr]  # narrowed by the line above
    if receipt is None:
        return (UNATTRIBUTED, "", "main", 0)
    return (receipt.arm, _raw_segment(receipt.segment), receipt.slice, receipt.version)


def _add_late(late: Late, data: Response | Feedback) -> None:
    late.n += 1
    if type(data) is Response:
        late.cost_usd += data.cost_usd or 0.0
        late.input_tokens += data.input_tokens
        late.output_tokens += data.output_tokens


def _partial(name: str, number: int, service: _Service, *, full: bool) -> facts.Partial:
    """The cumulative content of one service's pane: all of it when full, else the changed cells without histograms."""
    chosen = list(service.cells.items()) if full else service.changed
    cells = [facts.CountedCell(CellKey(*key), counted.cell()) for key, counted in chosen]
    histograms = [facts.CountedHistogram(a, s, h) for (a, s), h in service.histograms.items()] if full else []
    for _, counted in service.changed:
        counted.changed = False
    service.changed = []
    if full:
        service.sent = service.hwm
    return facts.Partial(name, number, service.hwm, full, service.late, cells, histograms)
