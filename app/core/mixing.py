"""Policy ``mix``: the admitted arms share the main traffic by their chance of being best, moved once a minute.

``weights`` says what the weights should be; this says when a move is worth a decision. Material moves and resets are
decisions; smaller ones go to the splits alone.
"""

import math
from typing import Any

import msgspec

from app.core import change
from app.core.budget import Allowance, Budgeting, allowance, amount, as_constraint
from app.core.change import Why
from app.core.decision import Action, Change
from app.core.outputs import Output
from app.core.pacing import paced, paced_in
from app.core.row import Row
from app.core.weights import Mix, drawn_rewards, reset_if_changed, rewards, reweighed, weights_of

MATERIAL_POINTS = 0.05
"""A weight that moved more than this since the last decision about weights makes a decision."""

Weights = dict[str, dict[str, float]]


def reweigh(row: Row, now_s: int) -> tuple[Row, list[Output]]:
    """The weights for the next minute, published if they moved; nothing while this service's split is not ours."""
    split = row.split
    if not row.may_publish or split is None:
        return row, []
    minute, document = now_s // 60, row.document
    known = row.decided_weights or split.weights
    mix, changed = reset_if_changed(row.mix, minute, row.objective)
    outside = row.requests_per_minute * (1 - document.holdout_share)
    mix, row, bound = _within_budget(row, mix, minute, outside)
    weights = weights_of(mix)
    leader = _leader(weights, row.incumbent)
    row = msgspec.structs.replace(row, mix=mix, weights=weights, incumbent=leader, decided_weights=known)
    decided = msgspec.structs.replace(row, decided_weights=weights)
    if bound:  # worth a word even if no weight moved
        return change.publish(decided, now_s, _why(row, "move-weights", "", bound))
    if changed:
        return change.publish(decided, now_s, _why(row, "reset", changed[0]))
    if weights == split.weights:
        return row, []
    if _largest(known, weights) > MATERIAL_POINTS:
        return change.publish(decided, now_s, _why(row, "move-weights", ""))
    return change.publish_quietly(row, now_s)


def _within_budget(row: Row, mix: Mix, minute: int, outside: float) -> tuple[Mix, Row, str]:
    """The mix for the next minute, at a price where a budget binds; and what is to be said once one is spent."""
    drawn, known = drawn_rewards(mix, row.objective, row.service, minute), known_costs(row)
    found, at_price = allowance(row.budgeting, row.document), None
    if found is not None and math.isfinite(found.usd):
        at_price = paced(
            mix, minute, row.objective, found.usd,
            service=row.service, requests_per_minute=outside, known_usd=known, urgent=found.last_hour, drawn=drawn,
        )  # fmt: skip
    if at_price is None:
        new = reweighed(
            mix, minute, row.objective, service=row.service, requests_per_minute=outside, drawn=drawn
        )  # fmt: skip
        at_price = new, 0.0
    new, price = at_price
    state, said = _told(row.budgeting, found, price)
    for segment, part in state.segments.items():
        found, price = allowance(row.budgeting, row.document, segment), 0.0
        if found is not None and math.isfinite(found.usd) and segment in mix.segments:
            at_price = paced_in(
                new, segment, mix.weights[mix.segments.index(segment)], drawn, found.usd,
                requests_per_minute=outside, known_usd=known, urgent=found.last_hour,
            )  # fmt: skip
            new, price = at_price or (new, 0.0)
        told, more = _told(part, found, price)
        state = msgspec.structs.replace(state, segments={**state.segments, segment: told})
        said = said or more
    return new, msgspec.structs.replace(row, budgeting=state), said


def _told(state: Budgeting, found: Allowance | None, price: float) -> tuple[Budgeting, str]:
    """``state`` at this price, and what is to be said of a budget that was just spent."""
    capped = found is not None and found.spent >= found.budget
    said = f"{amount(found)} is spent: the cheapest arm serves" if found and capped and not state.capped else ""
    return msgspec.structs.replace(state, price=price, capped=capped), said


def known_costs(row: Row) -> dict[str, float]:
    """Mean cost of a request by arm as its profile has it (trials included)."""
    return {arm: cost for arm, profile in row.profiles.items() if (cost := profile.cost) is not None}


def _leader(weights: Weights, incumbent: str) -> str:
    """The arm with the largest weight over all segments: what a challenger is compared with. Ties stay as they are."""
    totals: dict[str, float] = {}
    for arms in weights.values():
        for arm, weight in arms.items():
            totals[arm] = totals.get(arm, 0.0) + weight
    return max(totals, key=lambda arm: (totals[arm], arm == incumbent), default=incumbent)


def _largest(old: Weights, new: Weights) -> float:
    moves = (abs(w - old.get(s, {}).get(arm, 0.0)) for s, arms in new.items() for arm, w in arms.items())
    return max(moves, default=0.0)


def _why(row: Row, action: Action, challenger: str, cause: str = "") -> Why:
    old, new = row.decided_weights, row.weights
    changes = tuple(
        Change(parameter=f"weights.{segment}.{arm}", old=round(old.get(segment, {}).get(arm, 0.0), 4), new=round(w, 4))
        for segment, arms in new.items()
        for arm, w in arms.items()
        if abs(w - old.get(segment, {}).get(arm, 0.0)) > 0.5 * MATERIAL_POINTS
    )
    evidence: dict[str, Any] = {"rewards": _rewards(row.mix, row), **({"challenger": challenger} if challenger else {})}
    binding = _binding(row)
    if binding or cause:
        names = " and ".join(amount(found) for found, _ in binding)
        held = f"{names} {'bind' if len(binding) > 1 else 'binds'}: dearer answers get less of the traffic"
        evidence |= {**_budget(row), "cause": cause or held}
    if action == "reset":
        evidence["cause"] = "its newest answers differ from its older ones by more than chance"
    priced = bool(binding)
    return Why(
        action=action,
        trigger="threshold" if priced else "time",
        strategy="threshold" if priced else "reinforcement",
        evidence=evidence,
        changes=changes,
        constraints=tuple(as_constraint(found) for found, _ in binding),
    )


def _binding(row: Row) -> list[tuple[Allowance, Budgeting]]:
    """The budgets at whose price the arms were weighed, or that are spent: the service's, then those of segments."""
    states = [("", row.budgeting), *row.budgeting.segments.items()]
    found = [(allowance(row.budgeting, row.document, segment), state) for segment, state in states]
    return [(one, state) for one, state in found if one is not None and (state.price > 0 or state.capped)]


def _budget(row: Row) -> dict[str, Any]:
    """What the budgets allow a request now, and the prices at which the arms were weighed."""
    states = [("", row.budgeting), *row.budgeting.segments.items()]
    told: dict[str, dict[str, Any]] = {}
    for segment, state in states:
        found = allowance(row.budgeting, row.document, segment)
        if found is not None:
            told[segment] = {**found._asdict(), "price": state.price}
    whole = {"budget": told.pop("")} if "" in told else {}
    return {**whole, **({"segment_budgets": told} if told else {}), "constraint": "budget"} if whole or told else {}


def _rewards(mix: Mix, row: Row) -> dict[str, dict[str, dict[str, float]]]:
    """Posterior mean and standard error of the reward, by segment and arm, and the requests behind it."""
    means, errors = rewards(mix, row.objective)
    return {
        segment: {
            arm.name: {"mean": float(means[a, s]), "se": float(errors[a, s]), "n": arm.sums[s].n}
            for a, arm in enumerate(mix.arms)
        }
        for s, segment in enumerate(mix.segments)
    }
