"""The scenarios by name. Each gets a fresh deployment and returns its verdict; everything is drawn from the seed."""

import time
from collections.abc import Callable, Mapping

import msgspec

from app.adapters.kafka.admin import KafkaAdmin
from tests.chaos import faults
from tests.chaos.account import until
from tests.chaos.faults import WORKER_FAULTS, drawn, scale_to, strike
from tests.chaos.traffic import Plan
from tests.chaos.verdict import Verdict
from tests.chaos.world import LATENESS_S, SESSION_S, World


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



# ---- live traffic: event time is the clock's -------------------------------------------------------------------------
def _live(seed: int, seconds: int, rate: int = 400) -> Plan:
    return Plan(events=int(seconds * rate), rate=rate * 1.25, seed=seed, live=True, commands=10, late=0.0, base_s=time.time())


def _await_closed(world: World, minute_s: float) -> None:
    """Until the minute that ends at ``minute_s`` has been closed, a while after it can be."""
    time.sleep(max(0.0, minute_s + LATENESS_S + 2 * SESSION_S - time.time()))


def clocks(world: World, size: Size) -> Verdict:
    """Producers whose clocks are ahead by hours to centuries, and one worker whose clock is an hour ahead."""
    world.start(1)
    world.start(1, world.injected(clock_s="3900"))
    seconds = size.of(85, 300)
    plan = msgspec.structs.replace(_live(world.seed, seconds), future=0.001)
    world.await_ready()
    with world.traffic(plan):
        world.say("one worker's clock is 65 minutes ahead")
        time.sleep(seconds - 20)
        world.say("kill -9 of the other worker: the one with the wrong clock owns everything")
        alone = world.workers.pop(0)
        alone.kill()
    return _judge_live(world)


def growth(world: World, size: Size) -> Verdict:
    """Partitions are added to an evidence topic and used at once."""
    world.start(2)
    seconds = size.of(85, 300)
    world.await_ready()
    with world.traffic(_live(world.seed, seconds)) as sender:
        time.sleep(8)
        KafkaAdmin(world.settings).grow(world.settings.topics.responses, 10)
        world.say("responses grow from 7 to 10 partitions")
        sender.grow("responses", 10)
    return _judge_live(world)


def _judge_live(world: World) -> Verdict:
    until_s = int(time.time()) // 60 * 60 - (60 if time.time() % 60 < LATENESS_S else 0)
    _await_closed(world, until_s)
    return world.judge(until(world.account(), until_s), within_s=30, until_s=until_s)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "processes", "kill -9 of agents, of a worker, of all; SIGTERM; zombies; hiccups: drawn by seed", processes
    ),
    Scenario("fleet", "scaling 1 -> 3 -> 2, then a rolling restart", fleet),
    Scenario("broker", "broker kill -9 and restart, broker stopped, then kill -9 of all", broker, alone=True),
    Scenario("clocks", "producers hours to centuries ahead; one worker's clock 65 minutes ahead, then alone", clocks),
    Scenario("growth", "an evidence topic grows from 7 to 10 partitions, used at once", growth),
)
