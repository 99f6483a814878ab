"""``python -m tests.chaos.soak --hours H``: steady live load on a real Kafka; exactness, memory slope, a verdict,
and for a quarter of an hour or more a page: docs/evidence/soak.md.

Every minute that has closed is compared with the independent count and then forgotten, so memory of this process does
not grow with the hours, and the evidence topics keep only the last quarter of an hour.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil

from app.adapters.kafka.admin import KafkaAdmin
from tests.chaos.account import Counter, account, count_orders, until
from tests.chaos.broker import own_broker, why_no_kafka
from tests.chaos.kept import origin
from tests.chaos.scenes.live import CLOSED_S
from tests.chaos.soak_page import Soaked, write
from tests.chaos.traffic import Plan
from tests.chaos.verdict import judge
from tests.chaos.world import Outputs, World
from tests.e2e.harness.topic import Follower

LOOK_S = 5.0
KEPT_MS = 15 * 60 * 1000
PATIENCE_S = 600.0
"""How much later than it can a minute may be closed before it is called lost: a busy machine falls behind."""
MB = 1 << 20
WARM = 0.25
"""Share of the run in which caches and panes fill; memory is judged after it."""
SLOPE_MB_H = 10.0
"""Largest growth of all processes together, of a run of an hour or more."""
GROWTH_MB = 32.0
"""Largest growth after warming up, of a shorter run: a slope would be noise."""


KEPT_H = 0.25
"""A run of this length or more is written down."""


class Soak:
    """One run. ``wrong``: every violation so far."""

    def __init__(self, world: World) -> None:
        topics = world.settings.topics
        self.world = world
        self.wrong: list[str] = []
        self.minutes = self.events = 0
        self.rss: list[tuple[float, float]] = []
        self._total = account()
        self._counters = [
            (Counter(self._total, topic, world.rules), Follower(world.broker.address, topic))
            for topic in (topics.responses, topics.feedback)
        ]
        self._orders = Follower(world.broker.address, topics.commands)
        self._outputs = Outputs(world)

    def look(self, until_s: float, overdue_s: float) -> bool:
        """Read what is new, judge the minutes that ended before ``until_s`` (epoch seconds), forget them. While something
        is missing that ended after ``overdue_s``, it may still come: False.
        """
        for counter, follower in self._counters:
            for message in follower.new():
                counter.take(message)
        count_orders(self._total, self._orders.new())
        due = until(self._total, int(until_s))
        found = self._outputs.found()
        rows = {key: row for key, row in found.rows.items() if key[1] + 60 <= until_s}
        verdict = judge(
            msgspec.structs.replace(due, orders={}),
            msgspec.structs.replace(found, rows=rows, decisions=type(found.decisions)()),
        )
        verdict.violations.pop("dead letters")  # compared at the end: newer ones are on their way
        if not verdict.exact and all(key[1] + 60 > overdue_s for key in due.rows.keys() | rows.keys()):
            return False
        self.wrong += verdict.lines()
        self.minutes += len({key[1] for key in due.rows})
        for key in due.rows:
            del self._total.rows[key]
            found.rows.pop(key, None)
        for place in due.late:
            del self._total.late[place]
        for counter, _ in self._counters:
            counter.forget(int(until_s) // 60 - 1)
        return True

    def weigh(self) -> None:
        """Take the memory of all processes of the workers."""
        processes = [p for w in self.world.workers for p in (psutil.Process(w.pid), *w.agents().values())]
        self.rss.append((time.monotonic(), sum(p.memory_info().rss for p in processes) / MB))

    def rest(self) -> list[str]:
        """What can only be said at the end, of dead letters and commands."""
        found = self._outputs.found()
        rest = msgspec.structs.replace(self._total, rows={}, late={})
        self.events = self._total.events
        return judge(rest, msgspec.structs.replace(found, rows={})).lines()

    def memory(self) -> tuple[float, float, float]:
        """(MB after warming up, MB at the end, slope in MB an hour by least squares)."""
        began, ended = self.rss[0][0], self.rss[-1][0]
        warm = [(t, mb) for t, mb in self.rss if t >= began + WARM * (ended - began)]
        few = max(1, len(warm) // 10)
        slope = statistics.linear_regression(*zip(*warm, strict=True)).slope if len(warm) > 1 else 0.0
        first, last = (statistics.median(mb for _, mb in part) for part in (warm[:few], warm[-few:]))
        return first, last, slope * 3600


def main(hours: float, rate: float, seed: int, workers: int) -> int:
    """The exit code: 0 when all was exact and memory stood still, else 1."""
    if missing := why_no_kafka():
        _say(f"skipped: {missing}")
        return 0
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    with own_broker() as broker:
        world = World("soak", seed, broker.broker, broker, folder)
        try:
            code = _run(world, hours, rate, workers)
        finally:
            world.close()
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        _say(f"logs: {folder}")
    return code


def _run(world: World, hours: float, rate: float, workers: int) -> int:
    topics = world.settings.topics
    for topic in (topics.responses, topics.feedback):
        KafkaAdmin(world.settings).alter(topic, {"retention.ms": str(KEPT_MS), "segment.ms": "60000"})
    world.start(workers)
    world.await_ready()
    seconds = hours * 3600
    plan = Plan(
        events=int(seconds * rate), rate=rate * 1.25, seed=world.seed, live=True, late=0.0, behind=0.0,
        commands=max(4, int(hours * 60)),
    )  # fmt: skip
    soak = Soak(world)
    _say(f"seed {world.seed}: {rate:g} responses a second for {hours:g} h, {workers} worker(s), logs in {world.folder}")
    with world.traffic(plan) as sender:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not sender.done and not soak.wrong:
            time.sleep(LOOK_S)
            soak.weigh()
            closed_s = time.time() - CLOSED_S
            soak.look(closed_s // 60 * 60, closed_s - PATIENCE_S)
        sender.stop.set()
    last_s = time.time() // 60 * 60
    while time.time() < last_s + CLOSED_S + PATIENCE_S and not (soak.look(last_s, 0.0) and not soak.rest()):
        time.sleep(LOOK_S)
    soak.look(last_s, float("inf"))
    soak.wrong += soak.rest()
    return _verdict(soak, hours, rate, workers)


def _verdict(soak: Soak, hours: float, rate: float, workers: int) -> int:
    first, last, slope = soak.memory()
    began = soak.rss[0][0]
    soaked = Soaked(
        seed=soak.world.seed, hours=hours, rate=rate, workers=workers, events=soak.events, minutes=soak.minutes,
        wrong=soak.wrong, first=first, last=last, slope=slope,
        grew=slope > SLOPE_MB_H if hours >= 1 else last - first > GROWTH_MB,
        bound=f"Allowed are {SLOPE_MB_H:g} MB an hour." if hours >= 1 else
        f"Allowed of a run shorter than an hour are {GROWTH_MB:g} MB after warming up; its slope is mostly noise.",
        rss=[(at_s - began, mb) for at_s, mb in soak.rss],
    )  # fmt: skip
    for line in soak.wrong:
        _say(f"! {line}")
    _say(
        f"{soak.events:,} events, {soak.minutes} minutes judged: {'NOT EXACT' if soak.wrong else 'exact'}\n"
        f"memory of all processes after warming up {first:.0f} MB, at the end {last:.0f} MB, largest "
        f"{max(mb for _, mb in soak.rss):.0f} MB, slope {slope:+.1f} MB/h: {'GROWS' if soaked.grew else 'stands'}. "
        f"{soaked.bound}\nverdict: {'passed' if soaked.passed else 'FAILED'}"
    )
    if hours >= KEPT_H:
        command = f"make soak HOURS={hours:g} RATE={rate:g}"
        _say(f"written: {write(soaked, origin(command))}")
    return 0 if soaked.passed else 1


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=500.0, help="responses a second")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    given = parser.parse_args()
    sys.exit(main(given.hours, given.rate, given.seed, given.workers))
