"""Synthetic traffic for calibration: what a trial would have seen, minute by minute, from a seeded generator.

`python -m benchmarks.worlds` runs whole services in worlds with nothing to gain (`benchmarks.nothing_to_gain`).
"""

import math
import sys

import msgspec
import numpy as np

from app.core.cell import Cell, Group, Score
from app.core.trial import Guardrails, Trial, next_step, observe, open_trial, shares
from app.core.verdict import Verdict, judge


class World(msgspec.Struct, frozen=True, kw_only=True):
    """One service and one challenger. Effects are trial minus control: points, or factors - 1."""

    requests_per_minute: float = 100.0
    quality: float = 0.9
    quality_sd: float = 0.0  # 0: Bernoulli, else Beta with this standard deviation
    quality_change: float = 0.0
    trend_points: float = 0.0  # daily sine of this amplitude
    wobble_points: float = 0.0  # random walk of the traffic mix, hitting both slices
    score_rate: float = 1.0
    latency_sigma: float = 0.6
    latency_change: float = 0.0
    error_rate: float = 0.01
    error_change: float = 0.0
    cost_sigma: float = 0.5
    cost_change: float = 0.0
    session_size: int = 1
    session_share: float = 0.5  # of the variance, shared by the requests of a session
    session_minutes: float = 20.0


class Rollout(msgspec.Struct, frozen=True):
    """How one simulated trial ended: ``accepted``, ``harm``, ``open`` (no verdict in the time given)."""

    end: str
    metric: str
    minutes: int
    canary_requests: int
    first_promotion: int  # canary requests when the first step was left, 0: never


def roll_out(world: World, guardrails: Guardrails, seed: int, minutes_max: int = 1_500) -> Rollout:
    """Drive one trial through its steps against ``world``, judged after every minute."""
    rng = np.random.default_rng(seed)
    trial = open_trial("t", "new", "old", 0, 1)
    canary = promoted = 0
    start = rng.uniform(0, 1440)
    walk = 0.0
    sessions = Sessions(world, rng)
    for minute in range(minutes_max):
        walk = 0.98 * walk + 0.2 * world.wobble_points * rng.normal()
        level = world.quality + world.trend_points * math.sin(2 * math.pi * (start + minute) / 1440) + walk
        t, c = sessions.minute(level, *shares(trial.steps[trial.step]))
        canary += t.n
        trial = observe(trial, minute, t, c)
        verdict = judge(trial, guardrails)
        if verdict.kind == "harm":
            return Rollout("harm", verdict.metric, minute + 1, canary, promoted)
        if verdict.kind == "safe":
            promoted = promoted or canary
            if trial.last_step:
                return Rollout("accepted", "", minute + 1, canary, promoted)
            trial = next_step(trial, minute + 1, trial.last_version + 1)
    return Rollout("open", last_metric(trial, guardrails), minutes_max, canary, promoted)


def last_metric(trial: Trial, guardrails: Guardrails) -> str:
    verdict: Verdict = judge(trial, guardrails)
    return verdict.metric


class Sessions:
    """Draws the two cells of a minute; with session_size > 1 sessions live on over minutes and carry an effect."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        self.live: dict[str, list[list[float]]] = {"trial": [], "control": []}  # [group, left, effect]

    def minute(self, level: float, trial_share: float, control_share: float) -> tuple[Cell, Cell]:
        w = self.world
        return (
            self._cell("trial", trial_share, level + w.quality_change, w.latency_change, w.error_change, w.cost_change),
            self._cell("control", control_share, level, 0.0, 0.0, 0.0),
        )

    def _cell(self, side: str, share: float, level: float, slower: float, failing: float, dearer: float) -> Cell:
        w, rng = self.world, self.rng
        groups, effects = self._who(side, share)
        n = len(effects)
        noise = rng.normal(size=(3, n)) * math.sqrt(1 - (w.session_share if w.session_size > 1 else 0.0))
        z = noise + effects * (math.sqrt(w.session_share) if w.session_size > 1 else 0.0)
        uniform = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z[0]])
        level = min(max(level, 0.01), 0.99)
        quality = (uniform < level) * 1.0 if w.quality_sd == 0 else self._beta(level, n)
        scored = rng.random(n) < w.score_rate
        logs = math.log(800.0 * (1 + slower)) + w.latency_sigma * z[1]
        costs = 0.002 * (1 + dearer) * np.exp(w.cost_sigma * z[2] - w.cost_sigma**2 / 2)
        failed = rng.random(n) < w.error_rate + failing
        return _cell_of(quality, scored, logs, costs, failed, groups)

    def _beta(self, mean: float, n: int) -> np.ndarray:
        k = mean * (1 - mean) / self.world.quality_sd**2 - 1
        return self.rng.beta(mean * k, (1 - mean) * k, n)

    def _who(self, side: str, share: float) -> tuple[np.ndarray | None, np.ndarray]:
        w, rng = self.world, self.rng
        if w.session_size == 1:
            return None, np.zeros(rng.poisson(w.requests_per_minute * share))
        live = self.live[side]
        for _ in range(rng.poisson(w.requests_per_minute * share / w.session_size)):
            live.append([int(rng.integers(64)), w.session_size, rng.normal()])
        groups, effects = [], []
        for session in live:
            for _ in range(min(int(session[1]), rng.poisson(w.session_size / w.session_minutes))):
                session[1] -= 1
                groups.append(session[0])
                effects.append(session[2])
        self.live[side] = [session for session in live if session[1] > 0]
        return np.array(groups, dtype=int), np.array(effects)


def _cell_of(
    quality: np.ndarray,
    scored: np.ndarray,
    logs: np.ndarray,
    costs: np.ndarray,
    failed: np.ndarray,
    groups: np.ndarray | None,
) -> Cell:
    q = quality[scored]
    cell = Cell(
        n=len(quality), errors=int(failed.sum()), latency_ms=float(np.exp(logs).sum()), log_latency=float(logs.sum()),
        log_latency_sq=float((logs**2).sum()), cost_n=len(costs), cost_usd=float(costs.sum()),
        cost_sq=float((costs**2).sum()), quality={"judge": Score(len(q), float(q.sum()), float((q * q).sum()))},
    )  # fmt: skip
    if groups is not None:
        for i, g in enumerate(groups.tolist()):
            s = cell.groups.setdefault(g, Group())
            s.n += 1
            s.errors += int(failed[i])
            s.log_latency += float(logs[i])
            s.cost += float(costs[i])
            if scored[i]:
                s.scores += 1
                s.quality += float(quality[i])
    return cell


if __name__ == "__main__":
    from benchmarks.nothing_to_gain import main

    sys.exit(main(sys.argv[1:]))
