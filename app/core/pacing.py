"""Re-solve: shares of cheaper and better arms so that the spend meets the budget at its period's end (STATISTICS 6).

    w_k = P(arm k maximises reward_k - price * cost_k)          price >= 0 such that sum_k w_k cost_k = what is allowed

over the draws of the posterior that also weigh the arms without a budget (``weights.drawn_rewards``). The cost falls as
the price rises, in steps of single draws, so the two mixes that bracket the target are interpolated. Floors are put on
each mix before it is costed. The price is what a USD is worth in reward: it is shown to people. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from app.core.stats.moments import mean_cost, overall, total_of
from app.core.stats.reward import Objective
from app.core.stats.shrinkage import Table
from app.core.weights import Mix, chances_of, drawn_rewards, floored

BISECTIONS = 18
FINE = 0.02
"""Two mixes are interpolated once their costs differ by this share of the target."""
NEAR = 0.02
"""The mix stays while what is left of the traffic would cost within this of what is left of the budget..."""
MOVED = 0.05
"""...and the arms' chances have moved no weight by more than this."""
DEAREST = 1e9
"""Reward per USD at which only cost counts."""


class Solved(NamedTuple):
    """Weights (segments x arms), their mean cost (USD a request) and the price (reward per USD) they stand for."""

    weights: Table
    cost_usd: float
    price: float


def paced(
    mix: Mix,
    minute: int,
    objective: Objective,
    allowed_usd: float,
    *,
    service: str = "",
    requests_per_minute: float = 0.0,
    known_usd: Mapping[str, float] | None = None,
    urgent: bool = False,
    drawn: Table | None = None,
) -> tuple[Mix, float] | None:
    """The mix that spends ``allowed_usd`` a request, and its price; None when the best mix costs no more than that.

    ``known_usd``: mean cost of arms that had no main traffic yet. ``urgent`` (the period's last hour): no deviation is
    small enough to wait. ``drawn``: what ``drawn_rewards`` found for this minute, where it is known.
    """
    costs, traffic = costs_of(mix, known_usd or {}), traffic_of(mix)
    drawn = drawn_rewards(mix, objective, service, minute) if drawn is None else drawn
    solved = solve(mix, drawn, costs, traffic, allowed_usd, requests_per_minute)
    if solved is None:
        return None
    old = np.array(mix.weights)
    near = abs(cost_of(old, costs, traffic) - solved.cost_usd) <= NEAR * solved.cost_usd
    if near and not urgent and float(np.abs(old - solved.weights).max()) <= MOVED:
        return mix, solved.price
    weights = tuple(tuple(row) for row in solved.weights.tolist())
    held = tuple(had or max(row) > 0.5 for had, row in zip(mix.held, weights, strict=True))
    return msgspec.structs.replace(mix, weights=weights, held=held), solved.price


def paced_in(
    mix: Mix,
    segment: str,
    old: Sequence[float],
    drawn: Table,
    allowed_usd: float,
    *,
    requests_per_minute: float = 0.0,
    known_usd: Mapping[str, float] | None = None,
    urgent: bool = False,
) -> tuple[Mix, float] | None:
    """``mix`` with the weights at which a request of ``segment`` costs ``allowed_usd``, and the price; None when it
    costs no more as it is. ``old``: the segment's weights in force, kept while they are near enough.
    """
    at = mix.segments.index(segment)
    costs, traffic = costs_of(mix, known_usd or {})[at : at + 1], np.ones(1)
    if cost_of(np.array(mix.weights[at : at + 1]), costs, traffic) <= allowed_usd:
        return None
    solved = solve(mix, drawn[at : at + 1], costs, traffic, allowed_usd, requests_per_minute)
    if solved is None:
        return None
    near = abs(cost_of(np.array([old]), costs, traffic) - solved.cost_usd) <= NEAR * solved.cost_usd
    kept = near and not urgent and float(np.abs(np.array([old]) - solved.weights).max()) <= MOVED
    row = tuple(old) if kept else tuple(solved.weights[0].tolist())
    return msgspec.structs.replace(mix, weights=(*mix.weights[:at], row, *mix.weights[at + 1 :])), solved.price


def solve(
    mix: Mix, drawn: Table, costs: Table, traffic: Table, allowed_usd: float, requests_per_minute: float
) -> Solved | None:
    """The weights whose cost is ``allowed_usd``, or the cheapest; None when no price is needed. ``drawn``: segments x
    draws x arms.
    """

    def at(price: float) -> Solved:
        weights = floored(mix, chances_of(drawn - price * costs[:, None, :]), requests_per_minute)
        return Solved(weights, cost_of(weights, costs, traffic), price)

    low = at(0.0)
    if low.cost_usd <= allowed_usd:
        return None
    high = at(_ceiling(drawn, costs))
    if high.cost_usd >= allowed_usd:
        cheapest = floored(mix, np.eye(costs.shape[1])[costs.argmin(axis=1)], requests_per_minute, 0.0)
        return Solved(cheapest, cost_of(cheapest, costs, traffic), high.price)
    for _ in range(BISECTIONS):
        if low.cost_usd - high.cost_usd <= FINE * allowed_usd:
            break
        middle = at(0.5 * (low.price + high.price))
        low, high = (middle, high) if middle.cost_usd > allowed_usd else (low, middle)
    part = (allowed_usd - high.cost_usd) / (low.cost_usd - high.cost_usd)
    return Solved(part * low.weights + (1.0 - part) * high.weights, allowed_usd, high.price)


def costs_of(mix: Mix, known_usd: Mapping[str, float]) -> Table:
    """Mean cost by segment and arm (USD): a segment's around the arm's, an arm's around that of all arms; as
    ``known_usd`` says for an arm without costs.
    """
    totals = [total_of(arm.sums) for arm in mix.arms]
    everywhere = overall(total_of(totals)).cost
    arms = [
        mean_cost(total, everywhere) if total.cost_n else known_usd.get(arm.name, everywhere)
        for arm, total in zip(mix.arms, totals, strict=True)
    ]
    return np.array([[mean_cost(sums, own) for sums in arm.sums] for arm, own in zip(mix.arms, arms, strict=True)]).T


def traffic_of(mix: Mix) -> Table:
    """Share of the requests by segment."""
    seen = np.array([[sums.n for sums in arm.sums] for arm in mix.arms]).sum(axis=0)
    total = float(seen.sum())
    return np.asarray(seen / total if total > 0 else np.full(len(mix.segments), 1.0 / len(mix.segments)))


def cost_of(weights: Table, costs: Table, traffic: Table) -> float:
    """Mean cost of a request under ``weights`` (segments x arms)."""
    return float((traffic[:, None] * weights * costs).sum())


def _ceiling(drawn: Table, costs: Table) -> float:
    """A price at which every draw prefers the cheapest arm of its segment (arms that cost the same are equal)."""
    ordered = np.sort(costs, axis=1)
    gaps = np.diff(ordered, axis=1)
    least = float(gaps[gaps > 1e-12].min(initial=np.inf))
    return min(DEAREST, 2.0 * float(np.ptp(drawn)) / least) if np.isfinite(least) else 0.0
