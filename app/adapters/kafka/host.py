"""The host of one agent: a Faust app that keeps one engine per assigned partition and drives it.

An agent is plain data (``Agent``); the factory makes three of them. What the host does with it:

* joins the consumer group ``<group>-<name>`` and subscribes to ``topics`` (which must exist: one that is missing at
  subscription is silently never assigned);
* on every assignment opens an engine per partition with ``open(start)``: the committed point, the first offset of the
  log, the rows of ``tables`` (changelog roles), a fresh writer id. ``from_start``: the committed point is ignored and
  nothing is committed, so every incarnation reads the whole (compacted) log again;
* runs ``run(batches, admit)``, one for all partitions: it takes each batch, asks ``admit(batch)`` for the engine to
  fold it into (None: not for us), and folds it at once, without awaiting in between;
* every ``flush_interval_s`` cuts all engines in one go, sends the records (``roles``: role -> topic), and commits what
  is acked;
* every ``tick_s`` awaits ``tick(engines)``, if given: for agents that talk to something else than Kafka. Ticks never
  overlap; one that raises is logged, counted (``ticks_failed``) and tried again. ``cut`` may happen between any two of
  its awaits, so an engine's methods stay synchronous;
* for every ``Broadcast`` reads a whole topic, all partitions, in every process, without a group: ``fold(batch)`` in
  offset order per partition, ``complete()`` once when the end as of the start was reached, and then on as it grows.

Actuate is such an agent: topics = the splits, ``from_start``, ``tick`` = look at the services that are due, and one
broadcast of the commands topic for the kill switch.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import faust
import msgspec
from mode.supervisors import CrashingSupervisor

from app.adapters.kafka.broadcast import Broadcast, follow
from app.adapters.kafka.changelog import Rows, load_rows
from app.adapters.kafka.consumer import LaneTransport
from app.adapters.kafka.flush import STOP_S, Pump
from app.adapters.kafka.lane import Lane, Open
from app.adapters.kafka.options import LaneOptions
from app.adapters.kafka.produce import sender
from app.adapters.telemetry.metric import Reading
from app.core.batch import Batch
from app.core.ports import Engine

log = logging.getLogger(__name__)

Admit = Callable[[Batch], Engine | None]
Run = Callable[[AsyncIterator[Batch], Admit], Awaitable[None]]
Tick = Callable[[Collection[Engine]], Awaitable[None]]
Remember = Callable[["LaneApp", str, int], Any]
"""Declares one table: (app, changelog topic, partitions) -> Faust table. See ``tables/``."""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """What the host runs. ``tables``: changelog role -> its declaration; ``roles``: record role -> topic."""

    name: str
    topics: tuple[str, ...]
    open: Open
    run: Run
    roles: Mapping[str, str]
    tables: Mapping[str, Remember] = {}
    from_start: bool = False
    tick: Tick | None = None
    tick_s: float = 1.0
    broadcasts: tuple[Broadcast, ...] = ()
    seen: dict[str, int] = {}
    """Counters the agent keeps beside its engines (what the codec put up with); shown in the metrics."""
    shown: Callable[[], list[Reading]] = list
    """More metrics of the agent, asked for at each scrape."""


async def fold_each(batches: AsyncIterator[Batch], admit: Admit) -> None:
    """The plainest ``run``: fold every batch that continues its partition."""
    async for batch in batches:
        engine = admit(batch)
        if engine is not None:
            engine.fold(batch)


class LaneApp(faust.App):
    """A Faust app whose messages are batches and whose offsets are the engines' own."""

    lane: Lane

    def __init__(self, options: LaneOptions, lane: Lane, partitions: int) -> None:
        self.lane = lane
        super().__init__(options.group, **faust_settings(options, partitions))

    def _new_transport(self) -> LaneTransport:
        return LaneTransport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> LaneTransport:
        return LaneTransport(self.conf.broker_producer, self)


def faust_settings(options: LaneOptions, partitions: int) -> dict[str, Any]:
    """The settings of section 3 of the engine's rules, in Faust's spelling."""
    return {
        "broker": [f"kafka://{server}" for server in options.bootstrap_servers.split(",")],
        "broker_credentials": options.credentials,
        "broker_check_crcs": True,
        "broker_commit_interval": options.commit_interval_s,
        "broker_heartbeat_interval": options.heartbeat_s,
        "broker_rebalance_timeout": options.rebalance_timeout_s,
        "broker_request_timeout": options.request_timeout_s,
        "broker_session_timeout": options.session_timeout_s,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": options.fetch_max_partition_bytes,
        "consumer_metadata_max_age_ms": int(options.metadata_max_age_s * 1000),
        "producer_linger": options.producer_linger_ms / 1000,
        "producer_max_batch_size": options.max_batch_bytes,
        "producer_max_request_size": options.max_request_bytes,
        "producer_request_timeout": options.producer_timeout_s,
        "stream_buffer_maxsize": options.buffered_batches,
        "stream_wait_empty": False,
        "agent_supervisor": CrashingSupervisor,
        "recovery_consistency_check": False,
        "store": "memory://",
        "table_standby_replicas": 0,
        "topic_allow_declare": False,  # `topics apply` makes them; a worker refuses to start on a missing one
        "topic_disable_leader": True,
        "topic_partitions": partitions,
        "web_enabled": False,
        "autodiscover": False,
        "datadir": f"{options.state_dir}/{options.group}",
    }


class Host:
    """Runs one agent in the current event loop until ``stop``; ``on_fatal(code, reason)`` ends the process."""

    def __init__(
        self,
        agent: Agent,
        options: LaneOptions,
        connection: Mapping[str, Any],
        partitions: int,
        on_fatal: Callable[[int, str], NoReturn],
    ) -> None:
        self.agent, self.options = agent, options
        self.counts: dict[str, int] = {"ticks": 0, "ticks_failed": 0}
        self._connection, self._on_fatal = connection, on_fatal
        self.lane = Lane(
            options,
            agent.topics,
            agent.open,
            load_rows=self._load_rows,
            from_start=agent.from_start,
            on_fatal=on_fatal,
        )
        self.app = LaneApp(options, self.lane, partitions)
        self.pump = Pump(
            self.lane,
            sender(self._producer, agent.roles),
            options.flush_interval_s,
            on_fatal,
            eager=options.flush_eagerly,
        )
        self._tasks: list[asyncio.Task[None]] = []
        Path(options.state_dir).mkdir(parents=True, exist_ok=True)
        self._register(partitions)

    def _producer(self) -> Any:
        producer: Any = self.app.producer
        return producer._producer

    def _register(self, partitions: int) -> None:
        raw: dict[str, Any] = {
            "key_type": bytes,
            "value_type": bytes,
            "key_serializer": "raw",
            "value_serializer": "raw",
        }
        topic = self.app.topic(*self.agent.topics, **raw)

        async def stream(batches: Any) -> None:
            await self.agent.run(self._with_room(batches.noack()), self.lane.admit)

        self.app.agent(topic, name=self.agent.name, concurrency=1)(stream)
        for role, remember in self.agent.tables.items():
            self.app.tables.add(remember(self.app, self.agent.roles[role], partitions))

    async def _with_room(self, batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
        """``batches``, each when what was folded before it has not piled up: sources wait in their log, not here."""
        async for batch in batches:
            await self.lane.room()
            yield batch

    async def _load_rows(self, partitions: Collection[int]) -> Mapping[str, Mapping[int, Rows]]:
        topics = {role: self.agent.roles[role] for role in self.agent.tables}
        rows = await load_rows(self._connection, list(topics.values()), partitions)
        return {role: rows[topic] for role, topic in topics.items()}

    # ---- life ------------------------------------------------------------------------------------------------------
    @property
    def ready(self) -> bool:
        """Joined, and every assigned partition has its engine (possibly none: a standby), under a valid fence, and has
        read again what its last owner had done. Lag is no reason not to be ready.
        """
        joined = self.app._assignment is not None and not self.app.rebalancing
        return joined and (self.lane.fence is not None or not self.lane.waiting) and self.lane.recovered

    def detail(self) -> dict[str, Any]:
        """What /health shows."""
        fence = self.lane.fence
        return {
            "group": self.options.group,
            "generation": fence.generation if fence is not None else None,
            "partitions": sorted(self.lane.engines),
            "folded": self.lane.folded,
            "flushes": self.pump.flushes,
            "lag": self.lane.lag(),
            "recovered": self.lane.recovered,
            "counts": self.stages(),
        }

    def stages(self) -> dict[str, Mapping[str, int]]:
        """Everything that was counted since the process began, by stage of the metric catalogue."""
        return {
            "codec": self.agent.seen,
            self.agent.name: self.lane.tallies(),
            "lane": self.lane.counts,
            "host": self.counts,
        }

    async def crashed(self) -> None:
        """Return when Faust has given up."""
        await self.app._crashed.wait()

    @property
    def failed(self) -> BaseException | None:
        """Why Faust crashed, if it did."""
        return self.app.crash_reason if self.app.crashed else None

    async def start(self) -> None:
        """Join the group and begin."""
        await self.app.start()
        for work in (
            self.pump.run(),
            *self._broadcasts(),
            *([self._ticks(self.agent.tick)] if self.agent.tick else []),
        ):
            task = asyncio.ensure_future(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Finish the flush under way, commit it, leave the group."""
        self.pump.stop()
        pump, *others = self._tasks
        for task in others:
            task.cancel()
        await asyncio.wait({pump}, timeout=STOP_S)
        pump.cancel()
        await self.app.stop()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.ensure_future(self.app.crash(error))  # noqa: RUF006  # the app keeps the reason and is being waited for

    def _broadcasts(self) -> list[Any]:
        return [follow(self._connection, broadcast) for broadcast in self.agent.broadcasts]

    async def _ticks(self, tick: Tick) -> None:
        while True:
            began = time.monotonic()
            try:
                await tick(list(self.lane.engines.values()))
                self.counts["ticks"] += 1
            except Exception:
                self.counts["ticks_failed"] += 1
                log.exception("a tick of %s failed; the next is in %g s", self.agent.name, self.agent.tick_s)
            await asyncio.sleep(max(0.0, self.agent.tick_s - (time.monotonic() - began)))
