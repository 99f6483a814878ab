"""Named faults: each is observed to have happened, and leaves the deployment able to go on."""

import signal
import time
from collections.abc import Callable, Mapping

import psutil

from tests.chaos.broker import Node
from tests.chaos.world import READY_S, World
from tests.e2e.harness.deployment import SESSION_S
from tests.e2e.harness.waits import TooSlow, until
from tests.e2e.harness.workers import Worker

Fault = Callable[[World], None]
LEAVE_S = 30.0


def _any(world: World) -> Worker:
    return world.rnd.choice(world.workers)


def _replace(world: World, worker: Worker) -> None:
    world.workers.remove(worker)
    world.start()


# ---- one process ----
def kill_ingest(world: World) -> None:
    _kill_agent(_any(world), "ingest")


def kill_optimize(world: World) -> None:
    _kill_agent(_any(world), "optimize")


def _kill_agent(worker: Worker, name: str) -> None:
    """kill -9; the supervisor starts another, after a pause that grows with the kills."""
    victim = worker.await_agent(name, READY_S)
    victim.kill()
    until(lambda: worker.agents().get(name, victim).pid != victim.pid, READY_S, f"{name} was not started again")


def kill_worker(world: World) -> None:
    """kill -9 of a supervisor; its agents end with it; another worker takes its place."""
    worker = _any(world)
    agents = list(worker.agents().values())
    worker.kill()
    _, alive = psutil.wait_procs(agents, timeout=60)  # one that still starts ends once it has: slow on a busy machine
    if alive:
        raise AssertionError(f"agents outlived their supervisor: {alive}")
    _replace(world, worker)


def kill_all(world: World) -> None:
    """kill -9 of every process of every worker."""
    workers = list(world.workers)
    for worker in workers:
        for agent in worker.agents().values():
            agent.kill()
        worker.kill()
    for worker in workers:
        _replace(world, worker)


def sigterm(world: World) -> None:
    """A worker leaves in order; another takes its place."""
    worker = _any(world)
    _leave(worker)
    _replace(world, worker)


def _leave(worker: Worker) -> None:
    until(worker.ready, READY_S, f"a worker does not become ready; see {worker.log}")
    code = worker.terminate(LEAVE_S)
    if code:
        raise AssertionError(f"SIGTERM ended a worker with {code}; see {worker.log}")


# ---- zombies ----
def zombie_ingest(world: World) -> None:
    _zombie(_any(world), "ingest", SESSION_S + world.rnd.uniform(1, 4))


def zombie_optimize(world: World) -> None:
    _zombie(_any(world), "optimize", SESSION_S + world.rnd.uniform(1, 4))


def hiccup(world: World) -> None:
    """Stopped for less than the session timeout."""
    _zombie(_any(world), world.rnd.choice(("ingest", "optimize")), world.rnd.uniform(0.5, SESSION_S - 2))


def _zombie(worker: Worker, name: str, for_s: float) -> None:
    victim = worker.await_agent(name)
    victim.send_signal(signal.SIGSTOP)
    try:
        time.sleep(for_s)
    finally:
        victim.send_signal(signal.SIGCONT)


# ---- the fleet ----
def rolling_restart(world: World) -> None:
    """An upgrade: a new worker for each old one, the old one ended in order once the new one is ready."""
    for worker in list(world.workers):
        [new] = world.start()
        until(new.ready, READY_S, f"the new worker does not become ready; see {new.log}")
        _leave(worker)
        world.workers.remove(worker)


def scale_to(count: int) -> Fault:
    """Start or end workers until there are ``count``."""

    def scale(world: World) -> None:
        while len(world.workers) > count:
            _leave(world.workers.pop())
        world.start(count - len(world.workers))
        world.await_ready()

    return scale


# ---- the broker ----
def broker_killed(down_s: float) -> Fault:
    """kill -9, and a start ``down_s`` later."""

    def kill(world: World) -> None:
        world.own.kill()
        time.sleep(down_s)
        world.own.start()

    return kill


def broker_paused(for_s: float) -> Fault:
    """Nothing answers for ``for_s``."""
    return lambda world: world.own.pause(for_s)


# ---- nodes of a cluster ----
def leader_killed(role: str, partition: int) -> Fault:
    """kill -9 of the node that leads a partition; another leads it before this one starts again."""
    return lambda world: _without_node(world, lambda: world.own.leader(_topic(world, role), partition))


def coordinator_killed(agent: str) -> Fault:
    """kill -9 of the node that coordinates an agent's consumer group."""
    return lambda world: _without_node(world, lambda: world.own.coordinator(f"{world.settings.kafka.group}-{agent}"))


def leader_stopped(role: str, partition: int, for_s: float) -> Fault:
    """SIGSTOP for long enough to be replaced; then it goes on as if it still led."""

    def stop(world: World) -> None:
        node = _node(lambda: world.own.leader(_topic(world, role), partition))
        world.say(f"node {node.number} leads {role}-{partition}, and stops for {for_s:.0f} s")
        node.pause(for_s)
        until(world.own.whole, READY_S, "not every copy is in sync again")

    return stop


def leaders_moved(world: World) -> None:
    """Every partition goes back to the node it was made with, while all nodes run."""
    world.own.move_leaders()


def _without_node(world: World, where: Callable[[], Node | None]) -> None:
    node = _node(where)
    node.kill()
    until(lambda: where() not in (None, node), READY_S, f"nobody took over from node {node.number}")
    world.say(f"node {node.number} killed; node {_node(where).number} has taken over")
    time.sleep(world.rnd.uniform(2, 6))
    node.start()
    until(world.own.whole, READY_S, "not every copy is in sync again")
    world.say(f"node {node.number} is back, every copy in sync")


def _node(where: Callable[[], Node | None]) -> Node:
    """The node, once there is one."""
    deadline = time.monotonic() + READY_S
    while (node := where()) is None:
        if time.monotonic() > deadline:
            raise TooSlow(f"nobody leads after {READY_S:.0f} s")
        time.sleep(0.1)
    return node


def _topic(world: World, role: str) -> str:
    topic: str = getattr(world.settings.topics, role)
    return topic


WORKER_FAULTS: Mapping[str, Fault] = {
    "kill ingest": kill_ingest,
    "kill optimize": kill_optimize,
    "kill worker": kill_worker,
    "kill all": kill_all,
    "SIGTERM": sigterm,
    "zombie ingest": zombie_ingest,
    "zombie optimize": zombie_optimize,
    "hiccup": hiccup,
}
"""Faults of processes: any of them at any time, in any order."""


def drawn(world: World, faults: Mapping[str, Fault], count: int) -> list[str]:
    """``count`` names by the world's seed: every fault once before any comes twice."""
    names: list[str] = []
    while len(names) < count:
        names += world.rnd.sample(sorted(faults), len(faults))
    return names[:count]


def strike(world: World, faults: Mapping[str, Fault], names: list[str], pause_s: float) -> None:
    """The named faults in order, some traffic between them."""
    for name in names:
        time.sleep(world.rnd.uniform(0.5, 1.5) * pause_s)
        world.say(name)
        faults[name](world)
