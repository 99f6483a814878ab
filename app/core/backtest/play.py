"""Plays a policy over a table: order, late and missing scores, an arm that silently degrades.

In a log an answer exists only where the chosen arm was the one called: the policy learns from those rows alone.
"""

from collections import deque

import msgspec
import numpy as np

from app.core.backtest.policy import Policy, Problem
from app.core.backtest.table import Floats, Ints, Table, TableError, rewards
from app.core.stats.reward import Objective


class Degrade(msgspec.Struct, frozen=True):
    """From request ``start`` on the quality of ``arm`` is multiplied by ``factor``."""

    arm: int
    start: int
    factor: float = 0.5


class Terms(msgspec.Struct, frozen=True):
    """How the table is played. ``delay``: requests until an answer is learned; ``score_rate``: share that is scored.

    Each of ``passes`` is shuffled by ``seed``, unless ``in_order``.
    """

    passes: int = 1
    seed: int = 0
    delay: int = 0
    score_rate: float = 1.0
    degrade: Degrade | None = None
    in_order: bool = False


class Played(msgspec.Struct, frozen=True):
    """Row and chosen arm by request, in the order of play."""

    rows: Ints
    arms: Ints


def problem_of(table: Table, objective: Objective, seed: int) -> Problem:
    """What a policy may know of ``table``."""
    return Problem(
        arms=table.arms,
        objective=objective,
        segment=tuple(table.segment.tolist()),
        segments=table.segments,
        cost_means=tuple(np.nanmean(table.cost, axis=0).tolist()),
        reward_means=tuple(np.nanmean(rewards(table, objective), axis=0).tolist()),
        prompts=table.prompts,
        in_tokens=table.in_tokens,
        seed=seed,
    )


def play(table: Table, policy: Policy, terms: Terms) -> Played:
    """Every request of every pass, one decision each. ``TableError`` for terms that have no meaning on a log."""
    if table.logged and (terms.passes > 1 or terms.degrade is not None):
        raise TableError("this table is a log (some q_ are empty): it can be played once, and without a degraded arm")
    rng = np.random.default_rng(terms.seed)
    rows = _order(table.requests, terms, rng)
    scored = (rng.random(len(rows)) < terms.score_rate).tolist()
    quality, cost, latency = table.quality.tolist(), table.cost.tolist(), _latency(table).tolist()
    degrade = terms.degrade or Degrade(-1, len(rows))
    chosen: list[int] = []
    late: deque[tuple[int, int, float | None, float, float]] = deque()
    for t, row in enumerate(rows):
        arm = policy.choose(row)
        chosen.append(arm)
        q = quality[row][arm]
        if q == q:  # noqa: PLR0124  not nan: the arm was called
            if arm == degrade.arm and t >= degrade.start:
                q *= degrade.factor
            late.append((row, arm, q if scored[t] else None, cost[row][arm], latency[row][arm]))
        else:
            late.append((row, -1, None, 0.0, 0.0))
        if len(late) > terms.delay:
            answer = late.popleft()
            if answer[1] >= 0:
                policy.learn(*answer)
    return Played(np.array(rows), np.array(chosen))


def degraded(arm: str, at: float, table: Table, terms: Terms, factor: float = 0.5) -> Degrade:
    """``at`` up to 1 is a share of all requests, above it a request number. ``TableError`` for an unknown arm."""
    if arm not in table.arms:
        raise TableError(f"no arm {arm!r} in the table; it has {', '.join(table.arms)}")
    total = table.requests * terms.passes
    return Degrade(table.arms.index(arm), round(at * total) if at <= 1.0 else round(at), factor)


def _order(n: int, terms: Terms, rng: np.random.Generator) -> list[int]:
    passes = [np.arange(n) if terms.in_order else rng.permutation(n) for _ in range(terms.passes)]
    return [int(row) for row in np.concatenate(passes)]


def _latency(table: Table) -> Floats:
    return np.zeros_like(table.cost) if table.latency is None else table.latency
