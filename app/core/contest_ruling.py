"""What the evidence so far means for several challengers on trial together: drop, choose one, end, or stay."""

from typing import Any

import msgspec

from app.core import proposals, rollout, so_far
from app.core.change import Why
from app.core.contest import SURPASSED, Standing, chosen, standings
from app.core.decision import Action
from app.core.experiments import shared
from app.core.inputs import inputs_of
from app.core.outputs import Output
from app.core.policy.gate import gate
from app.core.reasons import guardrails_of, judged
from app.core.row import Row

Result = tuple[Row, list[Output]]


def judge(row: Row, now_s: int) -> Result:
    """One minute of a trial with several challengers."""
    standing = standing_of(row, now_s)
    lost = tuple(one for one in standing if one.lost)
    if lost:
        return _drop(row, now_s, standing, lost)
    if row.unseen:  # a split whose traffic was not seen yet is not climbed from
        return row, []
    best = chosen(standing, alpha=row.document.guardrails.alpha, enough=row.document.trial.contest_scored)
    return _choose(row, now_s, standing, best) if best is not None else (row, [])


def standing_of(row: Row, now_s: int) -> tuple[Standing, ...]:
    """Every challenger that is left."""
    trials = row.challengers
    began = next((len(one.arms) for one in row.experiments if one.id == row.trial_experiment), len(trials))
    verdicts = [so_far.verdict(row, trial, now_s) for trial in trials]
    guardrails = shared(guardrails_of(row.document), row)
    return standings(trials, verdicts, guardrails, row.objective, arms=max(began, len(trials)))


def _drop(row: Row, now_s: int, standing: tuple[Standing, ...], lost: tuple[Standing, ...]) -> Result:
    """The losers leave together; the trial ends when nobody is left."""
    reasons = {one.trial.arm: one.lost for one in lost}
    cause = "; ".join(f"{one.trial.arm}: {one.lost}" for one in lost if one.verdict.kind != "harm")
    if len(lost) == len(standing):
        why = _told(_why("roll-back", row, now_s, standing, lost[0]), cause=cause)
        return rollout.end(row, now_s, why, rests=reasons)
    left = tuple(one.trial.arm for one in standing if not one.lost)
    why = _told(_why("drop-arm", row, now_s, standing, lost[0]), cause=cause, dropped=reasons, left=left)
    return rollout.drop(row, now_s, why, reasons)


def _choose(row: Row, now_s: int, standing: tuple[Standing, ...], best: Standing) -> Result:
    """The best goes up a step alone, unless a limit or policy forbids it: then it leaves, and the others stay."""
    trial = best.trial
    share = trial.steps[min(trial.step + 1, len(trial.steps) - 1)]
    held = gate(row, "next-step", trial.arm, share, now_s)
    rests = {one.trial.arm: SURPASSED for one in standing if one is not best}
    why = _told(_why("next-step", row, now_s, standing, best), dropped=rests)
    why = msgspec.structs.replace(why, constraints=(*why.constraints, *held.constraints))
    if not held.stops:
        return rollout.choose(row, now_s, why, trial, rests)
    row, refused = proposals.forbidden(row, now_s, why, held)
    left = tuple(one.trial.arm for one in standing if one is not best)
    why = _told(_why("drop-arm", row, now_s, standing, best), dropped={trial.arm: held.cause}, left=left)
    row, dropped = rollout.drop(row, now_s, why, {trial.arm: ""})
    return row, [*refused, *dropped]


def _why(action: Action, row: Row, now_s: int, standing: tuple[Standing, ...], about: Standing) -> Why:
    """The reasons, told of one challenger, with how all of them stand as evidence."""
    asked = inputs_of(row, now_s, "time")
    of = msgspec.structs.replace(row, trial=about.trial)
    return _told(judged(action, of, asked, about.verdict), standings={one.trial.arm: _shown(one) for one in standing})


def _told(why: Why, **evidence: Any) -> Why:
    return msgspec.structs.replace(why, evidence={**why.evidence, **evidence})


def _shown(one: Standing) -> dict[str, Any]:
    reward = one.reward
    return {
        "verdict": one.verdict.kind,
        "reward": None if reward is None else {"estimate": reward.estimate, "low": reward.low, "high": reward.high},
        "p_value": one.p_value,
        "judged": one.judged,
    }
