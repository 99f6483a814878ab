"""Our worker behind the contract of ``benchmarks/peers``: one job, one topic, one command.

Runs the product's ingest and optimize as in a deployment, each in a process and consumer group of its own, with both
stages, de-duplication, facts, changelogs and checkpoints. Translated is only the record of an aggregate that the job
asks for; every other record goes where it always goes. Environment: see ``benchmarks/peers/README.md``; and

    OURS_WINDOWS  window sizes (s) to keep, "all" (default: the product's four) or a list, to measure what a size costs
    OURS_MERGED   file for (time, source, facts partition, hwm) of every merged record, to measure latencies
"""

import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from agents.ingest import ingest
from agents.optimize import optimize
from app.adapters.codec import encode_output
from app.adapters.kafka.admin import KafkaAdmin
from app.adapters.kafka.connection import aiokafka_connection
from app.adapters.kafka.host import Admit, Agent, Host
from app.adapters.process.orphan import die_with_parent
from app.core import facts, windows
from app.core.batch import Batch
from app.core.outputs import AGGREGATE, Output
from app.core.ports import Record
from app.factory import ingest_agent, merge_opener, optimize_agent, options_of
from app.main import settle
from app.settings import Settings, load
from app.topics import declared
from benchmarks.bench.measure import session_cpu_s

log = logging.getLogger(__name__)

CONTRACT = "contract"
"""Role of the translated records."""
READY = "optimize is ready"
PARTITIONS = 4

_read = msgspec.json.Decoder().decode
_write = msgspec.json.Encoder().encode


def settings_of(env: Mapping[str, str]) -> Settings:
    """The product's defaults, but for names, the job's lateness, and what ``LLM_OPTIMIZER__`` variables say."""
    run, grace = env["RUN_ID"], env.get("GRACE", "10")
    texts = {
        "KAFKA__BOOTSTRAP_SERVERS": env["KAFKA"],
        "KAFKA__GROUP": run,
        "INGEST__LATENESS_S": grace,
        "INGEST__AHEAD_S": grace,
        "STATE__DIR": env["STATE_DIR"],
        "TOPICS__PARTITIONS": str(PARTITIONS),
        "WEB__PORT": "0",
        **{f"TOPICS__{topic.role.upper()}": f"{run}-{topic.role}" for topic in declared(Settings().topics)},
        "TOPICS__RESPONSES": env["IN_TOPIC"],
    }
    given = {name: text for name, text in env.items() if name.startswith("LLM_OPTIMIZER__")}
    return load(env={f"LLM_OPTIMIZER__{name}": text for name, text in texts.items()} | given)


def make_topics(settings: Settings) -> None:
    """Every topic the two agents write; the input exists and stays as it is."""
    wanted = {"facts", "services", "windows", "splits", "optimizations", "anomalies", "dead_letters"}
    wanted |= {"aggregates", "aggregates_hourly"}
    KafkaAdmin(settings).create([topic for topic in declared(settings.topics) if topic.role in wanted])


# ---- the translated record -----------------------------------------------------------------------------------------
def to_record(asked: frozenset[int]) -> Callable[[Output], Record]:
    """``encode_output``, but an arm's aggregate of an ``asked`` window size becomes the record of the contract."""

    def translate(output: Output) -> Record:
        if output.type == AGGREGATE:
            row = _read(output.data)
            if row["window_s"] in asked and row["arm"] != "*" and (row["segment"], row["slice"]) == ("*", "*"):
                return _translated(output, row)
        return encode_output(output)

    return translate


def _translated(output: Output, row: dict[str, Any]) -> Record:
    latency = row["latency_ms"]
    value = {
        "service": row["service"],
        "model": row["arm"],
        "window": row["window_s"],
        "start": output.time_s - row["window_s"],
        "count": row["count"],
        "errors": row["errors"],
        "latency_sum": latency["mean"] * row["count"],
        "cost_sum": row["cost_usd"],
        "tokens_sum": row["input_tokens"] + row["output_tokens"],
        "latency_max": latency["max"],
        "latency_p95": latency["p95"],
    }
    role: Any = CONTRACT
    return Record(role, f"{row['service']}|{row['arm']}".encode(), _write(value))


# ---- the two agents ------------------------------------------------------------------------------------------------
def ingest_host(settings: Settings) -> Host:
    """Ingest, with the two marks of the contract."""
    existing = KafkaAdmin(settings).describe([topic.name for topic in declared(settings.topics)])
    agent = ingest_agent(settings, existing, PARTITIONS)
    return _host(settings, msgspec.structs.replace(agent, run=_marked(ingest, int(os.environ.get("N", "0")))))


def _marked(run: Any, total: int) -> Any:
    async def marked(batches: AsyncIterator[Batch], admit: Admit) -> None:
        seen = 0

        async def counted() -> AsyncIterator[Batch]:
            nonlocal seen
            async for batch in batches:
                if not seen:
                    _mark("first")
                before, seen = seen, seen + len(batch.values)
                yield batch
                if before < total <= seen:
                    _mark("last")

        await run(counted(), admit)

    return marked


def _mark(what: str) -> None:
    with Path(os.environ.get("BENCH_MARK", os.devnull)).open("a") as marks:
        marks.write(f"{what} {time.time():.6f} {session_cpu_s(os.getsid(0)):.3f}\n")


def optimize_host(settings: Settings) -> Host:
    """Optimize, with the job's record for the aggregates it asks for."""
    kept = os.environ.get("OURS_WINDOWS", "all")
    if kept != "all":
        windows.SIZES_S = tuple(int(size) for size in kept.split(","))  # type: ignore[assignment]  # other sizes than four
    agent = optimize_agent(settings, None)
    translate = to_record(frozenset(int(size) for size in os.environ.get("WINDOWS", "60").split(",")))

    roles = {**agent.roles, CONTRACT: os.environ["OUT_TOPIC"]}
    merged = os.environ.get("OURS_MERGED")
    run = _timed(Path(merged)) if merged else optimize
    return _host(settings, msgspec.structs.replace(agent, open=merge_opener(settings, translate), roles=roles, run=run))


def _timed(path: Path) -> Any:
    async def timed(batches: AsyncIterator[Batch], admit: Admit) -> None:
        with path.open("a", buffering=1) as lines:
            async for batch in batches:
                merge = admit(batch)
                if merge is None:
                    continue
                merge.fold(batch)
                now_s, partition = time.time(), batch.source.rpartition("-")[2]
                for value in batch.values:
                    fact = facts.decode(value or b"")
                    if isinstance(fact, facts.Partials) and fact.items:
                        hwm = max(item.hwm for item in fact.items)
                        lines.write(f"{now_s:.6f} {fact.source} {partition} {hwm}\n")

    return timed


def _host(settings: Settings, agent: Agent) -> Host:
    name: Any = agent.name
    return Host(agent, options_of(settings, name), aiokafka_connection(settings.kafka), PARTITIONS, _fatal)


def _fatal(code: int, reason: str) -> NoReturn:
    log.critical("%s", reason)
    os._exit(code)


async def _run(make: Callable[[Settings], Host], settings: Settings, ready: str = "") -> None:
    host = make(settings)
    await host.start()
    while ready and not host.ready:  # noqa: ASYNC110  # Faust has no event for it
        await asyncio.sleep(0.05)
    if ready:
        sys.stdout.write(ready + "\n")
        sys.stdout.flush()
    await host.crashed()
    _fatal(1, f"{host.agent.name} crashed: {host.failed!r}")


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    settings = settings_of(os.environ)
    if sys.argv[1:] == ["optimize"]:
        die_with_parent()
        settle()
        asyncio.run(_run(optimize_host, settings, READY))
        return
    make_topics(settings)
    command = [sys.executable, "-m", "benchmarks.peers_adapter", "optimize"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        if child.stdout is None or child.stdout.readline().strip() != READY:
            raise RuntimeError("optimize did not start; its log says why")
        settle()
        asyncio.run(_run(ingest_host, settings))


if __name__ == "__main__":
    main()
