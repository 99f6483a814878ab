"""How a change reaches the traffic: canary, blue-green, immediate or shadow, as the service document says.

    mode         what is judged before all traffic                          served by the challenger meanwhile
    canary       every step against a control of the same size              the share of the step
    blue-green   the first step until the arm is admitted, then the bake    the first step, then 90 %
    immediate    the bake                                                   90 % at once
    shadow       copies of a share, by their scores; then as a canary       nothing, then the share of the step

The bake is the full-size switch with the old arm kept ready beside it: it serves the control slice of 10 %, so harm is
seen within the minute and every way back (verdict, critical finding, ``rollback``, ``freeze``) is one split. Every mode
ends by the same rule: nothing takes over that is not proven.
"""

from app.core.document import TrialPlan
from app.core.forecast import Stage
from app.core.trial import Guardrails, Mode, Trial, open_trial, shares

BAKE = 0.9
"""Share of a full-size switch: what leaves a control slice of 10 %."""


def steps_of(plan: TrialPlan, mode: Mode) -> tuple[float, ...]:
    """Served shares of a trial in ``mode``; for shadow those of the canary that follows."""
    if mode == "immediate":
        return (BAKE,)
    steps = tuple(step / 100 for step in plan.steps if step < 100)
    return (min(steps[0], 0.5), BAKE) if mode == "blue-green" else steps


def progression(plan: TrialPlan, mode: Mode) -> tuple[float, ...]:
    """The same in percent, up to the end."""
    if mode in ("blue-green", "immediate"):
        return (*(round(100 * step, 6) for step in steps_of(plan, mode)), 100.0)
    return tuple(map(float, plan.steps))


def opened(plan: TrialPlan, identity: str, arm: str, control: str, minute: int, version: int) -> Trial:
    """A trial at its first step, in the mode of the document."""
    if plan.mode == "shadow":
        return open_trial(identity, arm, control, minute, version, (plan.shadow_percent / 100,), mode="shadow")
    return open_trial(identity, arm, control, minute, version, steps_of(plan, plan.mode), mode=plan.mode)


def served(plan: TrialPlan, trial: Trial, minute: int, version: int) -> Trial:
    """What was mirrored begins to serve: a canary with evidence of its own, as serving is another thing."""
    steps = steps_of(plan, "canary")
    return open_trial(trial.id, trial.arm, trial.control_arm, minute, version, steps)


def first_share(plan: TrialPlan) -> float:
    """Share of the traffic that a new trial's arm would serve."""
    return 0.0 if plan.mode == "shadow" else steps_of(plan, plan.mode)[0]


def contest_shares(plan: TrialPlan, arms: int) -> tuple[float, float]:
    """(trial, control) shares where ``arms`` challengers and the control have equal parts."""
    part = plan.contest_percent / 100 / (arms + 1)
    return round(arms * part, 9), round(part, 9)


def baked(guardrails: Guardrails, trial: Trial, plan: TrialPlan) -> Guardrails:
    """The guardrails of the present step: a bake lasts longer than a step, in complete minutes."""
    if trial.mode not in ("blue-green", "immediate") or not trial.last_step:
        return guardrails
    return guardrails.lasting(plan.bake_minutes)


def stages(plan: TrialPlan, arms: int = 1) -> tuple[Stage, ...]:
    """What the trial will go through, for the forecast of its length. ``arms`` challengers begin together."""
    share = plan.shadow_percent / 100
    first = (Stage(share, share, admission=False, minutes=plan.step_minutes_min),) if plan.mode == "shadow" else ()
    steps = steps_of(plan, plan.mode)
    judged = plan.mode in ("blue-green", "immediate")
    later = tuple(
        Stage(
            *shares(step),
            admission=judged or step == steps[-1],
            minutes=max(plan.step_minutes_min, plan.bake_minutes if judged and step == steps[-1] else 0),
            fresh=plan.mode == "shadow" and step == steps[0],
        )
        for step in steps
    )
    if arms > 1:
        _, part = contest_shares(plan, arms)
        first = (Stage(part, part, admission=False, minutes=plan.step_minutes_min),)
        later = later[1:] or later
    return (*first, *later)
