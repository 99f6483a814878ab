"""A decision as one plain sentence: what is done, and the numbers it rests on.

What a sentence needs beyond the decision's own fields stands in its evidence, all optional: ``challenger`` and
``incumbent`` (arm names), ``cause`` (why it was held, refused or frozen: half a sentence), ``actor`` (who ordered it).
"""

from collections.abc import Callable
from typing import Any

from app.core.decision import Action, Constraint, Decision, Impact, Status
from app.core.explain.wording import (
    amount,
    better_or_worse,
    duration,
    harm,
    improves,
    mildest,
    number,
    percent,
    signed,
    worst,
)

METRICS = ("cost", "latency", "quality", "errors")


def rationale(decision: Decision, status: Status = "decided") -> str:
    """One plain sentence: what is done, and the numbers it rests on, with units and intervals."""
    what = _WHAT[decision.action](decision)
    if status == "refused":
        return _sentence(f"Refused: {_lower(what)}", _refusal(decision))
    if status == "proposed":
        return _sentence(f"Proposed: {_lower(what)}", _reasons(decision), _waiting(decision))
    return _sentence(what, _reasons(decision))


def _sentence(what: str, *parts: str) -> str:
    """``What: reasons; more.``"""
    rest = "; ".join(part for part in parts if part)
    return f"{what}: {rest}." if rest else f"{what}."


def _lower(text: str) -> str:
    """Without the capital of an own sentence; names of arms keep their spelling."""
    first = text.split(" ", 1)[0]
    return text[0].lower() + text[1:] if first in _CAPITAL_BY_GRAMMAR else text


_CAPITAL_BY_GRAMMAR = frozenset({"A", "The", "Weights"})


# ---- what is done -------------------------------------------------------------------------------------------------
def challenger(decision: Decision) -> str:
    """The arm the decision is about; ``the challenger`` when it does not say."""
    trial = decision.split.trial if decision.split else None
    return str(decision.evidence.get("challenger") or (trial.arm if trial else "") or "the challenger")


def incumbent(decision: Decision) -> str:
    """The arm it is compared with."""
    split = decision.split
    return str(decision.evidence.get("incumbent") or (split.incumbent if split else "") or "the incumbent")


def where(decision: Decision) -> str:
    return "" if decision.segment == "*" else f" in segment {decision.segment}"


def step_text(decision: Decision) -> str:
    return f"{number(decision.deployment.step, 1)} %"


def _open_trial(d: Decision) -> str:
    return f"A trial gives {challenger(d)} {step_text(d)} of the traffic{where(d)}, against {incumbent(d)}"


def _next_step(d: Decision) -> str:
    steps = d.deployment.progression
    before = [step for step in steps if step < d.deployment.step]
    since = f" from {number(before[-1], 1)} %" if before else ""
    return f"{challenger(d)} goes{since} to {step_text(d)} of the traffic{where(d)}"


def _hold(d: Decision) -> str:
    at = f" at {step_text(d)}" if d.deployment.step else ""
    return f"{challenger(d)} stays{at}{where(d)}"


def _roll_back(d: Decision) -> str:
    return f"{challenger(d)} is rolled back{where(d)}, {incumbent(d)} answers again"


def _frozen(d: Decision) -> str:
    by = f" by {d.evidence['actor']}" if d.evidence.get("actor") else ""
    trial = d.split.trial if d.split else None
    withdrawn = trial is None and bool(d.evidence.get("challenger"))
    after = f"the trial of {challenger(d)} is withdrawn" if withdrawn else "the split stays as it is"
    return f"The service is frozen{by}, {after}"


def _weights(d: Decision) -> str:
    moves = [c for c in d.changes if c.parameter.startswith("weights")]
    text = ", ".join(f"{c.parameter.rsplit('.', 1)[-1]} {_share(c.old)} -> {_share(c.new)}" for c in moves)
    return f"Weights move{where(d)} ({text})" if text else f"Weights move{where(d)}"


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, int | float) else "0 %"


def _configure(d: Decision) -> str:
    names = ", ".join(change.parameter for change in d.changes[:5])
    more = f" and {len(d.changes) - 5} more" if len(d.changes) > 5 else ""
    return f"A new service document is in force ({names}{more})" if names else "The service document is unchanged"


_WHAT: dict[Action, Callable[[Decision], str]] = {
    "open-trial": _open_trial,
    "next-step": _next_step,
    "hold": _hold,
    "admit": lambda d: f"{challenger(d)} is admitted{where(d)}",
    "promote": lambda d: f"{challenger(d)} takes over from {incumbent(d)}{where(d)}",
    "roll-back": _roll_back,
    "freeze": _frozen,
    "unfreeze": lambda _: "The service may be changed again",
    "move-weights": _weights,
    "reset": lambda d: f"The evidence of {challenger(d)} is forgotten and gathered again{where(d)}",
    "re-baseline": lambda d: f"The baseline is now {incumbent(d)}",
    "configure": _configure,
    "set-mode": lambda d: f"The mode is now {d.mode}",
    "pause": lambda _: "The service is paused, its split stays as it is",
    "resume": lambda _: "The service is no longer paused or frozen",
}


# ---- why ----------------------------------------------------------------------------------------------------------
def _reasons(d: Decision) -> str:
    """Cause, gains, then each guarded metric against its limit, then the other constraints that failed."""
    parts = [str(d.evidence["cause"])] if d.evidence.get("cause") else []
    limits = {c.name: c for c in d.constraints}
    for metric in _order(d, limits):
        impact = d.expected_impact.get(metric)
        if impact is not None:
            parts.append(_metric(metric, impact, limits.get(metric), rolled_back=d.action == "roll-back"))
    parts += [_failed(c) for c in d.constraints if not c.satisfied and c.name not in d.expected_impact]
    if d.action == "open-trial" and d.expected_minutes is not None:
        parts.append(f"a verdict takes about {duration(d.expected_minutes)}")
    return "; ".join(parts)


def _order(d: Decision, limits: dict[str, Constraint]) -> list[str]:
    """Gains first; of what was rolled back, the harm first."""
    if d.action != "roll-back":
        return list(METRICS)
    return sorted(METRICS, key=lambda metric: metric not in limits or limits[metric].satisfied)


def _metric(metric: str, impact: Impact, limit: Constraint | None, *, rolled_back: bool) -> str:
    """A gain as such; else the change, the bound that decides and what it means for the limit."""
    if limit is None or (improves(metric, impact) and limit.satisfied):
        return better_or_worse(metric, impact)
    text = f"{metric} {signed(metric, impact.estimate)}"
    certain = rolled_back and not limit.satisfied
    bound = mildest(metric, impact) if certain else worst(metric, impact)
    if bound is not None:
        text += f" ({'at least' if certain else 'at most'} {signed(metric, bound)})"
    return f"{text}, {_against(metric, bound, limit, certain=certain)}"


def _against(metric: str, bound: float | None, limit: Constraint, *, certain: bool) -> str:
    tolerated = f"the limit of {amount(metric, limit.limit)}"
    if limit.satisfied:
        return f"inside {tolerated}"
    if not certain:
        return f"which may still be beyond {tolerated}"
    if bound is not None and harm(metric, bound) > limit.limit:
        return f"beyond {tolerated}"
    return f"certain harm, whose limit is {amount(metric, limit.limit)}"


def _failed(constraint: Constraint) -> str:
    value = "not measured" if constraint.value is None else number(constraint.value, 4)
    return f"{constraint.name} is {value}, the limit is {number(constraint.limit, 4)}"


def _refusal(d: Decision) -> str:
    return _reasons(d) or "no reason was recorded"


def _waiting(d: Decision) -> str:
    if d.mode == "approve":
        wait = f" for at most {duration(d.valid_for_s / 60)}" if d.valid_for_s else ""
        return f"waits for approval{wait}"
    return f"mode {d.mode} changes nothing by itself"
