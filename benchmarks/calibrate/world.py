"""Traffic of a trial, drawn a minute at a time: sessions as arrays, and a contextual bandit beside the trial.

`benchmarks.worlds` says what a world is and drives a trial through it; here are the same draws, fast enough for
hundreds of rollouts, and a world of easy and hard prompts whose bandit moves the hard ones to the incumbent.
"""

import math

import msgspec
import numpy as np
from scipy.special import ndtr

from app.core.cell import SESSION_GROUPS, Cell, Group, Score
from app.core.trial import Guardrails, Trial, next_step, observe, open_trial, shares
from app.core.verdict import judge
from benchmarks.worlds import Rollout, World

Array = np.ndarray


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


def roll_out(world: World, seed: int, minutes: int = 1_500) -> Rollout:
    """Drive one trial with default guardrails through its steps, judged after every minute."""
    guardrails = Guardrails()
    rng = np.random.default_rng(seed)
    traffic, trial, canary, promoted = Traffic(world, rng), open_trial("t", "new", "old", 0, 1), 0, 0
    start, walk = rng.uniform(0, 1440), 0.0
    for minute in range(minutes):
        walk = 0.98 * walk + 0.2 * world.wobble_points * rng.normal()
        level = world.quality + world.trend_points * math.sin(2 * math.pi * (start + minute) / 1440) + walk
        seen, control = traffic.minute(level, *shares(trial.steps[trial.step]))
        canary += seen.n
        trial = observe(trial, minute, seen, control)
        verdict = judge(trial, guardrails)
        if verdict.kind == "harm":
            return Rollout("harm", verdict.metric, minute + 1, canary, promoted)
        if verdict.kind == "safe":
            promoted = promoted or canary
            if trial.last_step:
                return Rollout("accepted", "", minute + 1, canary, promoted)
            trial = next_step(trial, minute + 1, trial.last_version + 1)
    return Rollout("open", "", minutes, canary, promoted)


# ---- easy and hard prompts, and a bandit that learns who is good at which ----
class Prompts(msgspec.Struct, frozen=True):
    """``change``: effect of the challenger on both kinds; ``trend``: daily swing of quality in points; ``bandit``:
    whether the hard prompts move to the incumbent (from half of its traffic to nine tenths within a day).
    """

    change: float = 0.0
    trend: float = 0.0
    bandit: bool = False
    easy: float = 0.96
    hard: float = 0.84
    requests_per_minute: float = 100.0


Counts = tuple[int, int]
"""Requests, and good answers among them."""


def slices(prompts: Prompts, rng: np.random.Generator, minute: int, start: float, share: float) -> tuple[Counts, ...]:
    """Trial, control, and the incumbent's part of the main traffic (half of what the trial leaves). Minutes
    below 0 are
    those before the trial.
    """
    day = (minute + start) / 1440
    shift = prompts.trend * math.sin(2 * math.pi * day)
    learned = 0.5 + 0.4 * min(1.0, max(0, minute) / 300) if prompts.bandit else 0.5
    rate = prompts.requests_per_minute
    sizes = rng.poisson([rate * share, rate * share, rate * (1 - 2 * share) / 2])
    hard = rng.binomial(sizes, [0.5, 0.5, learned])
    effects = np.array([prompts.change, 0.0, 0.0]) + shift
    good = rng.binomial(hard, np.clip(prompts.hard + effects, 0, 1))
    good += rng.binomial(sizes - hard, np.clip(prompts.easy + effects, 0, 1))
    return tuple((int(n), int(k)) for n, k in zip(sizes, good, strict=True))


def scored_cell(counts: Counts) -> Cell:
    """A cell that holds quality only."""
    n, good = counts
    return Cell(n=n, quality={"judge": Score(n, float(good), float(good))})


def trial_of(minute: int = 0) -> Trial:
    """A fresh trial on its first step."""
    return open_trial("t", "new", "old", minute, 1)
