"""Policy ``weights``: what production does. Weights for a minute at a time, moved by ``app.core.weights`` itself."""

from collections.abc import Sequence
from math import log

import numpy as np

from app.core.backtest.policy import Problem
from app.core.cell import Cell, Score
from app.core.weights import EVERYWHERE, Mix, reset_if_changed, reweighed, update, weights_of, with_arms

RATE = 100
"""Requests a minute."""
DECLARED = 8
"""Segments judged on their own, the busiest ones; as many as a service document may declare."""
OTHER = "other"
BLOCK = 4096


class MinuteWeights:
    """Draws from the split in force; closes a pane of ``RATE`` requests and asks for new weights."""

    def __init__(self, problem: Problem, rate: int = RATE) -> None:
        self._problem, self._rate = problem, rate
        self._segment, segments = declared(problem)
        self._mix = with_arms(Mix(), problem.arms, segments)
        self._rng = np.random.default_rng(problem.seed)
        self._uniform: list[float] = []
        self._cells: dict[tuple[str, str], Cell] = {}
        self._served = self._minute = 0
        self._names = segments
        self._split = _cumulative(self._mix)

    def choose(self, row: int) -> int:
        if self._served == self._rate:
            self._close()
        self._served += 1
        if not self._uniform:
            self._uniform = self._rng.random(BLOCK).tolist()
        u, ladder = self._uniform.pop(), self._split[self._segment[row]]
        return next((arm for arm, top in enumerate(ladder) if u < top), len(ladder) - 1)

    def learn(self, row: int, arm: int, quality: float | None, cost_usd: float, latency_ms: float) -> None:
        key = self._problem.arms[arm], self._names[self._segment[row]]
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(quality={"judge": Score()})
        natural = log(max(latency_ms, 1e-6))
        cell.n += 1
        cell.latency_ms += latency_ms
        cell.log_latency += natural
        cell.log_latency_sq += natural * natural
        cell.cost_n += 1
        cell.cost_usd += cost_usd
        cell.cost_sq += cost_usd * cost_usd
        if quality is not None:
            score = cell.quality["judge"]
            score.n += 1
            score.total += quality
            score.squares += quality * quality

    def _close(self) -> None:
        objective, minute = self._problem.objective, self._minute
        mix, _ = reset_if_changed(update(self._mix, minute, self._cells), minute, objective)
        service = f"backtest-{self._problem.seed}"
        self._mix = reweighed(mix, minute, objective, service=service, requests_per_minute=self._rate)
        self._split = _cumulative(self._mix)
        self._cells, self._served, self._minute = {}, 0, minute + 1


def declared(problem: Problem) -> tuple[Sequence[int], tuple[str, ...]]:
    """Segment by row and the names: the busiest ``DECLARED``, the rest together as ``other``; ``*`` if there is one."""
    if len(problem.segments) == 1:
        return [0] * len(problem.segment), (EVERYWHERE,)
    counts = np.bincount(problem.segment, minlength=len(problem.segments))
    busiest = sorted(np.argsort(-counts, kind="stable")[:DECLARED].tolist())
    place = {segment: i for i, segment in enumerate(busiest)}
    names = tuple(problem.segments[s] for s in busiest)
    if len(busiest) < len(problem.segments):
        names = (*names, OTHER)
    return [place.get(s, len(busiest)) for s in problem.segment], names


def _cumulative(mix: Mix) -> list[list[float]]:
    return [np.cumsum(list(arms.values())).tolist() for arms in weights_of(mix).values()]
