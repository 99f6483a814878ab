"""Figures rather than faults: memory of a worker that idles, and recovery from kill -9 under live load."""

import statistics
import time

import psutil

from tests.chaos.scenario import Size
from tests.chaos.traffic import Plan
from tests.chaos.verdict import Verdict
from tests.chaos.world import READY_S, World
from tests.e2e.harness.deployment import SESSION_S
from tests.e2e.harness.workers import Worker

RATE = 4000
MB = 1 << 20


def recovery(world: World, size: Size) -> Verdict:
    """kill -9 of all processes of the only worker; another is started at once, and must catch up."""
    [worker] = world.start(1)
    world.await_ready()
    time.sleep(5)
    world.notes["idle RSS of supervisor, ingest and optimize"] = _memory(worker)
    kills = size.of(2, 5)
    took: list[float] = []
    plan = Plan(
        events=RATE * (30 + 30 * kills), rate=RATE * 1.2, seed=world.seed, live=True, late=0.0, commands=4,
        transactions=0.0,  # an open one holds what is behind it back
    )  # fmt: skip
    with world.traffic(plan) as sender:
        for _ in range(kills):
            time.sleep(8)
            began = time.monotonic()
            old = world.workers.pop()
            agents = list(old.agents().values())
            for agent in agents:
                agent.kill()
            old.kill()
            psutil.wait_procs(agents, timeout=60)
            world.start(1)
            _await_caught_up(world)
            took.append(time.monotonic() - began)
        sender.stop.set()
    world.notes[f"caught up after kill -9 at {RATE} ev/s, s (session timeout {SESSION_S} s)"] = (
        f"{', '.join(f'{s:.1f}' for s in took)}; beyond the session timeout: median "
        f"{statistics.median(took) - SESSION_S:.1f}"
    )
    world.notes["RSS under load"] = _memory(world.workers[0])
    until_s = time.time() // 60 * 60
    time.sleep(max(0.0, until_s + 30 - time.time()))
    from tests.chaos.account import until

    return world.judge(until(world.account(), int(until_s)), until_s=until_s)


def _await_caught_up(world: World) -> None:
    """Ready, and less than half a second of traffic behind."""
    [worker] = world.workers
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if worker.ready() and world.metric("llm_optimizer_lag_records") < RATE / 2 and _moves(world):
                return
        except (OSError, AssertionError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"not caught up in {READY_S:.0f} s; see {worker.log}")


def _moves(world: World) -> bool:
    return world.metric("llm_optimizer_records_folded_total") > 0


def _memory(worker: Worker) -> str:
    processes = [psutil.Process(worker.pid), *worker.agents().values()]
    rss = [p.memory_info().rss / MB for p in processes]
    uss = [p.memory_full_info().uss / MB for p in processes]
    return f"{' + '.join(f'{m:.0f}' for m in rss)} = {sum(rss):.0f} MB (not shared: {sum(uss):.0f} MB)"
