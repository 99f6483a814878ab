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
from typing import Any

import msgspec

from app.core import facts
from app.core.batch import Batch
from app.core.events import (
    NO_TIME,
    ControlEvent,
    Event,
    Feedback,
    FeedbackEvent,
    Ignored,
    Many,
    Rejected,
    Response,
    ResponseEvent,
    second_of,
)
from app.core.facts import NEVER, Partials, Road
from app.core.facts_records import control_records, partial_records
from app.core.open_pane import (
    OpenPane,
    OpenService,
    add_late_event,
    key_of,
    partial_of,
    refusal,
)
from app.core.ports import Cut, DeadLetter, Decode, DecodeUsual, Point, Record
from app.core.quota import OVER_QUOTA, Quota, Spent
from app.core.runs import Part, Runs
from app.core.usual import UNREAD

PANE_S = 60


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """Commit metadata: watermark and newest closed pane just before the commit offset, newest pane that is complete
    and acked (``done``), the position up to which control facts and dead letters are acked (``sent``), and the broker's
    time (epoch seconds) when the watermark last moved.
    """

    watermark: int = NEVER
    closed: int = NEVER
    done: int = NEVER
    sent: int = 0
    appended: int = 0


_decode_marks = msgspec.json.Decoder(Marks).decode
_encode_marks = msgspec.json.Encoder().encode


class Fold:
    """The engine of one source partition (``app.core.ports.Engine``).

    ``source`` is ``topic-partition``. ``evidence`` False: a control topic, whose events only pass through. ``topology``
    names the partition count of every evidence topic; ``beat_cuts`` is the number of cuts between marks when nothing
    closes, ``early_cuts`` that between early partials (0: none). ``start`` is the first offset when there is no commit
    ``point`` yet (the log start, rule L2). ``road``: how requests are told here (``app.core.evidence``).
    ``quota`` None: producers send what they like.
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
        road: Road = "",
        quota: Quota | None = None,
    ) -> None:
        if not 0 <= ahead_s <= lateness_s:
            raise ValueError(f"ahead_s must be within 0..lateness_s ({lateness_s}), not {ahead_s} (rule I2)")
        self.source = source
        self.counts: dict[str, int] = {}
        self._decode = decode
        self._decoder = decode if evidence and quota is None and isinstance(decode, DecodeUsual) else None
        self._lateness_s = lateness_s
        self._ahead_s = ahead_s
        self._topology = topology
        self._partitions = facts_partitions
        self._partition_of = partition_of
        self._evidence = evidence
        self._road: Road = road
        self._early = early_cuts > 0
        self._runs = Runs(early=self._early)
        self._early_cuts = early_cuts
        self._beat_cuts = beat_cuts
        marks = _decode_marks(point.metadata) if point and point.metadata else Marks(sent=start)
        self._watermark, self._closed, self._done = marks.watermark, marks.closed, marks.done
        self._sent = marks.sent
        self.appended_s = marks.appended
        self.position = point.offset if point else start
        self.point = point or Point(self.position, self._marks(self._watermark, self._closed))
        self._open: dict[int, OpenPane] = {}
        self._quota = quota
        self._spent: dict[int, Spent] = {}
        self._named = ""
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
    def open_panes(self) -> int:
        """How many minutes are open."""
        return len(self._open)

    @property
    def recovered(self) -> bool:
        """Whether everything the last owner had sent is read again."""
        return self.position >= self._sent

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
        before, n = self._watermark, len(batch.values)
        seen = batch.index(self._sent)  # records before it are read again after a crash: not counted twice
        for start, stop in ((0, seen), (seen, n)):
            if start < stop:
                self._part(batch, start, stop)
        if self._watermark > before and batch.segments:
            self.appended_s = batch.segments[-1][1] // 1000
        self.position = batch.end

    def _part(self, batch: Batch, start: int, stop: int) -> None:
        bound_s = batch.oldest_append_ms() // 1000 + self._ahead_s
        values = batch.values[start:stop]
        if batch.headers is not None and self._decoder is not None:
            bare = self._decoder.bare
            some = zip(values, batch.headers[start:stop], strict=True)
            values = [value if bare(headers) else None for value, headers in some]
        part = Part(values, batch.offsets_of(start, stop))
        while part.at < len(values):
            event = self._usual(part, bound_s)
            if event is not None:
                self._unusual(batch, part.offsets[part.at - 1], event, bound_s)

    def _usual(self, part: Part, bound_s: int) -> Any:
        """Count answers while they are one more of a known cell in the watermark's pane. What was read of the first
        record that is not, the last one taken from ``part``: ``UNREAD`` is nothing yet; None: all is counted.
        """
        number = self._watermark // PANE_S
        pane, usual = self._open.get(number), self._decoder.usual if self._decoder is not None else None
        if pane is None or usual is None:
            part.skip()
            return UNREAD
        # the watermark may move meanwhile, so the last second is before the one that closes a pane or opens one
        closing_s = (self._closed + 2) * PANE_S + self._lateness_s
        high_s = min(number * PANE_S + PANE_S, closing_s, bound_s + 1) - 1
        before = len(pane.ids)
        event, self._watermark, repeats = self._runs.run(usual, part, pane, number * PANE_S, high_s, self._watermark)
        counted = len(pane.ids) - before
        self._tally("counted", part.offsets[0], counted)
        self._tally("duplicates", part.offsets[0], repeats)
        unusual = event is not None and event is not UNREAD
        usual.told(counted + repeats + unusual)
        return usual.event(event) if unusual else event

    def _unusual(self, batch: Batch, offset: int, event: Any, bound_s: int) -> None:
        i = batch.index(offset)
        if event is UNREAD:
            value = batch.values[i]
            event = self._decode(value, batch.headers[i] if batch.headers is not None else ())
            if self._decoder is not None and isinstance(event, ResponseEvent):
                self._decoder.missed(value)
        if isinstance(event, ResponseEvent | FeedbackEvent | Many) and self._evidence:
            self._evidence_record(batch, i, offset, event, bound_s)
        else:
            self._pass(batch, i, offset, event)

    def _evidence_record(
        self, batch: Batch, i: int, offset: int, event: ResponseEvent | FeedbackEvent | Many, bound_s: int
    ) -> None:
        """All events of one record, before anything can be cut; what is refused of it is one dead letter."""
        if self._quota is not None and self._quota.header:
            self._named = self._quota.named(batch.headers[i] if batch.headers is not None else ())
        if type(event) is not Many:
            refused = self._evidence_event(batch, offset, event, bound_s)  # type: ignore[arg-type]  # the other members
            if refused is not None:
                self._reject(batch, i, offset, refused)
            return
        found = [
            one if isinstance(one, Rejected) else self._evidence_event(batch, offset, one, bound_s)
            for one in event.events
        ]
        rejected = [one for one in found if one is not None]
        if rejected:
            self._reject(batch, i, offset, *rejected)
        if event.ignored:
            self._tally("ignored", offset, event.ignored)

    def _evidence_event(
        self, batch: Batch, offset: int, event: ResponseEvent | FeedbackEvent, bound_s: int
    ) -> Rejected | None:
        time_s = second_of(event.time) if event.time else batch.append_ms(offset) // 1000
        if time_s == NO_TIME:
            return Rejected("bad_time", f"not an RFC 3339 time: {event.time[:40]!r}")
        if time_s > bound_s:  # I2: a future clock is bounded by the append time of its record batch
            time_s = min(time_s, batch.append_ms(offset) // 1000 + self._ahead_s)
        return self._count(offset, event, time_s)

    def _advance(self, time_s: int) -> None:
        self._watermark = time_s
        closed = (time_s - self._lateness_s) // PANE_S - 1
        self._closed = max(self._closed, closed)

    def _count(self, offset: int, event: ResponseEvent | FeedbackEvent, time_s: int) -> Rejected | None:
        number = time_s // PANE_S
        late = number <= self._closed
        if late:  # I2: spend and totals of the watermark's pane, never statistics
            number = self._watermark // PANE_S
        if number > self._done:  # I3: panes <= done were complete and acked at commit time
            pane = self._open.get(number)
            if pane is None:
                pane = self._open[number] = OpenPane(offset, (self._watermark, self._closed))
            seen = hash((event.source, event.id))
            if seen in pane.ids:
                self._tally("duplicates", offset)
            else:
                refused = self._over_quota(number, event.source) if self._quota is not None else None
                refused = refused or self._add(pane, offset, event.data, late=late)
                if refused is not None:
                    return refused
                pane.ids.add(seen)
                self._tally("late" if late else "counted", offset)
        if time_s > self._watermark:
            self._advance(time_s)
        return None

    def _over_quota(self, number: int, source: str) -> Rejected | None:
        quota = self._quota
        if quota is None:
            return None
        producer = self._named if quota.header else source
        spent = self._spent.setdefault(number, Spent())
        if spent.take(producer) <= quota.events:
            return None
        return Rejected(
            OVER_QUOTA, f"{producer[:200]!r} has had its {quota.events} events of a minute in {self.source}"
        )

    def _add(self, pane: OpenPane, offset: int, data: Response | Feedback, *, late: bool) -> Rejected | None:
        service = pane.services.get(data.service)
        key = key_of(data)
        counted = service.cells.get(key) if service is not None else None
        if counted is None:
            refused = refusal(pane, data.service, key[0])
            if refused is not None:
                return refused
        if service is None:
            service = pane.services[data.service] = OpenService()
        service.hwm = offset
        if late:
            add_late_event(service.late, data)
            return None
        if counted is None:
            counted, overflow = service.counted(key)
            if overflow:
                self._tally("overflow_cells", offset)
        if not counted.changed and self._early:
            service.change(key, counted)
        if isinstance(data, Response):
            counted.add(data)
            if counted is service.cells.get(key):  # not the overflow cell, whose events are tallied one by one
                pane.remember(data, (service, counted, key))
        else:
            counted.score(data)
            if data.receipt is None:
                self._tally("unattributed", offset)
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

    def _reject(self, batch: Batch, i: int, offset: int, rejected: Rejected, *more: Rejected) -> None:
        """Count each; keep the record once, with the first reason."""
        for one in (rejected, *more):
            self._tally("rejected", offset)
            self._tally("rejected_" + one.reason, offset)
        if more:
            rejected = Rejected(rejected.reason, f"{1 + len(more)} events of the record; the first: {rejected.detail}")
        # a quota may be lowered while a pane is open: then what was counted before a restart is refused after it
        if offset >= self._sent or OVER_QUOTA in (rejected.reason, *(one.reason for one in more)):
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

    def _tally(self, what: str, offset: int, n: int = 1) -> None:
        if n and offset >= self._sent:  # a re-read after a crash is not counted twice
            self.counts[what] = self.counts.get(what, 0) + n

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
        head = Partials(self.source, self._watermark, self._idle, self._topology, [], self._road)
        told = range(self._partitions) if beat else sorted(items)
        records = [
            *(
                record
                for fact in self._control
                for record in control_records(fact, self._partitions, self._partition_of)
            ),
            *(record for partition in told for record in partial_records(head, items.get(partition, []), partition)),
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
                    partial = partial_of(name, number, service, full=full)
                    items.setdefault(self._partition_of(name), []).append(partial)
            if final:
                del self._open[number]
                self._spent.pop(number, None)
        return items

    def _marks(self, watermark: int, closed: int) -> str:
        done, sent = max(self._closed, self._done), max(self.position, self._sent)
        return _encode_marks(Marks(watermark, closed, done, sent, self.appended_s)).decode()


def _time_or(time: str, fallback_s: int) -> int:
    time_s = second_of(time) if time else NO_TIME
    return fallback_s if time_s == NO_TIME else time_s
