"""More comes in than can be worked off: lag grows, memory does not, nothing is lost; one producer floods."""

import time

import msgspec
import psutil

from tests.chaos import faults
from tests.chaos.faults import Fault, strike
from tests.chaos.scenario import Size
from tests.chaos.traffic import Plan, Sender
from tests.chaos.verdict import Verdict
from tests.chaos.world import World
from tests.e2e.harness.workers import Worker

RATE = 3000
SLOW_US = 1000
"""What one record costs the slowed worker: it folds fewer than 1,000 a second."""
MB = 1 << 20
GROWTH_MB = 64
"""Memory may grow by this much from its largest value in the first third of the overload to that of the rest: what is
remembered of new minutes and services.
"""
CATCH_UP_MB = 512
"""Both agents together at the end of a catch-up at full speed: buffers at their bounds."""
POLL_S = 0.5


class Sample(msgspec.Struct, frozen=True):
    """``lag`` in records, ``lag_s`` the oldest source's, resident MB by agent."""

    at_s: float
    lag: float
    lag_s: float
    by_agent_mb: dict[str, float]

    @property
    def rss_mb(self) -> float:
        return sum(self.by_agent_mb.values())


def overload(world: World, size: Size) -> Verdict:
    """Sources three times as fast as the only worker, for a minute or more; then it is let go and catches up."""
    slow = world.folder / "slow"
    slow.write_text(str(SLOW_US))
    [worker] = world.start(1, world.injected(slow_file=str(slow)))
    world.await_ready()
    seconds = size.of(35, 180)
    plan = Plan(events=RATE * seconds, rate=RATE, seed=world.seed, commands=10)
    world.say(f"{RATE} records/s for {seconds} s to a worker that folds fewer than {1_000_000 // SLOW_US}")
    with world.traffic(plan) as sender:
        samples = list(_watched(world, worker, sender))
    sender.tail()
    slow.unlink()
    world.say("the worker is as fast as it can be again")
    verdict = world.judge()
    verdict.violations["overload"] = _complaints(world, samples, _sample(world, worker))
    return verdict


def _watched(world: World, worker: Worker, sender: Sender) -> list[Sample]:
    samples = []
    while not sender.done:
        samples.append(_sample(world, worker))
        time.sleep(POLL_S)
    return samples


def _sample(world: World, worker: Worker) -> Sample:
    rss = {name: _rss(process) / MB for name, process in worker.agents().items()}
    try:
        lag = world.metric("llm_optimizer_lag_records")
        lag_s = max(world.samples("llm_optimizer_lag_seconds"), default=0.0)
    except (OSError, AssertionError):  # too busy to answer in time
        lag = lag_s = 0.0
    return Sample(time.monotonic(), lag, lag_s, rss)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _complaints(world: World, samples: list[Sample], caught_up: Sample) -> list[str]:
    """What is wrong with the curves; their largest values are noted. ``samples``: while there is too much."""
    lag, lag_s = max(s.lag for s in samples), max(s.lag_s for s in samples)
    third = max(1, len(samples) // 3)
    early, later = max(s.rss_mb for s in samples[:third]), max(s.rss_mb for s in samples[third:])
    world.notes["overload, largest lag"] = f"{lag:,.0f} records, {lag_s:.0f} s"
    world.notes["overload, largest RSS of both agents"] = f"first third {early:.0f} MB, later {later:.0f} MB"
    world.notes["overload, RSS of both agents, caught up"] = f"{caught_up.rss_mb:.0f} MB"
    every = max(1, len(samples) // 12)
    curve = (
        f"{s.lag / 1000:.0f}k: {' + '.join(f'{mb:.0f}' for _, mb in sorted(s.by_agent_mb.items()))}"
        for s in samples[::every]
    )
    world.notes["overload, lag in records: RSS in MB of ingest and optimize"] = ", ".join(curve)
    wrong = []
    if lag < RATE * 5:
        wrong.append(f"the lag was {lag:.0f} records at most: the worker was not overloaded")
    if later > early + GROWTH_MB:
        wrong.append(f"memory grew from {early:.0f} to {later:.0f} MB while lag grew")
    if caught_up.rss_mb > CATCH_UP_MB:
        wrong.append(f"both agents hold {caught_up.rss_mb:.0f} MB after they caught up")
    return wrong


def quota(world: World, size: Size) -> Verdict:
    """One producer sends far more than its quota; meanwhile processes are killed: the same events are refused again."""
    world.start(1)
    world.await_ready()
    steps: dict[str, Fault] = {
        "kill ingest": faults.kill_ingest,
        "hiccup": faults.hiccup,
        "kill all": faults.kill_all,
    }
    plan = Plan(events=size.of(25_000, 60_000), rate=1500, seed=world.seed, greedy=0.75, commands=10)
    with world.traffic(plan) as sender:
        strike(world, steps, list(steps), 1.0)
    sender.tail()
    verdict = world.judge()
    over = verdict.over_quota
    world.notes["over the quota"] = f"{over:,} of {verdict.events + over:,} events"
    if not over:
        verdict.violations["quota"] = ["nothing was over the quota: the scenario shows nothing"]
    return verdict
