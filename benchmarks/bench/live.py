"""Live traffic of 10,000 events a second: CPU and memory of the whole worker, bytes of facts, recovery, latency.

CPU, memory, facts and recovery are those of the product's own command (`llm-optimizer worker`: supervisor, ingest,
optimize, actuate) at its default settings. Latency is that of the two agents with early partials switched on: from the
moment an event is handed to the producer to the moment stage 2 has merged a partial that holds it.
"""

import bisect
import contextlib
import json
import math
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from app.adapters.kafka.admin import KafkaAdmin, apply
from app.factory import partitioner
from app.settings import Settings, load
from app.topics import declared
from benchmarks.bench.engines import OURS, ROOT
from benchmarks.bench.measure import session_cpu_s, session_rss_mb
from benchmarks.bench.produce import SAMPLE
from benchmarks.bench.rounds import end, reading, sweep

RATE = 10_000
PARTITIONS = 4
READY_S = 60.0
WARM_S = 15.0
RECOVERED_LAG = RATE // 5
"""Caught up: less than a fifth of a second of traffic is not folded yet."""
SETTLED_S = 0.5
RECOVERY_S = 90.0


class Live(msgspec.Struct, frozen=True):
    """Figures of one live run of the whole worker at its defaults. ``recovery_s`` inf: not within ``RECOVERY_S``."""

    idle_rss_mb: float
    busy_rss_mb: float
    cpu: float
    facts_mb_s: float
    input_mb_s: float
    recovery_s: float
    session_timeout_s: float


class Latency(msgspec.Struct, frozen=True):
    """Event -> merged, milliseconds; ``cpu`` of one core for both agents meanwhile."""

    n: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu: float


# ---- the whole worker ----------------------------------------------------------------------------------------------
def live(kafka: str, measure_s: float) -> Live:
    """Idle, then busy for ``measure_s``, then killed under load and started again."""
    name = f"blive{time.time_ns() // 1_000_000 % 10**9}"
    folder = Path(tempfile.mkdtemp(prefix=name))
    env = _deployment(kafka, name, folder)
    settings = load(env=env)
    apply(settings, KafkaAdmin(settings))
    try:
        with contextlib.ExitStack() as running:
            return _live(running, settings, env, folder, measure_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sweep(AdminClient({"bootstrap.servers": kafka}), name)


def _live(
    running: contextlib.ExitStack, settings: Settings, env: dict[str, str], folder: Path, measure_s: float
) -> Live:
    worker = running.enter_context(_worker(env, folder))
    _until_caught_up(settings, READY_S)
    time.sleep(WARM_S / 3)
    idle_mb = sum(session_rss_mb(worker.pid, peak=False).values())
    kafka, topic = settings.kafka.bootstrap_servers, settings.topics.responses
    traffic = running.enter_context(_traffic(kafka, topic, WARM_S + measure_s + RECOVERY_S, folder / "sent"))
    time.sleep(WARM_S)
    cpu_s, at_s = session_cpu_s(worker.pid), time.time()
    offsets, bytes_before = _ends(settings), _sent(folder / "sent")
    time.sleep(measure_s)
    cpu = (session_cpu_s(worker.pid) - cpu_s) / (time.time() - at_s)
    facts = _bytes_between(settings, offsets, _ends(settings)) / measure_s / 1e6
    given = (_sent(folder / "sent") - bytes_before) / measure_s / 1e6
    busy_mb = sum(session_rss_mb(worker.pid, peak=False).values())
    killed_s = time.time()
    end(worker, signal.SIGKILL)
    running.enter_context(_worker(env, folder))
    recovery_s = math.inf
    with contextlib.suppress(TimeoutError):  # what was measured before the kill is kept
        recovery_s = _until_caught_up(settings, RECOVERY_S) - killed_s
    traffic.terminate()
    return Live(idle_mb, busy_mb, cpu, facts, given, recovery_s, settings.kafka.session_timeout_s)


def _deployment(kafka: str, name: str, folder: Path) -> dict[str, str]:
    texts = {
        "KAFKA__BOOTSTRAP_SERVERS": kafka,
        "KAFKA__GROUP": name,
        "STATE__DIR": str(folder / "state"),
        "TOPICS__PARTITIONS": str(PARTITIONS),
        "WEB__PORT": str(_free_port()),
        "LOG__LEVEL": "WARNING",
        **{f"TOPICS__{topic.role.upper()}": f"{name}-{topic.role}" for topic in declared(Settings().topics)},
    }
    return {f"LLM_OPTIMIZER__{key}": text for key, text in texts.items()}


@contextlib.contextmanager
def _worker(env: dict[str, str], folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "app.cli.main", "worker"]
    given = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("ab") as said:
        worker = subprocess.Popen(command, env=given, cwd=folder, stdout=said, stderr=said, start_new_session=True)
    try:
        yield worker
    finally:
        end(worker, signal.SIGKILL)


@contextlib.contextmanager
def _traffic(kafka: str, topic: str, seconds: float, file: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [sys.executable, "-m", "benchmarks.bench.produce", kafka, topic, str(RATE), str(seconds), str(file)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _until_caught_up(settings: Settings, within_s: float) -> float:
    """When both stages stand at the end of what they read."""
    url = f"http://{settings.web.host}:{settings.web.port}/health"
    deadline_s = time.time() + within_s
    since_s = None
    while time.time() < deadline_s:
        if not _is_caught_up(url):
            since_s = None
        elif since_s is None:
            since_s = time.time()
        elif time.time() - since_s > SETTLED_S:
            return since_s
        time.sleep(0.1)
    raise TimeoutError(f"the worker did not catch up within {within_s:g} s")


def _is_caught_up(url: str) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # the address is made above, of the worker
            health = json.load(answer)
        lags = [health["agents"][agent]["lag"] for agent in ("ingest", "optimize")]
        return bool(
            health["status"] == "ready" and all(lags) and sum(sum(lag.values()) for lag in lags) < RECOVERED_LAG
        )
    return False


def _ends(settings: Settings) -> list[int]:
    with reading(settings.kafka.bootstrap_servers, settings.topics.facts, PARTITIONS) as consumer:
        names = [TopicPartition(settings.topics.facts, p) for p in range(PARTITIONS)]
        return [consumer.get_watermark_offsets(name, timeout=10)[1] for name in names]


def _bytes_between(settings: Settings, start: list[int], stop: list[int]) -> int:
    """Bytes of keys and values, as the broker keeps them (nothing is compressed)."""
    left, total = sum(stop) - sum(start), 0
    with reading(settings.kafka.bootstrap_servers, settings.topics.facts, PARTITIONS, start) as consumer:
        deadline_s = time.time() + READY_S
        while left > 0 and time.time() < deadline_s:
            for message in consumer.consume(5000, 0.2):
                at, partition = message.offset(), message.partition()
                if not message.error() and at is not None and partition is not None and at < stop[partition]:
                    total += len(message.value() or b"") + len(message.key() or b"")
                    left -= 1
    return total


def _sent(file: Path) -> int:
    return max((int(words[1]) for words in map(str.split, file.read_text().splitlines()) if len(words) == 2), default=0)


def _free_port() -> int:
    """The first of four free ports in a row: the supervisor's and the agents'."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- latency -------------------------------------------------------------------------------------------------------
def latency(kafka: str, measure_s: float, flush_s: float = 0.05) -> Latency:
    """Event -> merged with early partials every ``flush_s``."""
    name = f"blate{time.time_ns() // 1_000_000 % 10**9}"
    folder = Path(tempfile.mkdtemp(prefix=name))
    admin = AdminClient({"bootstrap.servers": kafka})
    config = {"message.timestamp.type": "LogAppendTime"}
    topics = [NewTopic(f"{name}-in", PARTITIONS, 1, config=config), NewTopic(f"{name}-out", PARTITIONS, 1)]
    for made in admin.create_topics(topics).values():
        made.result()
    env = {
        **os.environ,
        "KAFKA": kafka,
        "IN_TOPIC": f"{name}-in",
        "OUT_TOPIC": f"{name}-out",
        "RUN_ID": name,
        "GRACE": "10",
        "N": "0",
        "STATE_DIR": str(folder),
        "BENCH_MARK": str(folder / "mark"),
        "PYTHONPATH": str(ROOT),
        "OURS_MERGED": str(folder / "merged"),
        "LLM_OPTIMIZER__INGEST__FLUSH_S": str(flush_s),
        "LLM_OPTIMIZER__INGEST__EARLY_FLUSH_S": str(flush_s),
    }
    worker = subprocess.Popen(OURS.command, env=env, cwd=folder, start_new_session=True)
    try:
        with _traffic(kafka, f"{name}-in", WARM_S + measure_s + 2, folder / "sent") as traffic:
            time.sleep(WARM_S)
            cpu_s, since_s = session_cpu_s(worker.pid), time.time()
            time.sleep(measure_s)
            cpu = (session_cpu_s(worker.pid) - cpu_s) / (time.time() - since_s)
            traffic.wait(30)
        time.sleep(1)
        return _latency(folder, f"{name}-in", since_s, since_s + measure_s, cpu)
    finally:
        end(worker, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        sweep(admin, name)


def _latency(folder: Path, topic: str, since_s: float, until_s: float, cpu: float) -> Latency:
    merged: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for line in (folder / "merged").read_text().splitlines():
        when, source, partition, hwm = line.split()
        merged.setdefault((source, int(partition)), []).append((int(hwm), float(when)))
    reached = {road: _rising(points) for road, points in merged.items()}
    partition_of = partitioner(PARTITIONS)
    taken: list[float] = []
    for words in map(str.split, (folder / "sent").read_text().splitlines()):
        if len(words) != 4 or not since_s <= float(words[2]) < until_s:
            continue
        points = reached.get((f"{topic}-{words[0]}", partition_of(words[3])), [])
        at = bisect.bisect_left(points, (int(words[1]), 0.0))
        taken.append((points[at][1] - float(words[2])) * 1000 if at < len(points) else float("inf"))
    if len(taken) < RATE * (until_s - since_s) / SAMPLE / 2:
        raise RuntimeError(f"only {len(taken)} events were timed; the log of the worker may say why")
    cuts = statistics.quantiles(taken, n=100)
    return Latency(len(taken), cuts[49], cuts[98], max(taken), cpu)


def _rising(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Each highest hwm yet and when it came."""
    found: list[tuple[int, float]] = []
    for hwm, at in points:
        if not found or hwm > found[-1][0]:
            found.append((hwm, at))
    return found
