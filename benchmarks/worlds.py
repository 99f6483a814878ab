"""Synthetic traffic for calibration: what a trial would have seen, minute by minute, from a seeded generator.

`python -m benchmarks.worlds` runs whole services in worlds with nothing to gain (`benchmarks.nothing_to_gain`).
"""

import math
import sys

import msgspec
import numpy as np
from scipy.special import ndtr

from app.core.cell import SESSION_GROUPS, Cell, Group, Score
from app.core.trial import Guardrails, Trial, next_step, observe, open_trial, shares
from app.core.verdict import Verdict, judge

Array = np.ndarray


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
    traffic = Traffic(world, rng)
    for minute in range(minutes_max):
        walk = 0.98 * walk + 0.2 * world.wobble_points * rng.normal()
        level = world.quality + world.trend_points * math.sin(2 * math.pi * (start + minute) / 1440) + walk
        t, c = traffic.minute(level, *shares(trial.steps[trial.step]))
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


class Live(msgspec.Struct):
    """Sessions going on in one slice: group, requests left, and the effect they share. Mutable."""

    group: Array
    left: Array
    effect: Array

    @classmethod
    def none(cls) -> "Live":
        return cls(np.zeros(0, int), np.zeros(0, int), np.zeros(0))


class Traffic:
    """Draws the cells of the trial and of the control for one minute after another."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        self.live = {"trial": Live.none(), "control": Live.none()}

    def minute(self, level: float, trial_share: float, control_share: float) -> tuple[Cell, Cell]:
        """``level``: quality of the incumbent in this minute."""
        w = self.world
        trial = self._cell("trial", trial_share, level + w.quality_change, w.latency_change, w.error_change)
        return trial, self._cell("control", control_share, level, 0.0, 0.0)

    def cell(self, side: str, share: float) -> Cell:
        """One slice of a minute without a trend: ``side`` is trial or control."""
        w = self.world
        if side == "control":
            return self._cell(side, share, w.quality, 0.0, 0.0)
        return self._cell(side, share, w.quality + w.quality_change, w.latency_change, w.error_change)

    def _cell(self, side: str, share: float, level: float, slower: float, failing: float) -> Cell:
        w, rng = self.world, self.rng
        groups, effects = self._who(side, share)
        n, shared = len(effects), w.session_share if w.session_size > 1 else 0.0
        z = math.sqrt(1 - shared) * rng.normal(size=(3, n)) + math.sqrt(shared) * effects
        level = min(max(level, 0.01), 0.99)
        quality = (ndtr(z[0]) < level) * 1.0 if w.quality_sd == 0 else self._beta(level, n)
        scored = rng.random(n) < w.score_rate
        logs = math.log(800.0 * (1 + slower)) + w.latency_sigma * z[1]
        costs = (
            0.002 * (1 + (w.cost_change if side == "trial" else 0)) * np.exp(w.cost_sigma * z[2] - w.cost_sigma**2 / 2)
        )
        return cell_of(quality, scored, logs, costs, rng.random(n) < w.error_rate + failing, groups)

    def _beta(self, mean: float, n: int) -> Array:
        k = mean * (1 - mean) / self.world.quality_sd**2 - 1
        return self.rng.beta(mean * k, (1 - mean) * k, n)

    def _who(self, side: str, share: float) -> tuple[Array | None, Array]:
        w, rng, live = self.world, self.rng, self.live[side]
        if w.session_size == 1:
            return None, np.zeros(rng.poisson(w.requests_per_minute * share))
        new = rng.poisson(w.requests_per_minute * share / w.session_size)
        group = np.concatenate([live.group, rng.integers(SESSION_GROUPS, size=new)])
        left = np.concatenate([live.left, np.full(new, w.session_size)])
        effect = np.concatenate([live.effect, rng.normal(size=new)])
        now = np.minimum(left, rng.poisson(w.session_size / w.session_minutes, size=len(left)))
        on = left > now
        self.live[side] = Live(group[on], (left - now)[on], effect[on])
        return np.repeat(group, now), np.repeat(effect, now)


def cell_of(quality: Array, scored: Array, logs: Array, costs: Array, failed: Array, groups: Array | None) -> Cell:
    """The sums a worker would have kept of these requests."""
    q = quality[scored]
    cell = Cell(
        n=len(quality), errors=int(failed.sum()), latency_ms=float(np.exp(logs).sum()), log_latency=float(logs.sum()),
        log_latency_sq=float((logs**2).sum()), cost_n=len(costs), cost_usd=float(costs.sum()),
        cost_sq=float((costs**2).sum()), quality={"judge": Score(len(q), float(q.sum()), float((q * q).sum()))},
    )  # fmt: skip
    if groups is not None and len(groups):
        of = [np.bincount(groups, weights, SESSION_GROUPS).tolist() for weights in
              (None, failed, logs, costs, scored, quality * scored)]  # fmt: skip
        for g, (n, errors, log, cost, scores, total) in enumerate(zip(*of, strict=True)):
            if n:
                cell.groups[g] = Group(int(n), int(errors), log, cost, int(scores), total)
    return cell


if __name__ == "__main__":
    from benchmarks.nothing_to_gain import main

    sys.exit(main(sys.argv[1:]))
