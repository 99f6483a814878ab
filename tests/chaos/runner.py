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

BESIDE = 4
"""Scenarios side by side: on two cores, since most of them mostly wait."""
SEEDS = 20
LONG_S = 28 * 60.0


def main(seed: int, only: str, *, long: bool, ci: bool = False, minutes: float = 0.0, write: bool = False) -> int:
    """The exit code: 0 when every verdict is exact, 1 when one is not, 2 for a name that is none.

    ``long``: one seed after the other, at most ``SEEDS`` and no new one after ``minutes`` (0: about half an hour), each
    with faults of processes drawn anew and a few of the other scenarios in turn, each tenth of them in full length; with
    ``only``, those in full length. ``ci``: those of ``make test``; ``write``: the page also of a part.
    """
    seed = seed or int(time.time()) % 1_000_000
    chosen = [s for s in SCENARIOS if (s.name in only.split(",") if only else s.ci if ci else long or not s.only_long)]
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
        turns = long and not only
        for number in range(SEEDS if turns else 1):
            turn = _turn(chosen, number) if turns else chosen
            results += run_all(turn, seed, broker, Size(long=long and (not turns or number % 10 == 1)))
            seed += 1
            if any(not r.exact for r in results) or time.monotonic() - began > (minutes * 60 or LONG_S):
                break
    wrong = [r for r in results if not r.exact]
    _say(f"{len(results) - len(wrong)} of {len(results)} exact in {time.monotonic() - began:.0f} s")
    for result in wrong:
        _say(f"again with: make chaos SEED={result.seed} ONLY={result.name}{' LONG=1' if result.long else ''}")
    if write or (not only and not ci):
        command = f"make chaos{'-ci' if ci else ''} SEED={first}{' LONG=1' if long else ''}"
        command += f"{f' MINUTES={minutes:g}' if minutes else ''}{f' ONLY={only}' if only else ''}"
        _say(f"written: {evidence.write(results, SCENARIOS, command, long=long)}")
    return 1 if wrong else 0


def _turn(chosen: Sequence[Scenario], number: int) -> list[Scenario]:
    """The first of them, and two of the others in turn; one that must be alone comes with one."""
    first, *others = chosen
    beside, alone = [s for s in others if not s.alone], [s for s in others if s.alone]
    turn = [first, *(beside[(2 * number + i) % len(beside)] for i in range(min(2, len(beside))))]
    return [*turn, alone[number // 4 % len(alone)]] if alone and number % 4 == 3 else turn


def run_all(chosen: Sequence[Scenario], seed: int, broker: OwnBroker, size: Size) -> list[Result]:
    """First those that do not disturb each other, side by side, then the others one by one."""
    beside = [s for s in chosen if not s.alone]
    with ThreadPoolExecutor(BESIDE) as pool:
        results = list(pool.map(lambda s: run_one(s, seed, broker, size), beside))
    return results + [run_one(s, seed, broker, size) for s in chosen if s.alone]


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
