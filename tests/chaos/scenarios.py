"""The scenarios by name. Each gets a fresh deployment and returns its verdict; everything is drawn from the seed."""

from collections.abc import Callable, Mapping

import msgspec

from tests.chaos import faults
from tests.chaos.faults import WORKER_FAULTS, drawn, scale_to, strike
from tests.chaos.traffic import Plan
from tests.chaos.verdict import Verdict
from tests.chaos.world import World


class Size(msgspec.Struct, frozen=True):
    """How much of everything: ``long`` is for half an hour."""

    long: bool = False

    def of(self, short: int, long: int) -> int:
        return long if self.long else short


Run = Callable[[World, Size], Verdict]


class Scenario(msgspec.Struct, frozen=True):
    """``says``: what is done, for the table. ``real``: needs a real broker; ``alone``: disturbs or measures others."""

    name: str
    says: str
    run: Run
    real: bool = True
    alone: bool = False
    overrides: Mapping[str, str] = {}


def processes(world: World, size: Size) -> Verdict:
    """Faults of processes, drawn by seed, while a compressed stream of hours runs."""
    world.start(2)
    plan = Plan(events=size.of(90_000, 200_000), rate=size.of(3000, 3000), seed=world.seed)
    names = drawn(world, WORKER_FAULTS, size.of(5, 12))
    with world.traffic(plan) as sender:
        strike(world, WORKER_FAULTS, names, 1.5)
    sender.tail()
    world.notes["faults"] = ", ".join(names)
    return world.judge()


def fleet(world: World, size: Size) -> Verdict:
    """Scaling 1 -> 3 -> 2, then a rolling restart, under load."""
    world.start(1)
    plan = Plan(events=size.of(75_000, 200_000), rate=3000, seed=world.seed)
    steps = {"1 -> 3": scale_to(3), "3 -> 2": scale_to(2), "rolling restart": faults.rolling_restart}
    with world.traffic(plan) as sender:
        world.await_ready()
        strike(world, steps, list(steps), 1.0)
    sender.tail()
    return world.judge()


def broker(world: World, size: Size) -> Verdict:
    """The broker killed and started again, and stopped for a while."""
    world.start(2)
    downs = [world.rnd.uniform(1, 6)] if not size.long else [world.rnd.uniform(5, 15), 75.0]
    pauses = [8.0] if not size.long else [8.0, 70.0]
    steps: dict[str, faults.Fault] = {}
    for down_s in downs:
        steps[f"broker killed, {down_s:.0f} s down"] = lambda w, s=down_s: faults.broker_killed(w, s)  # type: ignore[misc]
    for pause_s in pauses:
        steps[f"broker stopped for {pause_s:.0f} s"] = lambda w, s=pause_s: faults.broker_paused(w, s)  # type: ignore[misc]
    steps["kill all"] = faults.kill_all
    with world.traffic(Plan(events=size.of(60_000, 200_000), rate=2500, seed=world.seed)) as sender:
        world.await_ready()
        strike(world, steps, list(steps), 1.0)
    sender.tail()
    return world.judge()


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "processes", "kill -9 of agents, of a worker, of all; SIGTERM; zombies; hiccups: drawn by seed", processes
    ),
    Scenario("fleet", "scaling 1 -> 3 -> 2, then a rolling restart", fleet),
    Scenario("broker", "broker kill -9 and restart, broker stopped, then kill -9 of all", broker, alone=True),
)
