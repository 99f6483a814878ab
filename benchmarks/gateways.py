"""Gateways, measured: `python -m benchmarks.gateways [--records N] [--only NAME,...]` (make gateways).

propagation     how long a split takes from the first call with it to the gateway's yes, per adapter, on loopback
kill-drill      responses wait for ingest, optimize does not run, a trial is open: from the acknowledged freeze command
                to the gateway without the trial
rest, grpc      the story of ``tests/e2e/harness/gateway_story.py`` at the reference Orchestrator, its own process
litellm         the same story at a real LiteLLM (make litellm)
portkey         shares, fall-back and attribution at a real Portkey (make portkey)
mlflow          a worker and a real MLflow: when traffic follows, and when the log says so (make mlflow)

Each part is written to its section of docs/evidence/gateways.md as soon as it is measured; what is not measured stays.
A real Kafka of its own where Java and Maven are there (LLM_OPTIMIZER_TEST_KAFKA=real), else the mock cluster.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from confluent_kafka import Producer

from app.adapters.gateways.desired import DesiredGateway, DesiredState
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.adapters.gateways.orchestrator_grpc import GrpcGateway, GrpcOptions
from app.adapters.gateways.propagation import MeasuredGateway
from app.adapters.kafka.command_log import CommandLog
from app.core.commands import Command, Freeze
from app.core.ports import Gateway
from app.sim.orchestrator_grpc import serve_grpc
from app.sim.orchestrator_server import OrchestratorServer
from tests.core.splits import split, trial
from tests.e2e.harness import gateway_story, mlflow, mlflow_story, orchestrator_story, portkey, portkey_story
from tests.e2e.harness.broker import ROOT, Broker, asked, broker, free_port
from tests.e2e.harness.deployment import Deployment, deploy
from tests.e2e.harness.litellm import PROGRAM
from tests.e2e.harness.waits import until
from tests.e2e.test_actuate import publish

EVIDENCE = ROOT / "docs" / "evidence" / "gateways.md"
SPLITS = 100
RECORDS = 1_000_000


# ---- propagation
async def propagation() -> list[str]:
    """One line per adapter."""
    with OrchestratorServer() as server:
        async with aiohttp.ClientSession() as session:
            rest = OrchestratorGateway(session, OrchestratorOptions(url=server.url))
            lines = [await _measured(rest)]
        grpc_server, port = await serve_grpc(server.state, "127.0.0.1:0")
        server.state.lose_state()
        grpc_gateway = GrpcGateway(GrpcOptions(url=f"http://127.0.0.1:{port}"))
        lines.append(await _measured(grpc_gateway))
        await grpc_gateway.close()
        await grpc_server.stop(None)
    desired = DesiredState(time.monotonic)
    return [
        *lines,
        await _measured(DesiredGateway(desired)),
        "",
        "`desired` offers; what fetching takes, and what MLflow's caches do, shows below.",
    ]


async def _measured(gateway: Gateway) -> str:
    measured, etag, seconds = MeasuredGateway(gateway, time.perf_counter), None, []
    for version in range(1, SPLITS + 1):
        began = time.perf_counter()
        ack = await measured.apply(split(version), etag, f"key-{version}")
        seconds.append(time.perf_counter() - began)
        etag = ack.etag
    p50, worst = 1000 * statistics.median(seconds), 1000 * max(seconds)
    return f"| {gateway.name} | {len(seconds)} | {p50:.2f} ms | {worst:.2f} ms |"


# ---- the kill drill
def kill_drill(kafka: Broker, folder: Path, records: int) -> str:
    """What came of it, in a sentence."""
    port = free_port()
    with OrchestratorServer() as gateway:
        deployment = deploy(
            kafka, "drill", folder, gateway__kind="orchestrator", gateway__url=gateway.url, web__port=str(port)
        )
        publish(deployment, trial(2))
        sent = _backlog(deployment, records)
        with _running(deployment, folder / "drill.log"):
            until(lambda: gateway.held("bot") == trial(2), 120, f"no trial; see {folder}/drill.log")
            lag = sent - _counted(port)
            CommandLog(deployment.settings).send(Command(service="bot", command="freeze", args=Freeze()))
            began = time.monotonic()
            until(lambda: gateway.held("bot") == split(2, frozen=True), 120, "the freeze did not reach the gateway")
            return (
                f"{sent:,} records produced, {lag:,} not yet counted when the freeze was acknowledged: the gateway was "
                f"without the trial {time.monotonic() - began:.2f} s later (goal: 3 s)"
            )


def _backlog(deployment: Deployment, records: int) -> int:
    kafka, topic = deployment.settings.kafka, deployment.settings.topics.responses
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 20, "compression.type": "lz4"})
    head = b'{"specversion":"1.0","source":"/drill","type":"io.llm-platform.response.completed","time":"'
    tail = b'","data":{"service":"bulk","model":"m","latency_ms":9},"id":"'
    moment = datetime.now(UTC).isoformat().encode()
    for number in range(records):
        while True:
            try:
                producer.produce(topic, head + moment + tail + b"%d" % number + b'"}', b"%d" % number)
                break
            except BufferError:
                producer.poll(0.1)
    if left := producer.flush(120):
        raise RuntimeError(f"{left} records were not acknowledged")
    return records


def _counted(port: int) -> int:
    """Events counted so far, as /metrics has it."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("llm_optimizer_ingest_counted")))


@contextmanager
def _running(deployment: Deployment, log: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "app.cli.main", "worker", "--agents", "ingest,actuate"]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=dict(deployment.env), stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


# ---- the report
def story_lines(figures: gateway_story.Figures) -> list[str]:
    """The story's figures as lists and a table."""
    tests, least = len(figures.shares), min((p for *_, p in figures.shares), default=1.0)
    rate, stamped = f"{gateway_story.RATE:g}", _stamped(figures.first_stamped_s)
    said = (
        (
            f"{figures.requests} requests, {figures.failed} failed; "
            f"{figures.events} events told, {figures.duplicates} of them twice"
        ),
        (
            f"the cheaper model serves after {_after(figures.promoted_s)}; one whose quality drops on trial is taken "
            f"back {_after(figures.rolled_back_s)} after the drop (wall clock; event time runs {rate} times as fast)"
        ),
        f"from the split on the log to the first response stamped with it: {stamped} (goal: 5 s)",
        f"{tests} exact binomial tests of observed shares against those asked for: least p-value {least:.3g}",
        (
            f"provider outage of {gateway_story.OUTAGE_S:g} s: {figures.outage_requests} requests drawn for it, "
            f"{figures.outage_elsewhere} answered by another arm, {figures.outage_failed} failed"
        ),
        f"outcomes: {figures.accepted} accepted, {figures.verified} verified by traffic",
    )
    cells = ((v, name.replace("|", " "), *rest) for v, name, *rest in figures.shares)
    rows = (f"| {v} | {name} | {a:.4f} | {o:.4f} | {n} | {p:.3f} |" for v, name, a, o, n, p in cells)
    return [
        *(f"- {line}" for line in said),
        "",
        "| version | slice and arm | asked | observed | requests | p |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        "Decisions, in order:",
        "",
        *(f"{number}. {step}" for number, step in enumerate(figures.steps, 1)),
    ]


def _after(seconds: float | None) -> str:
    return "**more than the time given**" if seconds is None else f"{seconds:.0f} s"


def _stamped(seconds: list[float]) -> str:
    if not seconds:
        return "none was seen"
    return f"{statistics.median(seconds):.2f} s in the middle, {max(seconds):.2f} s at most, {len(seconds)} splits"


def portkey_lines(figures: portkey_story.Figures) -> list[str]:
    """Portkey's figures as lists and a table."""
    least = min((row[-1] for row in figures.shares), default=1.0)
    rows = (
        f"| {how} | {version} | {name.replace('|', ' ')} | {a:.4f} | {o:.4f} | {n} | {p:.3f} |"
        for how, version, name, a, o, n, p in figures.shares
    )
    told, stamped = figures.wrongly_told, _stamped(figures.first_stamped_s)
    said = (
        f"{figures.requests} requests, {figures.failed} failed, {told} told with a model that did not answer",
        f"from the split on offer to the first response stamped with it: {stamped} (goal: 5 s)",
        f"{len(figures.shares)} exact binomial tests of observed shares against those asked for: least p {least:.3g}",
        (
            f"provider outage: {figures.outage_requests} requests drawn for it, "
            f"{figures.outage_elsewhere} answered by another arm, {figures.outage_failed} failed"
        ),
        f"a new process with nobody to ask serves the last good split: {'yes' if figures.kept else '**no**'}",
    )
    return [
        *(f"- {line}" for line in said),
        "",
        "| drawn | version | slice and arm | asked | observed | requests | p |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def mlflow_lines(figures: mlflow_story.Figures) -> list[str]:
    """MLflow's figures as lists and a table."""
    rows = (
        f"| {s.version} | {_at(s.first_new_s)} | {_at(s.last_old_s)} | {s.accepted_s:.1f} s | {s.share_asked:.2f} | "
        f"{s.share_seen:.3f} | {s.requests} | {s.p:.3f} |"
        for s in figures.steps
    )
    columns = [
        *("version", "first answer only the new split gives", "last one only the old gives", "accepted"),
        *("`small`: asked", "seen after that", "requests", "p"),
    ]
    return [
        f"MLflow with {mlflow_story.WORKERS} processes and its cache of {mlflow_story.CACHE_S} s; seconds from the",
        "split on the log, for version 1 the start of the worker included. `accepted` must not come before the last",
        "answer by the split before.",
        "",
        f"- {figures.requests} requests, {figures.failed} failed",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *rows,
    ]


def _at(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def main(records: int, only: Sequence[str]) -> None:
    """Measure, print and keep."""
    unknown = set(only) - SECTIONS.keys()
    if unknown:
        sys.exit(f"--only: {', '.join(sorted(unknown))} unknown; there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory(prefix="gateways-") as name, broker() as kafka:
        for section in only or SECTIONS:
            machine = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the start, broker: {asked()}"
            folder = Path(name) / section
            folder.mkdir()
            lines = _measured_lines(section, kafka, folder, records)
            if lines:
                lines = [f"Measured on {machine}.", "", *lines]
                _keep(SECTIONS[section], lines)
            sys.stdout.write("\n".join([f"## {SECTIONS[section]}", "", *(lines or ["not measured"]), "", ""]))
            sys.stdout.flush()


SECTIONS = {
    "propagation": "Propagation, per adapter",
    "kill-drill": "Kill drill",
    "rest": "The reference Orchestrator over REST",
    "grpc": "The reference Orchestrator over gRPC",
    "litellm": "A real LiteLLM",
    "portkey": "A real Portkey",
    "mlflow": "A real MLflow",
}


def _measured_lines(section: str, kafka: Broker, folder: Path, records: int) -> list[str]:
    """What a part measured; nothing when it cannot be measured here, which is said on standard error."""
    needs = {"litellm": PROGRAM, "portkey": portkey.PROGRAM, "mlflow": mlflow.PROGRAM}
    if section in needs and not needs[section].exists():
        sys.stderr.write(f"{section}: not installed here: `make {section}`\n")
        return []
    try:
        return _PARTS[section](kafka, folder, records)
    except (AssertionError, OSError, RuntimeError) as error:
        sys.stderr.write(f"{section}: {type(error).__name__}: {str(error)[:2000]}\n")
        return []


_PARTS: dict[str, Callable[[Broker, Path, int], list[str]]] = {
    "propagation": lambda _kafka, _folder, _records: [
        "| adapter | splits | median | longest |",
        "|---|---|---|---|",
        *asyncio.run(propagation()),
    ],
    "kill-drill": lambda kafka, folder, records: [kill_drill(kafka, folder, records)],
    "rest": lambda kafka, folder, _records: story_lines(orchestrator_story.tell(kafka, folder, "orchestrator")),
    "grpc": lambda kafka, folder, _records: story_lines(orchestrator_story.tell(kafka, folder, "orchestrator-grpc")),
    "litellm": lambda kafka, folder, _records: story_lines(gateway_story.tell(kafka, folder, free_port())),
    "portkey": lambda _kafka, folder, _records: portkey_lines(portkey_story.tell(folder)),
    "mlflow": lambda kafka, folder, _records: mlflow_lines(mlflow_story.tell(kafka, folder)),
}


def _keep(title: str, lines: Sequence[str]) -> None:
    """Replace one section of the evidence; the order is that of ``SECTIONS``."""
    head, *parts = EVIDENCE.read_text().split("\n## ") if EVIDENCE.exists() else ["# Gateways, measured\n"]
    found = {part.partition("\n")[0]: part.partition("\n")[2].strip("\n") for part in parts}
    found[title] = "\n".join(lines)
    ordered = [name for name in SECTIONS.values() if name in found]
    text = "\n\n".join([head.strip("\n"), *(f"## {name}\n\n{found[name]}" for name in ordered)]) + "\n"
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--only", default="", help="parts, by commas")
    given = parser.parse_args()
    main(given.records, [part for part in given.only.split(",") if part])
