"""Quiet services, weeks on end: how many findings do the analyzers tell of nothing? (thresholds from a budget)

Whole services go through ``analyse``: two arms, latency histograms, failures, scores, tokens and costs, drawn as the
sums of a pane. Nothing ever happens but the time of day: traffic doubles and halves, and in the last worlds latency,
length of prompts and scores swing with it.
"""

import math
from collections import Counter

import msgspec
import numpy as np

from app.core.analyze.analyze import Analysis, analyse
from app.core.cell import SEPARATOR, Cell, CellKey, Late, Score, Summary
from app.core.document import Arm, ServiceDocument, Thresholds, completed
from app.core.pane import ClosedPane
from app.core.sketch import GAMMA
from app.core.windows import Windows, roll
from benchmarks.calibrate.report import Effort, Table, judged, mapped

START = 28_333_440
"""Midnight UTC, in minutes."""
WEEK = 10_080
SIGMA = 0.5
LATENCY = {"large": 900.0, "small": 500.0}


class Quiet(msgspec.Struct, frozen=True):
    """``requests``: mean requests a minute; swings over the day: of traffic and latency as shares, ``quality`` in
    points; ``budget``: false alarms a week.
    """

    requests: float = 200.0
    traffic: float = 0.0
    latency: float = 0.0
    length: float = 0.0
    quality: float = 0.0
    budget: float = 1.0


WORLDS: dict[str, Quiet] = {
    "steady": Quiet(),
    "steady, 20 requests a minute": Quiet(requests=20.0),
    "traffic ± 60 % over the day": Quiet(traffic=0.6),
    "traffic ± 60 %, latency ± 5 %, lengths ± 5 %, quality ± 1 point": Quiet(
        traffic=0.6, latency=0.05, length=0.05, quality=0.01
    ),
}
BUDGETS = (1.0, 20.0)


def findings(world: Quiet, weeks: int, seed: int) -> Counter[str]:
    """Findings of so many weeks, by kind."""
    rng, kinds = np.random.default_rng([11, seed]), dict[str, str]()
    document = completed(
        ServiceDocument(
            service="quiet",
            arms=tuple(Arm(name=name) for name in LATENCY),
            thresholds=Thresholds(false_alarms_per_week=world.budget),
        )
    )
    analysis, windows = Analysis(), Windows()
    for minute in range(weeks * WEEK):
        pane = pane_of(world, rng, START + minute)
        windows, _ = roll(windows, "quiet", pane, pane.end_s)
        analysis, said = analyse(analysis, document, pane, windows, pane.end_s)
        for found in (msgspec.json.decode(output.data) for output in said):
            kinds.setdefault(found["finding_id"], found["kind"])
    return Counter(kinds.values())


def pane_of(world: Quiet, rng: np.random.Generator, minute: int) -> ClosedPane:
    """One minute of both arms."""
    wave = math.sin(2 * math.pi * minute / 1440)
    cells, arms = {}, {}
    for name, latency in LATENCY.items():
        n = int(rng.poisson(0.5 * world.requests * (1 + world.traffic * wave)))
        if not n:
            continue
        cell, histogram = _cell(world, rng, n, latency, wave)
        cells[CellKey(name, "*", "main", 1)] = cell
        arms[name, "*"] = Summary(cell, histogram)
    return ClosedPane(minute, complete=True, sources=1, late=Late(), cells=cells, arms=arms)


def _cell(world: Quiet, rng: np.random.Generator, n: int, latency: float, wave: float) -> tuple[Cell, dict[int, int]]:
    logs = math.log(latency * (1 + world.latency * wave)) + SIGMA * rng.normal(size=n)
    buckets, counts = np.unique(np.ceil(logs / math.log(GAMMA)).astype(int), return_counts=True)
    prompts = 800 * (1 + world.length * wave) * rng.lognormal(-0.32, 0.8, n)
    written = 200 * (1 + world.length * wave) * rng.lognormal(-0.18, 0.6, n)
    costs = 1e-6 * (2.5 * prompts + 10.0 * written)
    scored = int(rng.binomial(n, 0.2))
    good = float(rng.binomial(scored, 0.85 + world.quality * wave))
    liked = int(rng.binomial(n, 0.05))
    cell = Cell(
        n=n, errors=int(rng.binomial(n, 0.01)), latency_ms=float(np.exp(logs).sum()), log_latency=float(logs.sum()),
        log_latency_sq=float((logs**2).sum()), ttft_n=n, ttft_ms=float(300 * rng.lognormal(-0.08, 0.4, n).sum()),
        input_tokens=int(prompts.sum()), output_tokens=int(written.sum()), cost_n=n, cost_usd=float(costs.sum()),
        cost_sq=float((costs**2).sum()), models=["one" + SEPARATOR],
    )  # fmt: skip
    if scored:
        cell.quality["judge"] = Score(scored, good, good)
    if liked:
        stars = rng.beta(8, 2, liked)
        cell.quality["user"] = Score(liked, float(stars.sum()), float((stars**2).sum()))
    return cell, dict(zip(buckets.tolist(), counts.tolist(), strict=True))


def quiet_table(effort: Effort) -> Table:
    """Findings of services to which nothing happens, against their budget."""
    lines, weeks, services = [], max(1, round(2 * effort.times)), max(1, round(2 * effort.times))
    asked = [(name, msgspec.structs.replace(world, budget=b)) for name, world in WORLDS.items() for b in BUDGETS]
    runs = iter(mapped(effort, findings, [(world, weeks, seed) for _, world in asked for seed in range(services)]))
    for name, world in asked:
        told = sum((next(runs) for _ in range(services)), Counter[str]())
        kinds = ", ".join(f"{kind} x{n}" for kind, n in told.most_common(6)) or "none"
        weekly = told.total() / (services * weeks)
        lines.append((name, f"{world.budget:g}", judged(weekly, world.budget, "{:.1f}"), kinds))
    return Table(
        "Quiet services: findings a week of nothing",
        f"Two arms, 200 requests a minute where nothing else is said, whole services through all analyzers; "
        f"{services} of {weeks} weeks a row (seeds 0..), from a cold start.",
        ("world", "budget a week", "findings a week", "which"),
        tuple(lines),
    )
