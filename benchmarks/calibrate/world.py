"""A world of easy and hard prompts whose contextual bandit moves the hard ones to the incumbent, beside a trial."""

import math

import msgspec
import numpy as np

from app.core.cell import Cell, Score
from app.core.trial import Trial, open_trial


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
