"""`make bench [FULL=1]`: fill the topics, run the rounds, measure live, write ``docs/evidence/bench.{md,svg,json}``."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.bench.engines import BENCH, OURS, OWN_PEERS, PEERS, ROOT, Engine, NotInstallableError, prepare
from benchmarks.bench.live import latency, live
from benchmarks.bench.picture import bars
from benchmarks.bench.report import LABELS, MAIN, Figures, median, page, runs_of
from benchmarks.bench.rounds import Case, run
from benchmarks.bench.size import Size
from benchmarks.bench.topic import fill

PORT = "19393"
EVIDENCE = ROOT / "docs" / "evidence"
ALL = ("rounds", "growth", "live", "latency", "sizes")
BROKER_S = 180.0
"""Longest time for a broker to start (the first time it fetches its jars) or to stop."""


Shape = tuple[int, int, int, int, int]
"""Services, arms, segments, events a minute, minutes."""


class Plan(msgspec.Struct, frozen=True):
    """How much is measured. ``limit_s``: what has no bar of its own is left out, by name, when time runs out.
    ``slow_rounds``: of engines that get ``SLOW`` of the events, or less: they take long and are far from any bar.
    ``window_rounds``: of one window size and of four, in turn, on all events: the bar between them is narrow.
    """

    limit_s: float
    events: int
    growth_events: int
    rounds: int
    slow_rounds: int
    growth_rounds: int
    window_rounds: int
    live_s: float
    latency_s: float
    partitions: tuple[int, ...]
    sizes: tuple[Shape, ...]


GROWING: tuple[Shape, ...] = tuple((20, arms, segments, 60_000, 3) for arms, segments in ((1, 1), (10, 1), (10, 5)))
LARGE: Shape = (1_000, 10, 5, 300_000, 2)
SMALL = Plan(600.0, 2_000_000, 400_000, 2, 1, 1, 3, 30.0, 20.0, (16, 64), (*GROWING, LARGE))
FULL = Plan(7200.0, 4_000_000, 1_000_000, 5, 5, 3, 5, 180.0, 60.0, (16, 64), (*GROWING, LARGE))
SIZE_S = 180.0
SLOW = 0.1
ROUNDS_SHARE, GROWTH_SHARE = 0.45, 0.6
"""Shares of the time after which no further round begins, and no case of more partitions."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--peers", type=Path, default=OWN_PEERS)
    parser.add_argument("--only", default=",".join(ALL), help="parts to measure: " + ", ".join(ALL))
    parser.add_argument("--engines", default=",".join(LABELS), help="engines of the rounds: " + ", ".join(LABELS))
    parser.add_argument("--kafka", default=os.environ.get("KAFKA", ""), help="host:port; empty: one of its own")
    asked = parser.parse_args()
    figures = Figures("make bench" + (" FULL=1" if asked.full else ""))
    plan, parts = FULL if asked.full else SMALL, asked.only.split(",")
    text, clock = "", Clock(plan.limit_s)
    with _broker(asked.kafka) as kafka:
        measures: dict[str, Callable[[], None]] = {
            "rounds": lambda: _rounds(figures, plan, clock, kafka, asked.peers.resolve(), asked.engines.split(",")),
            "growth": lambda: _growth(figures, plan, clock, kafka),
            "live": lambda: _live(figures, kafka, plan.live_s),
            "latency": lambda: _latency(figures, kafka, plan.latency_s),
            "sizes": lambda: _sizes(figures, plan, clock),
        }
        for name in (name for name in measures if name in parts):
            _or_why(figures, name, measures[name])
            _say(f"{name} done {clock.spent_s:.0f} s after the start")
            text = _write(figures)  # after each part, so that nothing measured is lost with what comes later
    sys.stdout.write(text)
    return 1 if figures.failed else 0


class Clock:
    """How much of the time for all of it is spent."""

    def __init__(self, limit_s: float) -> None:
        self._began_s, self._limit_s = time.monotonic(), limit_s

    @property
    def spent_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began_s

    def room(self, figures: Figures, what: str, share: float) -> bool:
        """Whether less than ``share`` of the time is spent; if not, ``what`` is said to be left out."""
        if self.spent_s < share * self._limit_s:
            return True
        figures.skipped[what] = f"left out after {self.spent_s:.0f} s, to end within {self._limit_s:.0f} s"
        _say(f"{what} is {figures.skipped[what]}")
        return False


def _or_why(figures: Figures, name: str, measure: Callable[[], None]) -> None:
    """Measure, or keep the reason why not: one engine or part that fails may not cost the others."""
    try:
        measure()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is printed and the rest goes on
        figures.failed[name] = f"{type(error).__name__}: {error}"[:300]
        _say(f"{name} was not measured: {figures.failed[name]}")


def _live(figures: Figures, kafka: str, seconds: float) -> None:
    _say("live: 10,000 events a second, then kill -9")
    figures.live = live(kafka, seconds)


def _latency(figures: Figures, kafka: str, seconds: float) -> None:
    _say("latency: 10,000 events a second, early partials")
    figures.latency = latency(kafka, seconds)


def _sizes(figures: Figures, plan: Plan, clock: Clock) -> None:
    for shape in plan.sizes:
        if not clock.room(figures, f"{shape[0]} services x {shape[1]} arms x {shape[2]} segments", 0.9):
            continue
        words = dict(zip(("services", "arms", "segments", "events", "minutes"), map(str, shape), strict=True))
        command = [sys.executable, "-m", "benchmarks.bench.size", *(w for k, v in words.items() for w in (f"--{k}", v))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=SIZE_S)
        size = msgspec.json.decode(done.stdout, type=Size)
        figures.sizes.append(size)
        _say(
            f"{size.services} services x {size.arms} arms x {size.segments} segments: {size.us:.2f} us CPU/event, "
            f"{size.ingest_mb:.0f} + {size.optimize_mb:.0f} MB"
        )


@contextmanager
def _broker(address: str) -> Iterator[str]:
    """A broker of its own below ``.bench``, unless an address is given."""
    if address:
        yield address
        return
    env = {**os.environ, "KAFKA_PORT": PORT, "KAFKA_HOME_DIR": str(BENCH / "kafka")}
    script = [sys.executable, str(ROOT / "deploy" / "kafka" / "kafka.py")]
    subprocess.run([*script, "start"], env=env, check=True, timeout=BROKER_S)
    try:
        yield f"127.0.0.1:{PORT}"
    finally:
        subprocess.run([*script, "stop"], env=env, check=False, timeout=BROKER_S)


def _rounds(figures: Figures, plan: Plan, clock: Clock, kafka: str, peers: Path, names: list[str]) -> None:
    engines = [engine for engine in (OURS, *PEERS) if engine.name in names and _prepared(figures, engine, peers)]
    cases = {}
    for engine in engines:
        events = max(50_000, int(plan.events * engine.share))
        _say(f"a topic of {events:,} events for {engine.name}")
        cases[engine.name] = Case(MAIN, fill(kafka, BENCH / "answers", events, 160, 4))
    for number in range(plan.rounds):
        for engine in engines if number % 2 == 0 else reversed(engines):
            case, what = cases[engine.name], f"{engine.label}, round {number + 1}"
            enough = engine.share <= SLOW and number >= plan.slow_rounds
            if enough or (number and not clock.room(figures, what, ROUNDS_SHARE)):
                continue
            _or_why(figures, what, partial(_one, figures, engine, case, kafka, peers))


def _prepared(figures: Figures, engine: Engine, peers: Path) -> bool:
    try:
        prepare(engine, peers)
    except NotInstallableError as error:
        figures.skipped[engine.label] = str(error)
        _say(f"{engine.name} is left out: {error}")
        return False
    return True


def _growth(figures: Figures, plan: Plan, clock: Clock, kafka: str) -> None:
    answers, events = BENCH / "answers", plan.growth_events
    measure = partial(_measured, figures, kafka)
    whole = fill(kafka, answers, plan.events, 160, 4)
    windows = [
        Case("1 window size kept", whole, env={"OURS_WINDOWS": "60"}),
        Case("4 window sizes", whole, (60, 300, 900, 3600)),
    ]
    for number in range(plan.window_rounds):
        measure(windows if number % 2 == 0 else windows[::-1], number)
    cases = [
        Case("160 keys", fill(kafka, answers, events, 160, 4)),
        Case("16,000 keys", fill(kafka, answers, events, 16_000, 4)),
    ]
    cases += [
        Case(f"{n} partitions", fill(kafka, answers, events, 160, n))
        for n in plan.partitions
        if clock.room(figures, f"{n} partitions", GROWTH_SHARE)
    ]
    for number in range(plan.growth_rounds):
        measure(cases, number)


def _measured(figures: Figures, kafka: str, cases: list[Case], number: int) -> None:
    for case in cases:
        _or_why(figures, f"{case.name}, round {number + 1}", partial(_one, figures, OURS, case, kafka, OWN_PEERS))


def _one(figures: Figures, engine: Engine, case: Case, kafka: str, peers: Path) -> None:
    done = run(engine, case, kafka, peers)
    figures.runs.append(done)
    right = "right" if done.verdict.right else f"NOT RIGHT {done.verdict} {done.note}"
    _say(
        f"{engine.name:<9} {case.name:<20} {done.cpu_us:8.2f} us CPU/event {done.per_s:>10,.0f} ev/s "
        f"({done.per_free_s:,.0f} with a free core) {done.rss_mb:5.0f} MB, others {done.others:.1f} cores: {right}"
    )


def _write(figures: Figures) -> str:
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    (EVIDENCE / "bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(figures)) + b"\n")
    measured = [(name, runs) for name in LABELS if (runs := runs_of(figures, name, MAIN))]
    rows = [
        (LABELS[name].label, median(runs), min(r.cpu_us for r in runs), max(r.cpu_us for r in runs), name == "ours")
        for name, runs in measured
    ]
    if rows:
        rows.sort(key=lambda row: row[1])
        (EVIDENCE / "bench.svg").write_text(bars("CPU per event, microseconds (log scale)", rows))
    text = page(figures)
    (EVIDENCE / "bench.md").write_text(text)
    return text


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
