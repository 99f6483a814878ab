"""Walks all services of a scenario through event time in ticks, in step with the optimizer.

What: per tick, requests are routed by the split in force, answered and reported; then the loop waits until the
optimizer has followed to within a stated number of event minutes, so that the next tick meets decisions that are at
most that old. Event time is compressed: a tick takes as long as the optimizer needs, not its length.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

from app.sim.ledger import Ledger
from app.sim.outbox import Message, Outbox
from app.sim.scenario import Scenario
from app.sim.service_run import Router, ServiceRun

TICK_S = 60


class Sink(Protocol):
    """Where telemetry goes."""

    def send(self, message: Message) -> None: ...
    def flush(self) -> None: ...


class Tick(msgspec.Struct, frozen=True):
    """After one tick: event time reached, requests answered so far, faults of the gateway in force."""

    now_s: int
    requests: int
    gateway_down: bool


class ClosedLoop:
    """The run. ``follow(now_s)`` returns when the optimizer is close enough behind ``now_s``, or raises."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        start_s: int,
        router: Router,
        sink: Sink,
        follow: Callable[[int], None],
        outage: Callable[[bool], None],
    ) -> None:
        self.ledger = Ledger()
        self.runs = [
            ServiceRun(service, seed=scenario.seed, start_s=start_s, noise=scenario.noise, ledger=self.ledger)
            for service in scenario.services
        ]
        self.start_s = start_s // TICK_S * TICK_S
        self.end_s = self.start_s + int(scenario.hours * 3600)
        self.now_s = self.start_s
        self.requests = 0
        self._router = router
        self._sink = sink
        self._follow = follow
        self._outage = outage
        self._outbox = Outbox()

    def ticks(self) -> Iterator[Tick]:
        """The ticks up to the end of the scenario."""
        while self.now_s < self.end_s:
            yield self.tick()

    def tick(self) -> Tick:
        """One tick; also used past the end, to push the last minutes over their closing time."""
        until_s = self.now_s + TICK_S
        down = any(run.conditions.gateway_down(self.now_s) for run in self.runs)
        self._outage(down)
        for run in self.runs:
            self.requests += run.advance(until_s, self._router, self._outbox)
        for message in self._outbox.release(until_s):
            self._sink.send(message)
        self._sink.flush()
        self.now_s = until_s
        self._follow(until_s)
        return Tick(until_s, self.requests, down)
