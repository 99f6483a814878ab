"""Closed panes of a service drawn as sums: what single answers would add up to, without drawing each."""

import math
import random
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec

from app.core.analyze.analyze import Analysis, analyse
from app.core.cell import SEPARATOR, Cell, CellKey, Late, Score, Summary, Waste
from app.core.document import Arm, ServiceDocument, completed
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.sketch import add
from app.core.windows import Windows, roll

START = 28_333_320
"""A whole hour, in minutes."""


@dataclass
class Behaviour:
    """How an arm answers. ``n`` a pane; USD per token; mean score of ``scored`` answers."""

    n: int = 100
    latency: float = 900.0
    ttft: float = 0.0
    errors: float = 0.01
    quality: float = 0.8
    scored: int = 0
    sd: float = 0.0
    liked: int = 0
    like: float = 0.9
    input: int = 800
    output: int = 200
    price: float = 1e-5
    models: tuple[str, ...] = ("large-2025",)
    waste: Waste | None = None
    late_usd: float = 0.0


def document(**more: object) -> ServiceDocument:
    return completed(ServiceDocument(service="chat", arms=(Arm(name="a"), Arm(name="b")), **more))  # type: ignore[arg-type]  # test shorthand


@dataclass
class Service:
    """A service under analysis; ``arms`` by (arm, segment) may be changed between runs."""

    arms: dict[tuple[str, str], Behaviour] = field(default_factory=lambda: {("a", "*"): Behaviour()})
    document: ServiceDocument = field(default_factory=document)
    seed: int = 1
    complete: bool = True
    minute: int = START
    analysis: Analysis = field(default_factory=Analysis)
    windows: Windows = field(default_factory=Windows)
    outputs: list[tuple[int, Output]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rnd = random.Random(self.seed)

    @property
    def a(self) -> Behaviour:
        return self.arms["a", "*"]

    def run(self, panes: int, every: int = 1) -> "Service":
        """``every``: minutes from one pane to the next."""
        for _ in range(panes):
            pane = self.pane()
            self.windows, _ = roll(self.windows, "chat", pane, pane.end_s)
            self._take(pane)
            self.minute += every
        return self

    def wait(self, panes: int) -> "Service":
        """Time passes without traffic; the engine ticks at deadlines."""
        for _ in range(panes):
            deadline = self.analysis.deadline_s
            if deadline is not None and deadline <= 60 * self.minute:
                self._take(None)
            self.minute += 1
        return self

    def _take(self, pane: ClosedPane | None) -> None:
        now_s = 60 * self.minute + (60 if pane else 0)
        self.analysis, said = analyse(self.analysis, self.document, pane, self.windows, now_s)
        self.outputs += [(self.minute, output) for output in said]

    def findings(self) -> list[dict[str, Any]]:
        return [{**msgspec.json.decode(output.data), "minute": minute} for minute, output in self.outputs]

    def told(self) -> list[str]:
        return [f"{f['status']} {f['kind']}" for f in self.findings()]

    def pane(self) -> ClosedPane:
        cells, arms, late = {}, {}, Late()
        for (arm, segment), behaviour in self.arms.items():
            if behaviour.n:
                cell = self._cell(behaviour)
                cells[CellKey(arm, segment, "main", 1)] = cell
                arms[arm, segment] = Summary(cell, dict(_histogram(behaviour.n, behaviour.latency)))
            late.cost_usd += behaviour.late_usd
        return ClosedPane(self.minute, self.complete, 1, late, cells, arms)

    def _cell(self, b: Behaviour) -> Cell:
        rnd, n = self._rnd, b.n
        mean = math.log(b.latency) + 0.4 / math.sqrt(n) * rnd.gauss(0, 1)
        errors = min(n, max(0, round(rnd.gauss(n * b.errors, math.sqrt(n * b.errors * (1 - b.errors))))))
        written = ((n, b.input), (n - errors, b.output))
        input_, output = (round(k * x * math.exp(0.05 * rnd.gauss(0, 1))) for k, x in written)
        cost = b.price * (input_ + 4 * output)
        cell = Cell(
            n=n, errors=errors, latency_ms=n * math.exp(mean + 0.08), log_latency=n * mean,
            log_latency_sq=n * (mean * mean + 0.16), input_tokens=input_, output_tokens=output,
            cost_n=n, cost_usd=cost, cost_sq=cost * cost / n, models=[m + SEPARATOR for m in b.models], waste=b.waste,
        )  # fmt: skip
        if b.ttft:
            cell.ttft_n, cell.ttft_ms = n, n * b.ttft * math.exp(0.05 * rnd.gauss(0, 1))
        if b.scored:
            cell.quality["judge"] = self._score(b)
        if b.liked:
            cell.quality["user"] = Score(b.liked, b.liked * b.like, b.liked * b.like**2)
        return cell

    def _score(self, b: Behaviour) -> Score:
        if not b.sd:
            good = round(self._rnd.gauss(b.scored * b.quality, math.sqrt(b.scored * b.quality * (1 - b.quality))))
            return Score(b.scored, float(min(b.scored, max(0, good))), float(min(b.scored, max(0, good))))
        mean = b.quality + b.sd / math.sqrt(b.scored) * self._rnd.gauss(0, 1)
        return Score(b.scored, b.scored * mean, b.scored * (mean * mean + b.sd * b.sd))


@cache
def _histogram(n: int, latency: float) -> dict[int, int]:
    """The quantiles of the law, so that tails do not scatter."""
    histogram: dict[int, int] = {}
    for i in range(n):
        add(histogram, latency * math.exp(0.4 * _quantile((i + 0.5) / n)))
    return histogram


def _quantile(p: float) -> float:
    """Of N(0, 1), to a percent (Tukey's lambda)."""
    return float((p**0.135 - (1 - p) ** 0.135) / 0.1975)
