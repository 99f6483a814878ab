"""Run scenarios with one seed or several, some side by side; print what happened, and say whether all was exact."""

import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.adapters.kafka.mock import MockCluster
from tests.chaos import evidence, kept
from tests.chaos.broker import OwnBroker, own_broker, why_no_kafka
from tests.chaos.result import Result
from tests.chaos.scenario import Scenario, Size
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import World
from tests.e2e.harness.broker import Broker

BESIDE = 4
"""Scenarios side by side: on two cores, since most of them mostly wait."""
SEEDS = 20
LONG_S = 28 * 60.0
OTHERS = 3
"""Scenarios that a seed of several gets, besides the first."""
EVERY_LONG = 10
"""Of a long run each tenth seed is in full length."""


class Job(msgspec.Struct, frozen=True):
    """One scenario with one seed, still to run."""

    scenario: Scenario
    seed: int
    size: Size


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for. ``seed`` 0: one from the clock; ``seeds`` and ``minutes`` 0: the default.

    ``seeds``: successive ones, each with faults of processes drawn anew and a few of the other scenarios in turn; after
    ``minutes`` nothing new begins. ``long``: 20 of them in about half an hour, each tenth in full length. With ``only``
    every seed gets those (of a long run in full length). ``ci``: those of ``make test``; ``write``: kept even so.
    """

    seed: int = 0
    seeds: int = 0
    minutes: float = 0.0
    only: str = ""
    long: bool = False
    ci: bool = False
    write: bool = False

    @property
    def command(self) -> str:
        """The words of ``make`` that ask for the same."""
        words = [f"make chaos{'-ci' if self.ci else ''} SEED={self.seed}"]
        words += [f"SEEDS={self.seeds}"] if self.seeds else []
        words += [f"ONLY={self.only}"] if self.only else []
        words += ["LONG=1"] if self.long else []
        words += [f"MINUTES={self.minutes:g}"] if self.minutes else []
        return " ".join(words)


def main(asked: Asked) -> int:
    """The exit code: 0 when every verdict is exact, 1 when one is not, 2 for a name that is none."""
    asked = msgspec.structs.replace(asked, seed=asked.seed or int(time.time()) % 1_000_000)
    if unknown := set(filter(None, asked.only.split(","))) - {s.name for s in SCENARIOS}:
        _say(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in SCENARIOS)}")
        return 2
    if missing := why_no_kafka():
        _say(f"skipped: {missing}")
        return 0
    todo = jobs(asked)
    _say(f"{asked.command}: {len(todo)} runs of {', '.join(dict.fromkeys(job.scenario.name for job in todo))}")
    began = time.monotonic()
    seconds = asked.minutes * 60 or (LONG_S if asked.long and not asked.only else float("inf"))
    origin = kept.origin(asked.command) if asked.write or not asked.ci else None
    results: list[Result] = []
    with own_broker() as broker:
        for result in _run(todo, broker, began + seconds):
            results.append(result)
            if origin is not None:
                _keep(result, origin)
    wrong = [r for r in results if not r.exact]
    left = f"; {len(todo) - len(results)} not begun in time" if len(results) < len(todo) else ""
    _say(f"{len(results) - len(wrong)} of {len(results)} exact in {time.monotonic() - began:.0f} s{left}")
    for result in wrong:
        _say(f"again with: {result.again}")
    if origin is not None and (runs := kept.kept(origin.code)):
        _say(f"written: {evidence.write(runs, SCENARIOS)}")
    return 1 if wrong else 0


def _keep(result: Result, origin: kept.Origin) -> None:
    """Its processes may have run other code than ``origin`` says, if that was edited meanwhile."""
    if kept.code() == origin.code:
        kept.keep(kept.run_of(result, origin))
    else:
        _say(f"{result.name}, seed {result.seed}: not kept, since the code has changed while it ran")


def jobs(asked: Asked) -> list[Job]:
    """What there is to do, in order."""
    many = asked.long or asked.seeds > 1
    names = asked.only.split(",")
    chosen = [
        s for s in SCENARIOS if (s.name in names if asked.only else s.ci if asked.ci else many or not s.only_many)
    ]
    if asked.only:
        return [Job(s, asked.seed + n, Size(long=asked.long)) for n in range(asked.seeds or 1) for s in chosen]
    if not many:
        return [Job(s, asked.seed, Size()) for s in chosen]
    return [
        Job(scenario, asked.seed + number, Size(long=asked.long and number % EVERY_LONG == 1))
        for number in range(asked.seeds or SEEDS)
        for scenario in _turn(chosen, number)
    ]


def _turn(chosen: Sequence[Scenario], number: int) -> list[Scenario]:
    """The first of them, and some of the others in turn; each that measures comes with one seed, since it is alone."""
    first, *others = chosen
    beside, alone = [s for s in others if not s.alone], [s for s in others if s.alone]
    turn = [beside[(OTHERS * number + i) % len(beside)] for i in range(min(OTHERS, len(beside)))]
    return [first, *turn, *alone[number : number + 1]]


def _run(todo: Sequence[Job], broker: OwnBroker, ends: float) -> Iterator[Result]:
    """First those that measure, one by one, then the others side by side; none is begun after ``ends``."""

    def run(job: Job) -> Result | None:
        return run_one(job.scenario, job.seed, broker, job.size) if time.monotonic() < ends else None

    for job in todo:
        if job.scenario.alone and (result := run(job)):
            yield result
    with ThreadPoolExecutor(BESIDE) as pool:
        futures = [pool.submit(run, job) for job in todo if not job.scenario.alone]
        for future in as_completed(futures):
            if result := future.result():
                yield result


def run_one(scenario: Scenario, seed: int, broker: OwnBroker, size: Size) -> Result:
    """One scenario; whatever goes wrong is its result."""
    folder, began = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-")), time.monotonic()
    result = Result(scenario.name, seed, 0.0, None, "", [], {}, folder, size.long)
    with ExitStack() as stack:
        try:
            world = _world(scenario, seed, broker, folder, stack, size)
            result.said, result.notes = world.said, world.notes
            result.verdict = scenario.run(world, size)
        except Exception:  # noqa: BLE001  # it is the result, and it is printed
            result.failed = traceback.format_exc()
    result.took_s = time.monotonic() - began
    _report(result)
    if result.exact:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _world(scenario: Scenario, seed: int, broker: OwnBroker, folder: Path, stack: ExitStack, size: Size) -> World:
    overrides = {**scenario.overrides, **(scenario.long_overrides if size.long else {})}
    if scenario.mock:
        address = stack.enter_context(MockCluster()).bootstrap_servers
        world = World(scenario.name, seed, Broker(address, real=False), None, folder, **overrides)
    else:
        if scenario.nodes:
            broker = stack.enter_context(own_broker(scenario.nodes))
        world = World(scenario.name, seed, broker.broker, broker, folder, **overrides)
    stack.callback(world.close)
    return world


def _report(result: Result) -> None:
    verdict = result.verdict
    word = "exact" if result.exact else "VIOLATED" if verdict else "FAILED"
    _say(f"{result.name}, seed {result.seed}: {word} in {result.took_s:.0f} s")
    for line in result.said:
        _say(f"    {line}")
    if verdict is not None:
        _say(
            f"    {verdict.events} events, {verdict.rows} rows, {verdict.late} late, {verdict.duplicates} duplicates, "
            f"{verdict.letters} dead letters, {verdict.orders} commands ({verdict.repeated_orders} repeated), "
            f"{verdict.repeated} outputs written again"
        )
        for line in verdict.lines():
            _say(f"    ! {line}")
    for name, note in result.notes.items():
        _say(f"    {name}: {note}")
    if result.failed:
        _say(result.failed)
    if not result.exact:
        _say(f"    logs: {result.folder}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
