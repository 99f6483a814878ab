"""Run scenarios one after the other or side by side, print what happened, and say whether all was exact."""

import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from app.adapters.kafka.mock import MockCluster
from tests.chaos import evidence
from tests.chaos.broker import OwnBroker, own_broker, why_no_kafka
from tests.chaos.result import Result
from tests.chaos.scenario import Scenario, Size
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.world import World
from tests.e2e.harness.broker import Broker

BESIDE = 2
"""Scenarios side by side: two cores."""
LONG_S = 28 * 60.0


def main(seed: int, only: str, *, long: bool) -> int:
    """The exit code: 0 when every verdict is exact, 1 when one is not, 2 for a name that is none."""
    seed = seed or int(time.time()) % 1_000_000
    chosen = [s for s in SCENARIOS if not only or s.name in only.split(",")]
    if unknown := set(filter(None, only.split(","))) - {s.name for s in SCENARIOS}:
        _say(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in SCENARIOS)}")
        return 2
    if missing := why_no_kafka():
        _say(f"skipped: {missing}")
        return 0
    _say(f"seed {seed}{', long' if long else ''}: {', '.join(s.name for s in chosen)}")
    began, first = time.monotonic(), seed
    results: list[Result] = []
    with own_broker() as broker:
        while not results or (long and all(r.exact for r in results) and time.monotonic() - began < LONG_S):
            results += run_all(chosen, seed, broker, Size(long=long))
            seed += 1
    wrong = [r for r in results if not r.exact]
    _say(f"{len(results) - len(wrong)} of {len(results)} exact in {time.monotonic() - began:.0f} s")
    for result in wrong:
        _say(f"again with: make chaos SEED={result.seed} ONLY={result.name}{' LONG=1' if long else ''}")
    if not only:
        command = f"make chaos SEED={first}{' LONG=1' if long else ''}"
        _say(f"written: {evidence.write(results, SCENARIOS, command)}")
    return 1 if wrong else 0


def run_all(chosen: Sequence[Scenario], seed: int, broker: OwnBroker, size: Size) -> list[Result]:
    """First those that do not disturb each other, side by side, then the others one by one."""
    beside = [s for s in chosen if not s.alone]
    with ThreadPoolExecutor(BESIDE) as pool:
        results = list(pool.map(lambda s: run_one(s, seed, broker, size), beside))
    return results + [run_one(s, seed, broker, size) for s in chosen if s.alone]


def run_one(scenario: Scenario, seed: int, broker: OwnBroker, size: Size) -> Result:
    """One scenario; whatever goes wrong is its result."""
    folder, began = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-")), time.monotonic()
    result = Result(scenario.name, seed, 0.0, None, "", [], {}, folder)
    with ExitStack() as stack:
        try:
            world = _world(scenario, seed, broker, folder, stack)
            result.said, result.notes = world.said, world.notes
            result.verdict = scenario.run(world, size)
        except Exception:  # noqa: BLE001  # it is the result, and it is printed
            result.failed = traceback.format_exc()
    result.took_s = time.monotonic() - began
    _report(result)
    if result.exact:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _world(scenario: Scenario, seed: int, broker: OwnBroker, folder: Path, stack: ExitStack) -> World:
    if scenario.mock:
        address = stack.enter_context(MockCluster()).bootstrap_servers
        world = World(scenario.name, seed, Broker(address, real=False), None, folder, **scenario.overrides)
    else:
        world = World(scenario.name, seed, broker.broker, broker, folder, **scenario.overrides)
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
