from collections.abc import Callable
from typing import Any

import pytest

from app.core.split import ArmDefinition, Split
from app.settings import Topics
from app.sim.ledger import Ledger, Sums
from app.sim.pace import Pace, StalledError
from app.sim.watch import Watch

START = 6_000
"""A whole minute."""


def split(version):
    arm = ArmDefinition(name="a", model="a-1")
    return Split(
        service="chat",
        version=version,
        decision_id=f"d{version}",
        incumbent="a",
        arms=(arm,),
        weights={"*": {"a": 1.0}},
    )


class World:
    """An optimizer that does one thing each time it is looked at."""

    def __init__(self, *steps: Callable[[Any], None]) -> None:
        self.watch = Watch(Topics())
        self.ledger = Ledger()
        self.steps = list(steps)
        self.gateway: Split | None = None
        self.now_s = 0.0
        self.dead = False

    def read(self) -> int:
        self.now_s += 1
        if not self.steps:
            return 0
        self.steps.pop(0)(self)
        return 1

    def check(self) -> None:
        if self.dead:
            raise RuntimeError("the worker is gone")

    def pace(self, ahead_min=2):
        return Pace(
            self.watch,
            self.ledger,
            read=self.read,
            held=lambda _: self.gateway,
            check=self.check,
            ahead_min=ahead_min,
            stall_s=5,
            clock=lambda: self.now_s,
        )


def closes(end_s):
    return lambda world: world.watch.closed_s.update(chat=end_s)


def decides(version):
    return lambda world: world.watch.splits.update(chat=split(version))


def applies(version):
    return lambda world: setattr(world, "gateway", split(version))


def answered(world, *minutes: int):
    for minute in minutes:
        world.ledger.answered("chat", "a", START + 60 * minute + 5, Sums(1))


def test_it_does_not_wait_while_the_optimizer_is_close_enough():
    world = World()
    answered(world, 0, 1)
    world.pace().follow(START + 120)
    assert world.now_s == 1


def test_it_waits_until_the_minutes_further_back_are_closed():
    world = World(closes(START + 60), closes(START + 120), closes(START + 180))
    answered(world, 0, 1, 2, 3)
    world.pace().follow(START + 240)
    assert world.watch.closed_s["chat"] == START + 120


def test_a_minute_without_traffic_is_not_waited_for():
    world = World(closes(START + 60))
    answered(world, 0, 3)
    world.pace().follow(START + 240)
    assert world.watch.closed_s["chat"] == START + 60


def test_it_waits_for_the_gateway_to_have_the_newest_split():
    world = World(decides(3), applies(2), applies(3))
    world.pace().follow(START)
    assert world.gateway == split(3)


def test_it_does_not_wait_for_a_gateway_that_is_down():
    world = World(decides(3))
    pace = world.pace()
    pace.gateway_down = True
    pace.follow(START)
    assert world.gateway is None


def test_an_optimizer_that_stands_still_is_an_error_that_says_how_far_it_came():
    world = World(closes(START + 60))
    answered(world, 0, 1, 2)
    with pytest.raises(StalledError, match=f"minutes of chat up to {START + 180} .closed: {START + 60}"):
        world.pace().catch_up(START + 180)


def test_a_worker_that_died_ends_the_wait_at_once():
    world = World()
    answered(world, 0)
    world.dead = True
    with pytest.raises(RuntimeError, match="the worker is gone"):
        world.pace(ahead_min=0).follow(START + 60)
