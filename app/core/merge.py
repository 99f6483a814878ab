"""Stage 2: merge the partials of one facts partition, close panes on the watermark, step the rows (rules O0-O9).

Mutable state. The state after facts offset X is a function of the facts log [0, X] alone (O0): no timers, no clock but
the log's own append times. Rows are ``applied`` up to a facts offset; a mutation caused by offset X happens once (O2),
a control fact once per source offset (O7). Outputs are functions of the log too, so a re-emission is byte-identical.

The committed offset names its writer, whose meta row holds the clocks just before that offset (O3). It may be newer
than the commit: the facts between are read again and change nothing, because every row is applied past them.

``now`` of a step is the end of the pane it closes (group watermark less lateness, in whole minutes), so decisions do
not depend on how many panes one watermark happened to close at once.
"""

from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from app.core import facts, service
from app.core.analyze.analyze import analyse, postponed
from app.core.batch import Batch
from app.core.clocks import Clocks
from app.core.commands import COMMAND
from app.core.compact import compact, expanded
from app.core.events import is_name
from app.core.evidence import Gathered, choose, counted
from app.core.facts import NEVER, ControlFact, Partial, Partials, Road
from app.core.ids import stable_id
from app.core.kept import KeptWindows, decode_windows, encode_windows
from app.core.outputs import Output
from app.core.pane import PANE_S, ClosedPane, orient
from app.core.ports import Cut, Point, Record
from app.core.service import BROADCAST, Row, Tick
from app.core.table import META, Table
from app.core.windows import Windows, roll

MAX_TICKS = 20_000
"""Deadlines one service may pass in one advance of the watermark (two weeks of minutes); more is a bug, not traffic."""


Step = Callable[[Row, service.Evidence, int], tuple[Row, list[Output]]]


ORDERS_KEPT = 32
"""Commands a row remembers, to know the repeat of one: a producer that tries again does so soon."""


class KeptRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of the table ``services``: facts offset of its last mutation (O2), last control offset by source (O7).

    ``windows`` is the ``applied`` of the windows as they were then: a row may not be loaded beside older ones, because
    what it is past is never added to them again. That happens when a new owner's tombstones meet a zombie's rows.
    """

    applied: int
    control: dict[str, int]
    row: Row
    windows: int = -1
    orders: tuple[str, ...] = ()
    """The newest commands: one that is produced twice comes from two offsets, so O7 does not know it."""


_encode = msgspec.msgpack.Encoder().encode
_decode_plain_row = msgspec.msgpack.Decoder(KeptRow).decode
_NO_WINDOWS = KeptWindows(-1, Windows())
_decode_clocks = msgspec.msgpack.Decoder(Clocks).decode


def encode_row(kept: KeptRow) -> bytes:
    """The changelog value of ``kept``: at most 64 kB at 10 arms and 5 segments (``tests/core/test_row_size.py``)."""
    return compact(_encode(kept))


def decode_row(value: bytes) -> KeptRow:
    """Inverse of ``encode_row``; ``msgspec.MsgspecError`` or ``ValueError`` when the bytes are none."""
    return _decode_plain_row(expanded(value))


class Merge:
    """The engine of one facts partition (``app.core.ports.Engine``).

    ``services`` and ``windows`` are the changelog partitions read to their end; ``writer`` must be new for every
    incarnation. ``silent_s`` (log time) is how long a source may say nothing before closes go on without it, marked
    incomplete (O4, O9). ``to_record`` makes a CloudEvent record of an output. ``partitions``: how many the facts topic
    has (0: not known, not checked); services are spread over them by key, so their number may not change.
    """

    def __init__(
        self,
        partition: int,
        point: Point | None,
        services: Mapping[bytes, bytes],
        windows: Mapping[bytes, bytes],
        *,
        writer: str,
        lateness_s: int,
        silent_s: int,
        to_record: Callable[[Output], Record],
        start: int = 0,
        max_services: int = 10_000,
        partitions: int = 0,
    ) -> None:
        self.writer = writer
        self.counts: dict[str, int] = {}
        self._lateness_s = lateness_s
        self._silent_ms = silent_s * 1000
        self._to_record = to_record
        self._max_services = max_services
        self.position = point.offset if point else start
        self._clocks = Clocks()
        if point and point.metadata:  # the clocks are in the committed writer's meta row, acked before its commit
            key = META + point.metadata.encode()
            if key not in services:
                raise LookupError(
                    f"the changelog of facts partition {partition} has no meta row of writer {point.metadata}, "
                    "which the committed offset names: the changelog was truncated or belongs to another group"
                )
            self._clocks = _decode_clocks(services[key])
            _check_partitions(partition, self._clocks.partitions, partitions)
        self._clocks.partitions = partitions
        self.point = point or Point(self.position, "")
        self._windows: Table[KeptWindows] = Table("windows", partition, writer, windows, encode_windows, decode_windows)
        self._rows: Table[KeptRow] = Table(
            "services", partition, writer, services, encode_row, decode_row, fits=self._has_windows, last=BROADCAST
        )
        self._open: dict[int, dict[str, dict[str, Partial]]] = {}
        self._roads: dict[str, Road] = {}
        self._first: dict[int, tuple[int, bytes]] = {}
        self._outputs: list[Record] = []
        self._flying = False
        loaded = [kept.applied for kept in self._rows.values.values()]
        self._loaded = max([*loaded, *(kept.applied for kept in self._windows.values.values())], default=-1)

    @property
    def recovered(self) -> bool:
        """Whether every fact that the loaded rows already know is read again."""
        return self.position > self._loaded

    @property
    def watermark(self) -> int:
        """The group watermark (epoch seconds), or NEVER."""
        return self._clocks.group(self._silent_ms)[0]

    @property
    def open_panes(self) -> int:
        """How many minutes are open."""
        return len(self._open)

    @property
    def modes(self) -> dict[str, int]:
        """Services by mode; a frozen or paused one counts as that."""
        rows = (kept.row for name, kept in self._rows.values.items() if name != BROADCAST)
        return Counter("frozen" if r.frozen else "paused" if r.paused else r.document.mode for r in rows)

    @property
    def rows(self) -> dict[str, Row]:
        """The rows by service (read only)."""
        return {name: kept.row for name, kept in self._rows.values.items()}

    @property
    def closed(self) -> int:
        """Newest closed pane (minute number), or NEVER."""
        return self._clocks.closed

    def silent(self, after_ms: int) -> list[str]:
        """Sources not heard for ``after_ms`` of log time: they hold every close until ``silent_s`` (alarm, O9)."""
        return self._clocks.silent(after_ms)

    def _has_windows(self, name: str, kept: KeptRow) -> bool:
        return kept.windows <= self._windows_of(name).applied

    def _windows_of(self, name: str) -> KeptWindows:
        return self._windows.values.get(name, _NO_WINDOWS)

    # ---- fold ----
    def fold(self, batch: Batch) -> None:
        """Fold ``batch``, which continues exactly at ``position``."""
        for i, value in enumerate(batch.values):
            offset = batch.offset(i)
            self._clocks.log_ms = max(self._clocks.log_ms, batch.append_ms(offset))
            try:
                fact = facts.decode(value or b"")
            except msgspec.MsgspecError:
                self._tally("unreadable_facts")
                continue
            if type(fact) is ControlFact:
                self._control(offset, fact)
            else:
                self._partials(offset, fact)
        self.position = batch.end

    def _partials(self, offset: int, fact: Partials) -> None:
        before: bytes | None = None
        for partial in fact.items:
            if partial.pane <= self._clocks.closed:
                self._tally("after_close")
                continue
            pane = self._open.get(partial.pane)
            if pane is None:
                before = before or _encode(self._clocks)
                pane = self._open[partial.pane] = {}
                self._first[partial.pane] = (offset, before)
            parts = pane.setdefault(partial.service, {})
            parts[fact.source] = _newest(parts.get(fact.source), partial)
            self._roads[fact.source] = fact.road  # an open pane is read again whole, so this is known after a crash
        self._clocks.hear(fact, self._silent_ms)
        self._advance(offset)

    # ---- close (O4, O8) ----
    def _advance(self, offset: int) -> None:
        watermark, complete = self._clocks.group(self._silent_ms)
        closed = (watermark - self._lateness_s) // PANE_S - 1
        if watermark == NEVER or closed <= self._clocks.closed:
            return
        panes: dict[str, list[Gathered]] = {}
        for number in sorted(n for n in self._open if n <= closed):
            for name, parts in self._open.pop(number).items():
                panes.setdefault(name, []).append(Gathered(number, complete, parts, self._roads))
            del self._first[number]
        self._clocks.closed = closed
        now_s = (closed + 1) * PANE_S
        for name in sorted(panes.keys() | self._due(now_s)):
            self._turn(offset, name, panes.get(name, []), now_s)

    def _due(self, now_s: int) -> set[str]:
        due = {name for name, kept in self._rows.values.items() if _past(kept.row.deadline_s, now_s)}
        return due | {name for name, kept in self._windows.values.items() if _past(kept.deadline_s, now_s)}

    def _turn(self, offset: int, name: str, panes: list[Gathered], now_s: int) -> None:
        """Close ``panes`` of one service and pass its deadlines up to ``now_s``: one mutation (O2)."""
        kept = self._rows.values.get(name) or self._fresh(name)
        if kept is None or offset <= kept.applied:
            return
        known = self._windows_of(name)
        turn = _Turn(name, kept.row, known if offset > known.applied else None, self._step)
        for pane in panes:
            turn.ticks(pane.end_s - 1)
            turn.pane(pane)
        turn.ticks(now_s)
        if turn.kept is not None and turn.kept is not known:
            self._windows.put(name, msgspec.structs.replace(turn.kept, applied=offset))
        self._rows.put(name, KeptRow(offset, kept.control, turn.row, self._windows_of(name).applied, kept.orders))
        self._say(turn.outputs)
        self._tally("failed_analyses", turn.failed)
        self._tally("shadowed", turn.shadowed)

    def _fresh(self, name: str) -> KeptRow | None:
        if len(self._rows.values) >= self._max_services:
            self._tally("refused_services")
            return None
        standing = self._rows.values.get(BROADCAST)
        if standing is None:
            return KeptRow(-1, {}, service.new_row(name, None))
        return KeptRow(-1, {}, service.new_row(name, standing.row), orders=standing.orders)

    # ---- control (O2, O7) ----
    def _control(self, offset: int, fact: ControlFact) -> None:
        names = sorted({BROADCAST, *self._rows.values}) if fact.service == BROADCAST else [fact.service]
        now_s = max(0, (self._clocks.closed + 1) * PANE_S)
        order = stable_id(fact.id, fact.data)[:16] if fact.type == COMMAND else ""
        for name in names:
            if name != BROADCAST and not is_name(name):
                self._say([service.unnamed(fact)])
                continue
            kept = self._rows.values.get(name) or self._fresh(name)
            if kept is None or offset <= kept.applied or fact.offset <= kept.control.get(fact.source, -1):
                continue
            control = {**kept.control, fact.source: fact.offset}
            if order in kept.orders:
                self._tally("repeated_commands")
                self._rows.put(name, KeptRow(offset, control, kept.row, kept.windows, kept.orders))
                continue
            row, outputs = self._step(kept.row, fact, now_s)
            orders = (*kept.orders, order)[-ORDERS_KEPT:] if order else kept.orders
            self._rows.put(name, KeptRow(offset, control, row, kept.windows, orders))
            # before the first pane there is no event time: then the order's own time is shown
            self._say([o if o.time_s else msgspec.structs.replace(o, time_s=fact.time_s) for o in outputs])

    def _step(self, row: Row, evidence: service.Evidence, now_s: int) -> tuple[Row, list[Output]]:
        """``service.step``; a defect in it costs one step of one service, never the partition, and is said aloud."""
        try:
            return service.step(row, evidence, now_s)
        except Exception as error:  # noqa: BLE001  whatever it is, the other services go on
            self._tally("failed_steps")
            return row, [service.failed_step(row, evidence, now_s, error)]

    def _say(self, outputs: list[Output]) -> None:
        self._outputs += map(self._to_record, outputs)
        for output in outputs:
            if output.role == "optimizations":
                self._tally("runs_" + output.type.rpartition(".")[2])

    def _tally(self, what: str, n: int = 1) -> None:
        if n:
            self.counts[what] = self.counts.get(what, 0) + n

    # ---- checkpoint (O3, O5, O6) ----
    def cut(self) -> Cut:
        """One synchronous snapshot: outputs, then windows, then rows with this writer's meta row, then the commit."""
        if self._flying:
            raise RuntimeError("cut before the last one was acked; rebuild the engine (rule L8)")
        self._flying = True
        outputs, self._outputs = tuple(self._outputs), []
        offset, clocks = min(self._first.values(), default=(self.position, b""))
        meta_row = self._rows.record(META + self.writer.encode(), clocks or _encode(self._clocks))
        phases = (outputs, self._windows.cut(), self._rows.cut((meta_row,)))
        return Cut(phases, Point(offset, self.writer), self.position)

    def acked(self, cut: Cut) -> None:
        """Every record of ``cut`` is durable: its point may be committed."""
        self.point = cut.point
        self._flying = False

    def committed(self, point: Point) -> None:
        """The broker accepted ``point``: if it names this writer, the keys of former writers may go (O5)."""
        if point.metadata == self.writer:
            self._rows.supersede()
            self._windows.supersede()


class _Turn:
    """One service passing panes and deadlines; ``kept`` None: what is downstream already holds this mutation."""

    def __init__(self, name: str, row: Row, kept: KeptWindows | None, step: Step) -> None:
        self.name = name
        self.step = step
        self.row = row
        self.kept = kept
        self.failed = self.shadowed = 0
        self.outputs: list[Output] = []

    def pane(self, gathered: Gathered) -> None:
        """Step the row with a closed pane, then let windows and analyzers take it as the row's document orients it."""
        evidence = choose(self.row.document.evidence, self.row.evidence, gathered)
        self.row = msgspec.structs.replace(self.row, evidence=evidence)
        raw = counted(gathered, evidence)
        self.shadowed += raw.shadowed
        pane = orient(self.row.document, raw)
        self.row, outputs = self.step(self.row, pane, raw.end_s)
        self.outputs += outputs
        self._downstream(pane, raw.end_s)

    def ticks(self, until_s: int) -> None:
        """Pass the deadlines at whole minutes up to ``until_s``, in order."""
        for _ in range(MAX_TICKS):
            deadlines = [d for d in (self.row.deadline_s, self.kept.deadline_s if self.kept else None) if d is not None]
            boundary = -(-min(deadlines) // PANE_S) * PANE_S if deadlines else None
            if boundary is None or boundary > until_s:
                return
            if _past(self.row.deadline_s, boundary):
                before, (self.row, outputs) = self.row, self.step(self.row, Tick(), boundary)
                self.outputs += outputs
                if self.row is before:  # a step that failed must not hold the deadline for ever
                    self.row = service.without_deadlines(before)
            self._downstream(None, boundary)
        self._without_deadlines(until_s)

    def _without_deadlines(self, now_s: int) -> None:
        """A defect arms a deadline again and again: that costs this service its deadlines, not the partition."""
        error = RuntimeError(f"{MAX_TICKS} deadlines in one advance; one is armed again and again")
        self.failed += 1
        self.outputs.append(service.failed_step(self.row, Tick(), now_s, error))
        self.row = service.without_deadlines(self.row)
        if self.kept is not None:
            self.kept = KeptWindows(self.kept.applied, self.kept.windows, postponed(self.kept.analysis, now_s))

    def _downstream(self, pane: ClosedPane | None, now_s: int) -> None:
        """Windows, then findings: computed from the row's document and the pane, never read by a step."""
        if self.kept is None or (pane is None and not _past(self.kept.deadline_s, now_s)):
            return
        windows, aggregates = roll(self.kept.windows, self.name, pane, now_s)
        try:
            analysis, findings = analyse(self.kept.analysis, self.row.document, pane, windows, now_s)
        except Exception:  # noqa: BLE001  a defect costs the findings of a pane, never the partition
            self.failed += 1
            analysis, findings = postponed(self.kept.analysis, now_s), []
        self.kept = KeptWindows(self.kept.applied, windows, analysis)
        self.outputs += [*aggregates, *findings]


def _check_partitions(partition: int, before: int, now: int) -> None:
    if before and now and before != now:
        raise LookupError(
            f"the facts topic had {before} partitions when partition {partition} was last committed and has {now} now: "
            "services would be looked for where their rows are not. Make a new facts topic (topics.facts) and group, "
            "or give the old one its partitions back"
        )


def _past(deadline_s: int | None, now_s: int) -> bool:
    return deadline_s is not None and deadline_s <= now_s


def _newest(known: Partial | None, partial: Partial) -> Partial:
    """O1: partials are cumulative for their source; the highest hwm wins, cell by cell for early ones."""
    if known is None or (partial.full and partial.hwm > known.hwm):
        return partial
    if partial.hwm < known.hwm or (partial.hwm == known.hwm and known.full):
        return known
    if partial.full:
        return partial
    cells = {c.key: c for c in known.cells} | {c.key: c for c in partial.cells}
    return Partial(
        partial.service, partial.pane, partial.hwm, False, partial.late, list(cells.values()), known.histograms
    )
