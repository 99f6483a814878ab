"""A decision as one plain sentence: what is done, and the numbers it rests on.

What a sentence needs beyond the decision's own fields stands in its evidence, all optional: ``challenger`` and
``incumbent`` (arm names), ``cause`` (why it was held, refused or frozen: half a sentence), ``actor`` (who ordered it).
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from app.core.decision import Action, Change, Constraint, Decision, Impact, Status
from app.core.explain.wording import (
    amount,
    better_or_worse,
    duration,
    failed,
    harm,
    improves,
    mildest,
    number,
    percent,
    signed,
    worst,
)

METRICS = ("cost", "latency", "quality", "errors", "reward")
LOSES = frozenset(("roll-back", "drop-arm"))
"""Actions whose reason is harm."""
MAX_MOVES = 6


def rationale(decision: Decision, status: Status = "decided") -> str:
    """One plain sentence: what is done, and the numbers it rests on, with units and intervals."""
    if status == "refused":
        nothing_to_wait_for = msgspec.structs.replace(decision, expected_minutes=None)
        return _sentence(f"Refused to {_TO[decision.action](decision)}", _reasons(nothing_to_wait_for))
    what = _WHAT[decision.action](decision)
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
    if d.deployment.strategy == "shadow":
        copies = f"copies of {step_text(d)} of the traffic{where(d)}"
        return f"{challenger(d)} gets {copies} and serves nobody, beside {incumbent(d)}"
    arms = d.split.trial.arms if d.split is not None and d.split.trial is not None else ()
    if arms:
        each = number(d.deployment.step / len(arms), 1)
        return f"A trial gives {_listed(arms)} {each} % of the traffic each{where(d)}, against {incumbent(d)}"
    return f"A trial gives {challenger(d)} {step_text(d)} of the traffic{where(d)}, against {incumbent(d)}"


def _next_step(d: Decision) -> str:
    if d.deployment.strategy == "blue-green":
        return f"{challenger(d)} takes {step_text(d)} of the traffic{where(d)}, {incumbent(d)} is kept ready beside it"
    steps = d.deployment.progression
    before = [step for step in steps if step < d.deployment.step]
    since = f" from {number(before[-1], 1)} %" if before else ""
    return f"{challenger(d)} goes{since} to {step_text(d)} of the traffic{where(d)}"


def _drop_arm(d: Decision) -> str:
    dropped, left = tuple(d.evidence.get("dropped", ())), tuple(d.evidence.get("left", ()))
    verb = "leaves" if len(dropped) == 1 else "leave"
    return f"{_listed(dropped) or challenger(d)} {verb} the trial{where(d)}, {_listed(left)} share what is free"


def _listed(arms: tuple[str, ...]) -> str:
    *first, last = arms or ("",)
    return f"{', '.join(first)} and {last}" if first else last


def _hold(d: Decision) -> str:
    at = f" at {step_text(d)}" if d.deployment.step else ""
    return f"{challenger(d)} stays{at}{where(d)}"


def _roll_back(d: Decision) -> str:
    if d.evidence.get("mirrored"):
        return f"{challenger(d)} gets no more copies{where(d)}, it never served; {incumbent(d)} answers as before"
    return f"{challenger(d)} is rolled back{where(d)}, {incumbent(d)} answers again"


def _fail_over(d: Decision) -> str:
    return f"{challenger(d)} fails{where(d)}, {incumbent(d)} answers at once (not judged)"


def _frozen(d: Decision) -> str:
    by = f" by {d.evidence['actor']}" if d.evidence.get("actor") else ""
    return f"The service is frozen{by}, {_withdrawn(d) if _is_withdrawn(d) else 'the split stays as it is'}"


def _weights(d: Decision) -> str:
    moves = [f"{name} {_share(old)} -> {_share(new)}" for name, old, new in _moved(d.changes)]
    more = f" and {len(moves) - MAX_MOVES} more" if len(moves) > MAX_MOVES else ""
    return f"Weights move{where(d)}" + (f" ({', '.join(moves[:MAX_MOVES])}{more})" if moves else "")


def _moved(changes: tuple[Change, ...]) -> Iterator[tuple[str, Any, Any]]:
    """(arm, old, new) of every weight that changed, whether a change is one weight or whole tables by segment."""
    for change in changes:
        if not change.parameter.startswith("weights"):
            continue
        if not isinstance(change.old or change.new, dict):
            yield change.parameter.rsplit(".", 1)[-1], change.old, change.new
            continue
        old, new = change.old or {}, change.new or {}
        for segment in sorted({*old, *new}):
            before, after = old.get(segment, {}), new.get(segment, {})
            for arm in sorted({*before, *after}):
                if before.get(arm) != after.get(arm):
                    yield (arm if segment == "*" else f"{segment}: {arm}"), before.get(arm), after.get(arm)


def _share(value: Any) -> str:
    return percent(value) if isinstance(value, int | float) else "0 %"


def _configure(d: Decision) -> str:
    names = [change.parameter for change in d.changes]
    more = f" and {len(names) - MAX_MOVES} more" if len(names) > MAX_MOVES else ""
    return "A new service document is in force" + (f" ({', '.join(names[:MAX_MOVES])}{more})" if names else "")


def _set_mode(d: Decision) -> str:
    return f"The mode is now {d.mode}" + (f", {_withdrawn(d)}" if _is_withdrawn(d) else "")


def _is_withdrawn(d: Decision) -> bool:
    """Whether a trial that was open is not in the split any more."""
    return bool(d.evidence.get("challenger")) and (d.split is None or d.split.trial is None)


def _withdrawn(d: Decision) -> str:
    return f"the trial of {challenger(d)} is withdrawn"


_WHAT: dict[Action, Callable[[Decision], str]] = {
    "open-trial": _open_trial,
    "next-step": _next_step,
    "drop-arm": _drop_arm,
    "hold": _hold,
    "admit": lambda d: f"{challenger(d)} is admitted{where(d)}",
    "promote": lambda d: f"{challenger(d)} takes over from {incumbent(d)}{where(d)}",
    "roll-back": _roll_back,
    "fail-over": _fail_over,
    "freeze": _frozen,
    "unfreeze": lambda _: "The service may be changed again",
    "move-weights": _weights,
    "reset": lambda d: f"The evidence of {challenger(d)} is forgotten and gathered again{where(d)}",
    "re-baseline": lambda d: f"The baseline is now {incumbent(d)}",
    "configure": _configure,
    "set-mode": _set_mode,
    "pause": lambda _: "The service is paused, its split stays as it is",
    "resume": lambda _: "The service is no longer paused or frozen",
}


_TO: dict[Action, Callable[[Decision], str]] = {
    "open-trial": lambda d: f"open a trial of {challenger(d)} against {incumbent(d)}{where(d)}",
    "drop-arm": lambda d: f"drop {challenger(d)} from the trial{where(d)}",
    "next-step": lambda d: f"give {challenger(d)} more traffic{where(d)}",
    "hold": lambda d: f"hold {challenger(d)}{where(d)}",
    "admit": lambda d: f"admit {challenger(d)}{where(d)}",
    "promote": lambda d: f"let {challenger(d)} take over from {incumbent(d)}{where(d)}",
    "roll-back": lambda d: f"roll back{where(d)}, {incumbent(d)} goes on",
    "fail-over": lambda d: f"let {incumbent(d)} answer instead of {challenger(d)}{where(d)}",
    "freeze": lambda _: "freeze the service",
    "unfreeze": lambda _: "lift the freeze",
    "move-weights": lambda d: f"move weights{where(d)}",
    "reset": lambda d: f"forget the evidence of {challenger(d)}{where(d)}",
    "re-baseline": lambda d: f"make {incumbent(d)} the baseline",
    "configure": lambda _: "put the service document into force",
    "set-mode": lambda _: "change the mode",
    "pause": lambda _: "pause the service",
    "resume": lambda _: "resume the service",
}


# ---- why ----------------------------------------------------------------------------------------------------------
def _reasons(d: Decision) -> str:
    """Cause, then every metric against its limit, then the other constraints that failed, then what is expected."""
    parts = [str(d.evidence[key]).rstrip(". ") for key in ("cause",) if d.evidence.get(key)]
    if d.evidence.get("actor") and d.action != "freeze":
        parts.append(f"ordered by {d.evidence['actor']}")
    limits = {c.name: c for c in d.constraints}
    parts += [_metric(metric, d.expected_impact[metric], limits.get(metric), d) for metric in _order(d)]
    parts += [failed(c) for c in d.constraints if not c.satisfied and c.name not in d.expected_impact]
    if d.action == "open-trial" and d.expected_minutes is not None:
        parts.append(f"a verdict takes about {duration(d.expected_minutes)}")
    return "; ".join(part for part in parts if part)


def _order(d: Decision) -> list[str]:
    """Metrics as they are told: gains first, but of what was rolled back the harm first."""
    told = [metric for metric in METRICS if metric in d.expected_impact]
    if d.action not in LOSES:
        return told
    return sorted(told, key=lambda metric: not _is_harmed(metric, d.expected_impact[metric]))


def _is_harmed(metric: str, impact: Impact) -> bool:
    """Whether the whole interval is on the bad side."""
    bound = mildest(metric, impact)
    return bound is not None and harm(metric, bound) > 0


def _metric(metric: str, impact: Impact, limit: Constraint | None, d: Decision) -> str:
    """A gain as such; else the change, the bound that decides and what it means for the limit."""
    if limit is None or (improves(metric, impact) and limit.satisfied):
        return better_or_worse(metric, impact)
    text = f"{metric} {signed(metric, impact.estimate)}"
    if d.action in LOSES and _is_harmed(metric, impact):
        bound = mildest(metric, impact)
        beyond = bound is not None and harm(metric, bound) > limit.limit
        said = "beyond the limit" if beyond else "certain harm, the limit is"
        at_least = signed(metric, bound) if bound is not None else "?"
        return f"{text} (at least {at_least}), {said} {'of ' if beyond else ''}{amount(metric, limit.limit)}"
    bound = worst(metric, impact)
    if bound is None:
        return f"{text}, too few requests to say more"
    may_be = "inside" if limit.satisfied else "which may still be beyond"
    return f"{text} (at most {signed(metric, bound)}), {may_be} the limit of {amount(metric, limit.limit)}"


def _waiting(d: Decision) -> str:
    wait = f" for at most {duration(d.valid_for_s / 60)}" if d.valid_for_s else ""
    if "policy" in d.evidence.get("waits_for", ()):
        return f"waits for the policy service{wait}"
    if d.mode == "approve":
        return f"waits for approval{wait}"
    return f"mode {d.mode} changes nothing by itself"
