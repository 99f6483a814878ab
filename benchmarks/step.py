"""What one step of the brain takes, and how much is kept of a service: `python -m benchmarks.step [--minutes N]`.

Services of four shapes are brought to life (trials, bandit, holdout, budgets), then every further pane is stepped and
timed: median, 99th percentile, and what a closed minute of 1,000 services takes, one after the other. Sizes are those
of the changelog value at its largest. Processor time of this process; a step is pure, so on a busy machine each may run
several times (``--repeat``) and the least counts.
"""

import argparse
import gc
import sys
import time

import msgspec
import numpy as np

from app.core.document import Arm, Segments, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.merge import KeptRow, encode_row
from app.core.pane import ClosedPane
from app.core.row import Row, Tick
from app.core.service import step
from benchmarks.minutes import Answers, Service
from benchmarks.printing import say

SERVICES = 1_000
GOAL_P99_MS, GOAL_TICK_S, GOAL_BYTES = 1.0, 1.0, 64_000


class Shape(msgspec.Struct, frozen=True):
    """``segments`` includes ``other`` where there is more than one; ``rate``: requests a minute."""

    arms: int
    segments: int = 1
    policy: str = "single"
    rate: int = 200
    sticky: bool = False
    budget: bool = False


SHAPES = {
    "2 arms, single": Shape(2),
    "4 arms share": Shape(4, 1, "mix", budget=True),
    "4 arms share, 5 segments": Shape(4, 5, "mix", 400, budget=True),
    "10 arms share, 5 segments, sessions": Shape(10, 5, "mix", 1_000, sticky=True, budget=True),
}


class Lived(msgspec.Struct, frozen=True):
    """Milliseconds of every timed step on a pane, the last row with its next pane, and the largest row in bytes."""

    ms: list[float]
    tick_ms: float
    row: Row
    pane: ClosedPane
    largest: int


def lived(shape: Shape, warm: int, timed: int, seed: int = 1, repeat: int = 1) -> Lived:
    """A service of this shape: ``warm`` minutes untimed, then ``timed`` ones."""
    service = Timed(_document(shape), seed, score_rate=0.5)
    if shape.policy == "mix":  # most arms have been admitted, the last ones are still to be tried
        serving = service.document.arm_names[: max(2, shape.arms - 2)]
        service.row = msgspec.structs.replace(service.row, admitted=tuple(sorted(serving)))
    largest = 0
    for minute in range(warm + timed):
        if minute == warm:
            service.ms.clear()
            service.repeat = repeat
        _pass(service, shape)
        if minute >= warm:
            largest = max(largest, len(encode_row(KeptRow(0, {}, service.row))))
    began = time.process_time()
    step(service.row, Tick(), service.now_s)
    return Lived(service.ms, 1e3 * (time.process_time() - began), service.row, service.newest, largest)


class Timed(Service):
    """A service that writes down how long its steps take."""

    repeat = 1

    def __init__(self, document: ServiceDocument, seed: int, *, score_rate: float = 1.0) -> None:
        self.ms: list[float] = []
        super().__init__(document, seed, score_rate=score_rate)

    def stepped(self, pane: ClosedPane) -> None:
        """As the engine does it, timed: the least of ``repeat`` runs, which a pure function allows."""
        self.newest, row = pane, self.row
        spent = []
        for _ in range(self.repeat):
            began = time.process_time()
            step(row, pane, self.now_s)
            spent.append(1e3 * (time.process_time() - began))
        super().stepped(pane)
        self.ms.append(min(spent))


def _document(shape: Shape) -> ServiceDocument:
    values = tuple(f"segment-{i}" for i in range(shape.segments - 1))
    return completed(
        ServiceDocument(
            service="support-chat", mode="auto", policy=shape.policy, sticky=shape.sticky,  # type: ignore[arg-type]  # one of the two
            arms=tuple(Arm(name=f"provider-{i}/model-name-{i}") for i in range(shape.arms)),
            segments=Segments(by="tenant", values=values) if values else Segments(),
            budget=Budget(day_usd=5.0, month_usd=150.0) if shape.budget else Budget(),
        )
    )  # fmt: skip


def _pass(service: Service, shape: Shape) -> None:
    rng, n = service.rng, shape.rate
    answers = {
        name: Answers(
            np.clip(0.8 - 0.005 * k + 0.1 * rng.normal(size=n), 0, 1),
            0.002 * (1 - 0.04 * k) * rng.lognormal(0, 0.5, n),
            rng.lognormal(6.7, 0.5, n),
        )
        for k, name in enumerate(service.document.arm_names)
    }
    segment = rng.integers(shape.segments, size=n) if shape.segments > 1 else None
    session = rng.integers(n // 4, size=n) if shape.sticky else None
    group = None if session is None else session % 64
    tokens = rng.integers(50, 2_000, size=n)
    service.pass_minute(answers, tokens, session=session, group=group, segment=segment)


def tick(lives: list[Lived]) -> float:
    """Seconds in which ``SERVICES`` services, these in turn, each step a pane."""
    rows = [
        msgspec.structs.replace(life.row, service=f"{life.row.service}-{i}")
        for i in range(SERVICES // len(lives))
        for life in lives
    ]
    panes = [life.pane for _ in range(SERVICES // len(lives)) for life in lives]
    gc.collect()
    began = time.process_time()
    for row, pane in zip(rows, panes, strict=True):
        step(row, pane, pane.end_s)
    return time.process_time() - began


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="step", description=__doc__)
    parser.add_argument("--minutes", type=int, default=400, help="timed steps a shape, after a third as many untimed")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each step, of which the least counts")
    given = parser.parse_args(words)
    gc.freeze()
    say(f"{'shape':38} {'median ms':>10} {'p99 ms':>8} {'1,000 services s':>17} {'deadline ms':>12} {'row bytes':>10}")
    for name, shape in SHAPES.items():
        lives = [lived(shape, given.minutes // 3, given.minutes // 2, seed, given.repeat) for seed in (1, 2)]
        ms = [one for life in lives for one in life.ms]
        say(
            f"{name:38} {np.median(ms):10.3f} {np.quantile(ms, 0.99):8.3f} {tick(lives):17.2f}"
            f" {max(life.tick_ms for life in lives):12.3f} {max(life.largest for life in lives):10,}"
        )
    say(
        f"goals: p99 <= {GOAL_P99_MS} ms, 1,000 services <= {GOAL_TICK_S} s, "
        f"a row of 10 arms and 5 segments <= {GOAL_BYTES:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
