"""Processes, fleets and brokers fail under a compressed stream: hours of event time in a minute."""

import time

from tests.chaos import faults
from tests.chaos.faults import WORKER_FAULTS, Fault, drawn, scale_to, strike
from tests.chaos.scenario import Size
from tests.chaos.traffic import Plan
from tests.chaos.verdict import Verdict
from tests.chaos.world import READY_S, World
from tests.e2e.harness.waits import until


def processes(world: World, size: Size) -> Verdict:
    """Faults of processes, drawn by seed; meanwhile the changelogs are compacted as hard as a broker can."""
    world.compact_hard()
    world.start(2)
    names = drawn(world, WORKER_FAULTS, size.of(5, 12))
    with world.traffic(Plan(events=size.of(90_000, 200_000), rate=3000, seed=world.seed)) as sender:
        strike(world, WORKER_FAULTS, names, 1.5)
    sender.tail()
    return world.judge()


def fleet(world: World, size: Size) -> Verdict:
    """Scaling 1 -> 3 -> 2, then a rolling restart."""
    world.start(1)
    world.await_ready()
    steps = {"1 -> 3": scale_to(3), "3 -> 2": scale_to(2), "rolling restart": faults.rolling_restart}
    with world.traffic(Plan(events=size.of(60_000, 200_000), rate=3000, seed=world.seed)) as sender:
        strike(world, steps, list(steps), 1.0)
    sender.tail()
    return world.judge()


def outage(world: World, size: Size) -> Verdict:
    """All workers are gone for longer than a source may be silent: nobody is left behind when they come back."""
    silent_s = world.settings.optimize.silent_s
    world.start(2)
    world.await_ready()
    with world.traffic(Plan(events=40_000, rate=1500, seed=world.seed)) as sender:
        time.sleep(4)
        world.say(f"all workers killed for {silent_s + 7} s; a source may be silent for {silent_s} s")
        for worker in world.workers:
            worker.kill()
        world.workers.clear()
        time.sleep(silent_s + 7)
        world.start(2)
    sender.tail()
    verdict = world.judge()
    if world.found.incomplete:
        verdict.violations["complete"] = [f"{len(world.found.incomplete)} minutes came with complete=false"]
    return verdict


def broker(world: World, size: Size) -> Verdict:
    """The broker killed and started again, and stopped for a while; then all workers killed."""
    world.start(2)
    world.await_ready()
    steps: dict[str, Fault] = {}
    for down_s in (5.0, 15.0, 75.0) if size.long else (world.rnd.uniform(1, 6),):
        steps[f"broker killed, {down_s:.0f} s down"] = faults.broker_killed(down_s)
    for pause_s in (8.0, 70.0) if size.long else (8.0,):
        steps[f"broker stopped for {pause_s:.0f} s"] = faults.broker_paused(pause_s)
    steps["kill all"] = faults.kill_all
    with world.traffic(Plan(events=size.of(60_000, 200_000), rate=2500, seed=world.seed)) as sender:
        strike(world, steps, list(steps), 1.0)
    sender.tail()
    return world.judge()


def leaders(world: World, size: Size) -> Verdict:
    """Three nodes: those that lead a partition of evidence or facts, or coordinate a group, are killed or stopped."""
    world.start(2)
    world.await_ready()
    stopped_s = world.rnd.uniform(4, 8)  # longer than the controller waits for a node: it wakes up as a zombie
    steps: dict[str, Fault] = {
        "leader of evidence killed": faults.leader_killed("responses", 0),
        "leader of facts killed": faults.leader_killed("facts", world.rnd.randrange(4)),
        "coordinator of ingest killed": faults.coordinator_killed("ingest"),
        "coordinator of optimize killed": faults.coordinator_killed("optimize"),
        "leader of a changelog stopped": faults.leader_stopped("services", world.rnd.randrange(4), stopped_s),
        "leader of evidence stopped": faults.leader_stopped("responses", 0, stopped_s),
        "leaders moved back": faults.leaders_moved,
        "kill all": faults.kill_all,
    }
    with world.traffic(Plan(events=size.of(100_000, 200_000), rate=1000, seed=world.seed)) as sender:
        strike(world, steps, drawn(world, steps, len(steps)), 1.0)
    sender.tail()
    until(world.own.whole, READY_S, "not every copy is in sync")  # a new leader shows what is acked once all follow
    return world.judge()


def mock(world: World, size: Size) -> Verdict:
    """Kills on the mock cluster, where topics have other clocks and partition counts."""
    world.start(1)
    world.await_ready()
    world.start(1)  # its coordinator refuses members that join at the same moment
    chosen = {n: f for n, f in WORKER_FAULTS.items() if n.startswith("kill") or n in ("SIGTERM", "hiccup")}
    names = drawn(world, chosen, size.of(2, 5))
    with world.traffic(Plan(events=9_000, rate=900, seed=world.seed, step_s=0.1)) as sender:
        strike(world, chosen, names, 1.0)
    sender.tail()
    return world.judge()
