"""The only place where the parts meet: settings -> one agent, its engines, its topics, its host."""

import time
from collections.abc import Callable, Collection, Mapping
from math import ceil
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import aiohttp
import msgspec

from agents.actuate import Mirror, actuate
from agents.ingest import fold_of, ingest
from app.adapters.codec import encode_output, make_decode, make_decode_spans
from app.adapters.codec.avro import AvroReader, use
from app.adapters.codec.avro_write import encoder
from app.adapters.codec.registry import HttpRegistry, Registry
from app.adapters.gateways.breaker import Breaker, BreakerGateway, BreakerOptions
from app.adapters.gateways.desired import DesiredGateway, DesiredState
from app.adapters.gateways.metrics import offered, readings
from app.adapters.gateways.mlflow import MlflowGateway, MlflowOptions
from app.adapters.gateways.mlflow_traffic import LOOK_S
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.adapters.gateways.propagation import MeasuredGateway
from app.adapters.kafka.broadcast import Broadcast
from app.adapters.kafka.connection import aiokafka_connection, faust_credentials
from app.adapters.kafka.host import Agent, Host, fold_each
from app.adapters.kafka.lane import Start
from app.adapters.kafka.options import EXIT_REGISTRY, LaneOptions, lane_options
from app.adapters.kafka.produce import Hashes
from app.adapters.kafka.tee import Tee
from app.adapters.telemetry.metric import Reading
from app.core.actuator import OFFERED_S, Actuator, Rules
from app.core.facts import Road
from app.core.freeze import Freezes
from app.core.outputs import Output, OutputRole
from app.core.ports import Engine, Gateway, Record
from app.core.quota import Quota
from app.settings import Settings
from app.settings.sections import Ingest
from app.topics import CONTROL, EVIDENCE, Existing
from tables.services import services
from tables.windows import windows

AgentName = Literal["ingest", "optimize", "actuate"]
AGENTS: tuple[AgentName, ...] = get_args(AgentName)

MAX_MIRRORED = 100_000
"""Services whose newest split a process that offers splits holds."""
BEAT_S = 1.0
"""Longest time between two marks of a source: what tells a source that is silent from one that is gone (rule I4)."""

FACTS_GAP_S = 0.01
"""Facts are few and read as soon as they come, but not each by itself however many sources write them."""
OUTCOMES_S = 0.1
"""How soon an outcome is written after the gateway answered: one that a crash takes is only said again while its split
is still the newest."""

Topology = Mapping[str, Existing]
"""The topics that exist, by name."""


def make_host(
    settings: Settings,
    name: AgentName,
    existing: Topology,
    on_fatal: Callable[[int, str], NoReturn],
    *,
    tee: Path | None = None,
    session: aiohttp.ClientSession | None = None,
    desired: DesiredState | None = None,
) -> Host:
    """The host of agent ``name`` on the topics that exist. ``tee``: file for the facts that optimize folds.
    ``session``: what actuate calls the gateway with; the caller closes it. ``desired``: what it offers to pullers.
    """
    partitions = existing[settings.topics.facts].partitions
    registry = registry_of(settings)
    read_avro_by(settings, registry, on_fatal)
    if name == "ingest":
        agent = ingest_agent(settings, existing, partitions)
    elif name == "optimize":
        agent = optimize_agent(settings, tee, registry, partitions)
    else:
        agent = actuate_agent(settings, gateway_of(settings, session, desired), desired)
    return Host(agent, options_of(settings, name), aiokafka_connection(settings.kafka), partitions, on_fatal)


def options_of(settings: Settings, name: AgentName) -> LaneOptions:
    """How often each agent flushes, and whether its sources may be idle."""
    intervals = {
        "ingest": cut_s(settings.ingest),
        "optimize": settings.optimize.checkpoint_s,
        "actuate": OUTCOMES_S,
    }
    return lane_options(
        settings,
        name,
        flush_interval_s=intervals[name],
        flush_eagerly=name == "ingest" and 0 < settings.ingest.early_flush_s == cut_s(settings.ingest),
        fetch_gap_s=FACTS_GAP_S if name == "optimize" else 0.0,
        idle_after_s=settings.ingest.idle_s if name == "ingest" else 0.0,
        credentials=faust_credentials(settings.kafka),
    )


def cut_s(ingest: Ingest) -> float:
    """Longest time between two cuts of a source: early partials may be wanted more often than all else."""
    return min(ingest.flush_s, ingest.early_flush_s or ingest.flush_s)


def roles(settings: Settings) -> dict[str, str]:
    """Role of a written record -> topic."""
    return {role: name for role, name in msgspec.structs.asdict(settings.topics).items() if isinstance(name, str)}


# ---- ingest --------------------------------------------------------------------------------------------------------
def ingest_agent(settings: Settings, existing: Topology, partitions: int) -> Agent:
    """All evidence and control topics that exist -> facts."""
    names = roles(settings)
    evidence = [names[role] for role in EVIDENCE if names[role] in existing]
    control = [names[role] for role in CONTROL if names[role] in existing]
    seen: dict[str, int] = {}

    def count(what: str) -> None:
        seen[what] = seen.get(what, 0) + 1

    def count_many(what: str, n: int) -> None:
        seen[what] = seen.get(what, 0) + n

    decodes = {names["spans"]: make_decode_spans(count)}
    decode = make_decode(count, count_many)
    roads: dict[str, Road] = {names["responses"]: "responses", names["spans"]: "spans"}
    settled = settings.ingest

    def open_fold(start: Start) -> Engine:
        topic = start.source.rpartition("-")[0]
        return fold_of(
            start.source,
            start.point,
            decode=decodes.get(topic, decode),
            lateness_s=int(settled.lateness_s),
            ahead_s=int(settled.ahead_s),
            topology={topic: start.partitions[topic] for topic in evidence},
            facts_partitions=partitions,
            partition_of=partitioner(partitions),
            start=start.log_start,
            beat_cuts=max(1, int(BEAT_S / cut_s(settled))),
            early_cuts=ceil(settled.early_flush_s / cut_s(settled)),
            road=roads.get(topic, ""),
            quota=Quota(settled.quota_per_minute, settled.quota_header) if settled.quota_per_minute else None,
        )

    return Agent(name="ingest", topics=(*evidence, *control), open=open_fold, run=ingest, roles=names, seen=seen)


def partitioner(partitions: int) -> Callable[[str], int]:
    """Kafka's default partitioner for a service's name, so producers of control events agree with it."""
    hashes = Hashes()
    return lambda service: hashes.of(service.encode()) % partitions


# ---- optimize ------------------------------------------------------------------------------------------------------
def optimize_agent(
    settings: Settings, tee: Path | None, registry: Registry | None = None, partitions: int = 0
) -> Agent:
    """Facts -> rows, aggregates, decisions, splits. Raises ``RegistryError`` when a schema cannot be registered."""
    # the rules and numpy: 25 MB that only this process needs
    from agents.optimize import optimize

    write = Tee(tee).write if tee is not None else None
    return Agent(
        name="optimize",
        topics=(settings.topics.facts,),
        open=merge_opener(settings, output_encoder(settings, registry), partitions),
        run=lambda batches, admit: optimize(batches, admit, write),
        roles=roles(settings),
        tables={"services": services, "windows": windows},
    )


def merge_opener(
    settings: Settings, to_record: Callable[[Output], Record], partitions: int = 0
) -> Callable[[Start], Engine]:
    """Makes the engine of a facts partition from where it stands; ``to_record`` writes its outputs."""
    from agents.optimize import merge_of

    def open_merge(start: Start) -> Engine:
        return merge_of(
            start.partition,
            start.point,
            dict(start.rows["services"]),
            dict(start.rows["windows"]),
            writer=start.writer,
            start=start.log_start,
            lateness_s=int(settings.ingest.lateness_s),
            silent_s=int(settings.optimize.silent_s),
            max_services=settings.optimize.max_services,
            partitions=partitions,
            to_record=to_record,
        )

    return open_merge


# ---- schemas -------------------------------------------------------------------------------------------------------
def registry_of(settings: Settings) -> Registry | None:
    """The schema registry the settings name, if any. Nothing is asked yet."""
    codec = settings.codec
    if not codec.schema_registry_url:
        return None
    return HttpRegistry(
        codec.schema_registry_url,
        username=codec.schema_registry_username,
        password=codec.schema_registry_password,
        timeout_s=codec.schema_registry_timeout_s,
    )


def read_avro_by(settings: Settings, registry: Registry | None, on_fatal: Callable[[int, str], NoReturn]) -> None:
    """Read Avro with ``registry``, whose schemas of what is read are learned now. Raises ``RegistryDownError``."""
    reader = AvroReader(registry, lambda reason: on_fatal(EXIT_REGISTRY, reason))
    names = roles(settings)
    for role in (*EVIDENCE, *CONTROL):
        reader.preload(f"{names[role]}-value")
    use(reader)


def output_encoder(settings: Settings, registry: Registry | None) -> Callable[[Output], Record]:
    """Outputs as records, in the encodings of the settings. Raises ``RegistryError``."""
    avro: list[OutputRole] = []
    if settings.codec.aggregates == "avro":
        avro += ["aggregates", "aggregates_hourly"]
    if settings.codec.anomalies == "avro":
        avro.append("anomalies")
    return encoder(avro, roles(settings), registry) if avro else encode_output


# ---- actuate -------------------------------------------------------------------------------------------------------
def actuate_agent(settings: Settings, gateway: Gateway | None, desired: DesiredState | None = None) -> Agent:
    """Newest splits -> gateway -> outcomes; the kill switch is read from the commands themselves. Without a gateway it
    only looks on. ``desired`` is kept at the newest splits of all services, whoever owns them.
    """
    freezes = Freezes(make_decode())
    rules = Rules(
        gateway=gateway.name if gateway is not None else "none",
        recheck_s=settings.actuate.reconcile_s,
        deadline_s=settings.actuate.deadline_s,
        on_drift=settings.gateway.drift,
        capabilities=tuple(sorted(gateway.capabilities)) if gateway is not None else (),
        offered_s=LOOK_S if settings.gateway.kind == "mlflow" else OFFERED_S,
    )
    mirror = Mirror(desired, freezes, MAX_MIRRORED) if desired is not None else None

    async def tick(engines: Collection[Engine]) -> None:
        if mirror is not None:
            await mirror.tick(time.monotonic())
        for engine in engines:
            if gateway is not None and isinstance(engine, Actuator):
                await actuate(engine, gateway, time.monotonic())

    broadcasts = [Broadcast(settings.topics.commands, freezes.fold, freezes.complete)]
    if mirror is not None:
        broadcasts.append(Broadcast(settings.topics.splits, mirror.fold, mirror.complete))
    return Agent(
        name="actuate",
        topics=(settings.topics.splits,),
        open=lambda start: Actuator(rules, freezes, start.log_start),
        run=fold_each,
        roles=roles(settings),
        from_start=True,
        tick=tick if gateway is not None or mirror is not None else None,
        tick_s=min(0.25, settings.actuate.reconcile_s),
        broadcasts=tuple(broadcasts),
        shown=lambda: shown_of(gateway, desired),
    )


def shown_of(gateway: Gateway | None, desired: DesiredState | None) -> list[Reading]:
    """The metrics of the gateway (propagation lag, circuit breaker), and of what is on offer."""
    shown = offered(desired.counts) if desired is not None else []
    if not isinstance(gateway, MeasuredGateway):
        return shown
    breaker = gateway.inner.breaker if isinstance(gateway.inner, BreakerGateway) else None
    return [*shown, *readings(gateway.name, gateway.lag, breaker)]


def desired_of(settings: Settings) -> DesiredState | None:
    """What this process offers to gateways that fetch; None without a key to sign with."""
    return DesiredState(time.monotonic) if settings.gateway.desired_key else None


def gateway_of(
    settings: Settings, session: aiohttp.ClientSession | None, desired: DesiredState | None = None
) -> Gateway | None:
    """The gateway the settings name, behind a circuit breaker; None: nothing is called, splits are only published."""
    chosen = settings.gateway
    if chosen.kind == "none":
        return None
    if chosen.kind == "desired":
        return MeasuredGateway(DesiredGateway(desired or DesiredState(time.monotonic)), time.monotonic)
    called: dict[str, Any] = {name: getattr(chosen, name) for name in ("url", "token", "timeout_s", "attempts")}
    if chosen.kind == "orchestrator-grpc":
        # 10 MB that no other process needs
        from app.adapters.gateways.orchestrator_grpc import GrpcGateway, GrpcOptions

        return measured(GrpcGateway(GrpcOptions(**called, shadow=chosen.shadow)))
    if session is None:
        raise ValueError(f"gateway.kind is {chosen.kind}: actuate needs an HTTP session")
    if chosen.kind == "mlflow":
        return measured(MlflowGateway(session, MlflowOptions(**called, cache_s=chosen.cache_s)))
    return measured(OrchestratorGateway(session, OrchestratorOptions(**called, shadow=chosen.shadow)))


def measured(gateway: Gateway) -> MeasuredGateway:
    """``gateway`` behind a circuit breaker, its propagation lag measured."""
    guarded = BreakerGateway(gateway, Breaker(BreakerOptions(), time.monotonic, gateway.name))
    return MeasuredGateway(guarded, time.monotonic)
