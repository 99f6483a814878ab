"""One run of one engine on one filled topic: its own group, state and output topic, the clock stopped by its output."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.bench.engines import ROOT, Engine, filled_in, scripts
from benchmarks.bench.measure import (
    busiest_thread_s,
    machine_busy_s,
    session_cpu_by,
    session_cpu_s,
    session_rss_mb,
)
from benchmarks.bench.topic import Filled
from benchmarks.bench.verdict import Verdict, Written, judge, read

OUT_PARTITIONS = 4
GRACE_S = 10


class Run(msgspec.Struct, frozen=True):
    """What one run used. ``waited_s``: the busiest thread runnable without a core; ``others``: cores others used;
    ``parts_us``: CPU an event of each process, its start included.
    """

    engine: str
    case: str
    events: int
    cpu_us: float
    wall_s: float
    waited_s: float
    rss_mb: float
    others: float
    verdict: Verdict
    note: str = ""
    parts_us: dict[str, float] = {}

    @property
    def per_s(self) -> float:
        """Events a second until the last output."""
        return self.events / self.wall_s

    @property
    def per_free_s(self) -> float:
        """The same without the time the busiest thread waited for a core."""
        return self.events / max(0.01, self.wall_s - self.waited_s)


class Case(msgspec.Struct, frozen=True):
    """What is asked of an engine: ``env`` for its process."""

    name: str
    filled: Filled
    sizes_s: tuple[int, ...] = (60,)
    env: dict[str, str] = {}


def run(engine: Engine, case: Case, kafka: str, peers: Path, limit_s: float = 180.0) -> Run:
    """Run ``engine`` until the last expected pane is written, or ``limit_s``."""
    name = f"b{engine.name}{time.time_ns() // 1_000_000 % 10**9}"
    admin = AdminClient({"bootstrap.servers": kafka})
    for made in admin.create_topics([NewTopic(f"{name}-out", OUT_PARTITIONS, 1)]).values():
        made.result()
    folder = Path(tempfile.mkdtemp(prefix=name))
    try:
        return _run(engine, case, kafka, peers, name, folder, limit_s)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sweep(admin, name)


def sweep(admin: AdminClient, name: str) -> None:
    """Delete the topics and groups of one run."""
    mine = [topic for topic in admin.list_topics(timeout=10).topics if name in topic]
    groups = [f"{name}{part}" for part in ("", "-ingest", "-optimize", "-actuate")]
    for futures in (admin.delete_topics(mine) if mine else {}, admin.delete_consumer_groups(groups)):
        for future in futures.values():
            with contextlib.suppress(KafkaException):  # what is not there need not be deleted
                future.result()


def _run(engine: Engine, case: Case, kafka: str, peers: Path, name: str, folder: Path, limit_s: float) -> Run:
    state, mark, log = folder / "state", folder / "mark", folder / "log"
    state.mkdir()
    env = {**os.environ, **engine.env, **case.env, **_contract(case, kafka, name, state, mark)}
    env["PYTHONPATH"] = os.pathsep.join([str(scripts(peers)), str(ROOT)])
    if engine.before:
        command = filled_in(engine.before, engine, peers, state)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env, timeout=GRACE_S * 6)
    with log.open("wb") as said:
        worker = subprocess.Popen(
            filled_in(engine.command, engine, peers, state),
            env=env,
            cwd=folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    began_s, busy_s = time.time(), machine_busy_s()
    try:
        values, waited_before_s, stopped_s = _watch(worker, case, kafka, f"{name}-out", mark, limit_s)
        cpu_s, rss, waited_s = session_cpu_s(worker.pid), session_rss_mb(worker.pid), busiest_thread_s(worker.pid)[1]
        parts = session_cpu_by(worker.pid)
        others = (machine_busy_s() - busy_s - cpu_s) / (time.time() - began_s)
        ended = worker.poll()
    finally:
        end(worker)
    marks = _marks(mark)
    first_s, first_cpu_s = marks.get("first", (began_s, 0.0))
    tail = log.read_text(errors="replace").strip().splitlines()[-1:] if ended is not None else []
    events = case.filled.records
    return Run(
        engine.name,
        case.name,
        events,
        (cpu_s - first_cpu_s) / events * 1e6,
        stopped_s - first_s,
        max(0.0, waited_s - waited_before_s),
        sum(rss.values()),
        others,
        judge(values, case.filled, case.sizes_s),
        f"ended with {ended}: {''.join(tail)}"[:200] if ended is not None else "",
        {name: spent_s / events * 1e6 for name, spent_s in parts.items()},
    )


def _contract(case: Case, kafka: str, name: str, state: Path, mark: Path) -> dict[str, str]:
    return {
        "KAFKA": kafka,
        "IN_TOPIC": case.filled.topic,
        "OUT_TOPIC": f"{name}-out",
        "RUN_ID": name,
        "STATE_DIR": str(state),
        "WINDOWS": ",".join(map(str, case.sizes_s)),
        "GRACE": str(GRACE_S),
        "N": str(case.filled.records),
        "PARTITIONS": str(case.filled.partitions),
        "BENCH_MARK": str(mark),
    }


def _watch(
    worker: "subprocess.Popen[bytes]", case: Case, kafka: str, topic: str, mark: Path, limit_s: float
) -> tuple[list[Written], float, float]:
    """(records, seconds the busiest thread had waited when the first event came, time of the last record)."""
    wanted = sum(len(case.filled.panes[size]) for size in case.sizes_s)
    records: dict[Written, int] = {}
    waited_s: float | None = None
    deadline_s = time.time() + limit_s
    last_s = time.time()
    with reading(kafka, topic, OUT_PARTITIONS) as consumer:
        while time.time() < deadline_s and worker.poll() is None:
            if waited_s is None and mark.exists():
                waited_s = busiest_thread_s(worker.pid)[1]
            values = [message.value() or b"" for message in consumer.consume(5000, 0.05) if not message.error()]
            if not values:
                continue
            last_s = time.time()
            for record in read(values, case.filled):
                records[record] = records.get(record, 0) + 1
            if len({record.name for record in records}) >= wanted:
                break
    return [record for record, times in records.items() for _ in range(times)], waited_s or 0.0, last_s


@contextlib.contextmanager
def reading(kafka: str, topic: str, partitions: int, offsets: Sequence[int] = ()) -> Iterator[Consumer]:
    """A consumer of all partitions of ``topic``, from ``offsets`` or the start."""
    settings: dict[str, Any] = {
        "bootstrap.servers": kafka,
        "group.id": "bench-watch",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 50,
    }
    consumer = Consumer(settings)
    starts = offsets or [OFFSET_BEGINNING] * partitions
    consumer.assign([TopicPartition(topic, p, start) for p, start in zip(range(partitions), starts, strict=True)])
    try:
        yield consumer
    finally:
        consumer.close()


def _marks(path: Path) -> dict[str, tuple[float, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {what: (float(at), float(cpu)) for what, at, cpu in map(str.split, lines)}


def end(worker: "subprocess.Popen[bytes]", *signals: signal.Signals) -> None:
    """End a worker's session: SIGTERM, then SIGKILL."""
    for number in signals or (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(worker.pid, number)
            worker.wait(8)
            return
