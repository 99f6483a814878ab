"""The lane: the engines of the assigned partitions, where each stands, and under which membership it may commit.

Mutable; lives in the event loop of the worker. Knows Kafka only through ``Reader``, so every rule is tested without a
broker. Rules: L1 admit, L2 rebuild on every assignment, L3 commit only acked points, L6 and L7 the fence, L8 a lane
whose commit was refused neither cuts nor commits until it is rebuilt, L10 ask again for what a seek lost.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NoReturn, Protocol, runtime_checkable

import msgspec
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.structs import TopicPartition

from app.adapters.kafka.admit import Resync, admit
from app.adapters.kafka.broker_clock import BrokerClock
from app.adapters.kafka.changelog import Rows
from app.adapters.kafka.fence import Committed, Fence, Verdict
from app.adapters.kafka.idleness import Idleness, Logs, Source
from app.adapters.kafka.options import EXIT_STATE, LaneOptions
from app.core.batch import Batch
from app.core.ids import stable_id
from app.core.ports import Engine, Point

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


class Start(msgspec.Struct, frozen=True):
    """What an engine is opened with. ``rows``: changelog topic -> latest value per key of this partition."""

    topic: str
    partition: int
    point: Point | None
    log_start: int
    rows: Mapping[str, Rows]
    writer: str
    partitions: Mapping[str, int]
    """Partition count of every subscribed topic."""

    @property
    def source(self) -> str:
        return f"{self.topic}-{self.partition}"


Open = Callable[[Start], Engine]
LoadRows = Callable[[Collection[int]], Awaitable[Mapping[str, Mapping[int, Rows]]]]
"""Changelog partitions -> ``{topic: {partition: rows}}``."""


@runtime_checkable
class Listener(Protocol):
    """An engine that hears of sources and knows which of them do not move (rule O9)."""

    def silent(self, after_ms: int) -> list[str]: ...


@runtime_checkable
class Recovering(Protocol):
    """An engine that reads again what its last owner had done: until it has, its partition is not recovered."""

    @property
    def recovered(self) -> bool: ...


class Reader(Logs, Protocol):
    """The consumer as the lane sees it."""

    def assigned(self) -> set[TopicPartition]: ...
    def partition_counts(self) -> Mapping[str, int]: ...
    def fetch_position(self, tp: TopicPartition) -> int | None: ...
    async def restart_points(
        self, tps: Collection[TopicPartition]
    ) -> tuple[Fence, Mapping[TopicPartition, Committed]]: ...
    async def seek(self, positions: Mapping[TopicPartition, int]) -> None: ...
    async def log_start(self, tp: TopicPartition) -> int: ...
    async def commit(self, points: Mapping[TopicPartition, Point], fence: Fence) -> Verdict: ...


class StateError(RuntimeError):
    """The state of a partition cannot be loaded exactly; guessing would corrupt what is counted."""


async def _no_rows(_: Collection[int]) -> Mapping[str, Mapping[int, Rows]]:
    return {}


class Lane:
    """Engines by source (``topic-partition``). ``fence`` None: nothing may be cut or committed."""

    def __init__(
        self,
        options: LaneOptions,
        topics: Collection[str],
        open_engine: Open,
        *,
        load_rows: LoadRows = _no_rows,
        from_start: bool = False,
        on_fatal: Callable[[int, str], NoReturn],
    ) -> None:
        self.options = options
        self.topics = frozenset(topics)
        self.engines: dict[str, Engine] = {}
        self.fence: Fence | None = None
        self.reader: Reader | None = None
        self.clock = BrokerClock()
        self.counts: dict[str, int] = {}
        self._retired: dict[str, int] = {}
        self.built = 0
        self.folded = 0
        self.recovery_s = self.waited_s = 0.0
        self._open = open_engine
        self._load_rows = load_rows
        self._from_start = from_start
        self._on_fatal = on_fatal
        self._born = (time.time_ns(), id(self))
        self._tps: dict[str, TopicPartition] = {}
        self._resync = Resync()
        self._building: asyncio.Task[None] | None = None
        self._seeks: set[asyncio.Task[None]] = set()
        self._behind: dict[str, int] = {}
        self._idleness = Idleness(options, self.clock)
        self._named: list[str] = []
        self._appended_ms: dict[str, int] = {}
        self._assigned_at: float | None = None
        self._uncut = self._flying = 0
        self.news = asyncio.Event()
        """Set by every batch that is folded; whoever waits for it clears it."""
        self._room = asyncio.Event()
        self._room.set()

    @property
    def waiting(self) -> bool:
        """Whether assigned partitions have no engine (yet)."""
        return self.reader is not None and any(tp.topic in self.topics for tp in self.reader.assigned())

    # ---- L1: what is folded ----------------------------------------------------------------------------------------
    def admit(self, batch: Batch) -> Engine | None:
        """The engine to fold ``batch`` now, without awaiting anything in between; None: the batch is not for us."""
        engine = self.engines.get(batch.source)
        if engine is None:
            self._count("batches_unowned")
            return None
        verdict = admit(engine.position, batch)
        if verdict == "fold":
            self.folded += len(batch.values)
            self._uncut += len(batch.values)
            self.news.set()
            if batch.segments:
                self._appended_ms[batch.source] = batch.segments[-1][1]
            return engine
        self._count("batches_repeated" if verdict == "drop" else "batches_after_hole")
        if verdict == "seek" and self._resync.due(batch.source, engine.position, time.monotonic()):
            log.info("%s: fetched from %d, expected %d: seeking back", batch.source, batch.start, engine.position)
            self._seek_soon(batch.source, engine.position)
        return None

    def _seek_soon(self, source: str, position: int) -> None:
        self._count("resyncs")
        if self.reader is not None:
            task = asyncio.ensure_future(self._go_back(self.reader, source, position))
            self._seeks.add(task)
            task.add_done_callback(self._seek_done)

    async def _go_back(self, reader: Reader, source: str, position: int) -> None:
        """Seek to ``position``; where retention has deleted it meanwhile, go on at the log start or end, as set."""
        tp, engine = self._tps[source], self.engines.get(source)
        start = await reader.log_start(tp)
        if start > position and engine is not None and engine.position == position:
            self._lost(source, position, start)
            engine.position = position = start
        await reader.seek({tp: position})

    def _seek_done(self, task: "asyncio.Task[None]") -> None:
        self._seeks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, StateError):
            self._on_fatal(EXIT_STATE, str(error))
        elif error is not None:  # not ours any more; the rebuild seeks by itself
            log.info("seek failed: %r", error)

    def _nudge(self, engines: Mapping[str, Engine]) -> None:
        """Seek back where the fetch ran ahead and what it fetched never came: with nothing more to come, no later batch
        would show the hole. Looks once a commit; a needless seek only repeats what is then dropped.
        """
        for source, engine in engines.items():
            ahead = self.reader is not None and (self.reader.fetch_position(self._tps[source]) or 0) > engine.position
            stuck = ahead and self._behind.get(source) == engine.position
            self._behind[source] = engine.position if ahead else -1
            if stuck and self._resync.due(source, engine.position, time.monotonic()):
                self._seek_soon(source, engine.position)

    # ---- what is folded and not acked is bounded -------------------------------------------------------------------
    @property
    def unflushed(self) -> int:
        """Records folded whose facts, outputs and dead letters are not acked yet."""
        return self._uncut + self._flying

    async def room(self) -> None:
        """Wait until no more than ``max_unflushed_records`` wait for their acks."""
        if self.unflushed < self.options.max_unflushed_records:
            return
        began = time.monotonic()
        while self.unflushed >= self.options.max_unflushed_records:
            self._room.clear()
            await self._room.wait()
        self.waited_s += time.monotonic() - began

    def cut(self) -> None:
        """Everything folded so far is on its way."""
        self._flying, self._uncut = self._flying + self._uncut, 0

    def acked(self) -> None:
        """What was cut is durable."""
        self._flying = 0
        self._room.set()

    # ---- L2: every assignment forgets all engines and rebuilds them ------------------------------------------------
    @property
    def recovered(self) -> bool:
        """Whether every engine stands where its last owner stood, or further."""
        return all(e.recovered for e in self.engines.values() if isinstance(e, Recovering))

    def forget(self) -> None:
        """Drop every engine, also those being built: the partitions were revoked, or are about to be rebuilt."""
        self._uncut = self._flying = 0
        self._room.set()
        if self._building is not None:
            self._building.cancel()
        for engine in self.engines.values():
            _add(self._retired, getattr(engine, "counts", {}))
        self.engines = {}
        self.fence = None

    def tallies(self) -> dict[str, int]:
        """What the engines counted since the process began, summed over partitions."""
        total = dict(self._retired)
        for engine in self.engines.values():
            _add(total, getattr(engine, "counts", {}))
        return total

    async def rebuild(self) -> None:
        """Forget all, then open an engine per assigned partition from what the group has committed.

        Survives the cancellation of its caller (Faust gives up waiting after a while); a newer call replaces it.
        """
        self.forget()
        self._assigned_at = time.monotonic()
        self._building = asyncio.ensure_future(self._build())
        self._building.add_done_callback(self._built)
        await asyncio.wait({self._building})

    def _reader(self) -> Reader:
        if self.reader is None:
            raise RuntimeError("partitions were assigned before there was a consumer")
        return self.reader

    def _built(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fatal(EXIT_STATE, f"cannot load the state of {self.options.group}: {error!r}")

    async def _build(self) -> None:
        reader = self._reader()
        tps = {tp for tp in reader.assigned() if tp.topic in self.topics}
        if not tps:
            self.built += 1
            return
        fence, starts = await self._load(tps)
        if not fence.valid:  # between two memberships: the next assignment builds
            return
        self.built += 1
        engines = {start.source: self._open(start) for start in starts}
        names = {start.source: TopicPartition(start.topic, start.partition) for start in starts}
        await reader.seek({names[source]: engine.position for source, engine in engines.items()})
        self._resync.clear()
        self._behind.clear()
        self._idleness.clear()
        self._appended_ms.clear()
        self._tps, self.engines, self.fence = names, engines, fence
        log.info("%s: %d partitions, generation %d", self.options.group, len(engines), fence.generation)

    async def _load(self, tps: Collection[TopicPartition]) -> tuple[Fence, list[Start]]:
        """Committed points first, changelogs after (rule O3), again while the broker is away or still electing."""
        reader = self._reader()
        deadline = time.monotonic() + self.options.broker_wait_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                fence, committed = await reader.restart_points(tps)
                rows = await self._load_rows(sorted({tp.partition for tp in tps}))
                return fence, [self._start(tp, committed[tp], rows, fence) for tp in sorted(tps)]
            except (KafkaError, _AheadError) as error:
                if not _passing(error) or time.monotonic() + pause_s > deadline:
                    raise
                log.warning("%s: loading state: %r, again in %.1f s", self.options.group, error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    def _start(
        self, tp: TopicPartition, committed: Committed, rows: Mapping[str, Mapping[int, Rows]], fence: Fence
    ) -> Start:
        return Start(
            topic=tp.topic,
            partition=tp.partition,
            point=None if self._from_start else self._point(tp, committed),
            log_start=committed.log_start,
            rows={topic: by.get(tp.partition, {}) for topic, by in rows.items()},
            writer=stable_id(*self._born, self.options.group, fence.member, fence.generation, self.built)[:16],
            partitions=self._reader().partition_counts(),
        )

    def _point(self, tp: TopicPartition, committed: Committed) -> Point | None:
        point = committed.point
        name = f"{tp.topic}-{tp.partition}"
        if point is None:
            return None
        if point.offset > committed.log_end:
            raise _AheadError(
                f"{name}: committed offset {point.offset} is past the end {committed.log_end}: was the topic remade? "
                f"Reset the group {self.options.group}, or restore the topic"
            )
        if committed.lost == 0:
            return point
        self._lost(name, point.offset, committed.log_start)
        return Point(committed.log_start, point.metadata)

    def _lost(self, name: str, position: int, log_start: int) -> None:
        """Retention deleted what was to be read next: count it, then do as the setting says."""
        self._count("records_lost_to_retention", log_start - position)
        said = (
            f"{name}: retention deleted {log_start - position} records from offset {position} on, before they were read"
        )
        if self.options.on_retention_gap == "exit":
            raise StateError(f"{said}. Set kafka.on_retention_gap = 'accept' to go on without them")
        log.error("%s; going on at %d because kafka.on_retention_gap = 'accept'", said, log_start)

    # ---- L3, L6, L7: commits ---------------------------------------------------------------------------------------
    async def commit(self) -> bool:
        """Commit every engine's last fully acked point; True when the broker accepted it."""
        engines, fence = dict(self.engines), self.fence
        self._nudge(engines)
        self._alarm()
        self._note_recovery()
        if not engines or fence is None or self._from_start or self.reader is None:
            return False
        sources = {source: engine for source, engine in engines.items() if isinstance(engine, Source)}
        idle = await self._idleness.claims(self.reader, self._tps, sources)
        points = {source: engine.point for source, engine in engines.items()}
        verdict = await self.reader.commit({self._tps[s]: p for s, p in points.items() if s in self._tps}, fence)
        self._count("commits_" + verdict)
        if verdict == "refused" and self.fence is fence:
            self.fence = None  # not ours any more: no cut, no commit until rebuilt (L8)
        if verdict != "accepted":
            return False
        for source, engine in engines.items():
            engine.committed(points[source])  # the point that was accepted, not a newer one acked meanwhile
        for source, second in idle.items():
            sources[source].set_idle(second)  # I5: we were still the owner after the observation
        return True

    def silent(self) -> list[str]:
        """Sources that do not move, by name: no minute closes before they do, or before ``optimize.silent_s``."""
        after_ms = int(self.options.alarm_s * 1000)
        return sorted({s for e in self.engines.values() if isinstance(e, Listener) for s in e.silent(after_ms)})

    def _alarm(self) -> None:
        silent = self.silent()
        if silent and silent != self._named:
            log.error("no news for %g s from %s: minutes wait for it", self.options.alarm_s, ", ".join(silent))
        self._named = silent

    def _note_recovery(self) -> None:
        if self._assigned_at is not None and self.engines and self.recovered:
            self.recovery_s, self._assigned_at = time.monotonic() - self._assigned_at, None

    def lag(self) -> dict[str, int]:
        """Records between each engine's position and its log end, as of the last fetch."""
        if self.reader is None:
            return {}
        ends = {source: self.reader.log_end(self._tps[source]) for source in self.engines}
        return {s: max(0, end.offset - self.engines[s].position) for s, end in ends.items() if end is not None}

    def lag_seconds(self, now_s: float) -> dict[str, float]:
        """Age of the newest record folded, by the broker's append time, of every source that has lag; others: 0."""
        clock_s = self.clock.at(now_s)
        at_s = now_s if clock_s is None else clock_s
        known = {source: self._appended_ms.get(source) for source in self.engines}
        lag = self.lag()
        return {
            source: max(0.0, at_s - ms / 1000) if records and ms else 0.0
            for source, records in lag.items()
            if (ms := known[source]) is not None or not records
        }

    def fetched_s(self) -> float | None:
        """When anything was last fetched of any partition (epoch seconds of this machine); None: never."""
        if self.reader is None:
            return None
        ends = (self.reader.log_end(self._tps[source]) for source in self.engines)
        return max((end.seen_s for end in ends if end is not None), default=None)

    def _count(self, what: str, n: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + n


def _add(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for what, n in counts.items():
        total[what] = total.get(what, 0) + n


class _AheadError(StateError):
    """The committed offset is past the log end: passing after a leader change, final after a topic was made anew."""


def _passing(error: Exception) -> bool:
    if isinstance(error, KafkaError):
        return bool(error.retriable) or isinstance(error, KafkaConnectionError)
    return isinstance(error, _AheadError)
