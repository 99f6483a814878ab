"""The life of one change: look for one, open its trial, go up step by step, admit it or take it back (DESIGN 7).

Every way into a trial and out of it is here; what judges it is ``trial``, what publishes it is ``change``.
"""

from typing import Any

import msgspec

from app.core import change, outputs
from app.core import trial as trials
from app.core import verdict as verdicts
from app.core.change import Why
from app.core.decision import Action, Alternative, Constraint, Impact, Outcome, Trigger, decision_id, encode_outcome
from app.core.document import ServiceDocument
from app.core.forecast import expected_minutes
from app.core.ideas import next_ideas
from app.core.ids import stable_id
from app.core.levers.lever import Candidate
from app.core.outputs import Output
from app.core.row import Proposal, Rest, Row
from app.core.trial import Guardrails
from app.core.verdict import Interval, Verdict

Result = tuple[Row, list[Output]]

CYCLE_S = 900
"""The main loop looks every 15 minutes of event time."""
REST_S = 86_400
REST_LONGEST_S = 30 * REST_S
"""An arm that lost a trial rests a day, then twice as long each time, at most 30 days."""


# ---- looking ----
def look(row: Row, now_s: int, trigger: Trigger) -> Result:
    """Choose the arm with the best expected gain; open its trial, or propose it, as the mode says."""
    row = msgspec.structs.replace(row, next_cycle_s=now_s - now_s % CYCLE_S + CYCLE_S)
    row, worth, others = next_ideas(row, now_s)
    if not worth:
        return row, []
    best, *rest = worth
    alternatives = (*(Alternative(c.arm, _later(c, best)) for c in rest), *others)
    if row.document.mode == "auto":
        return open_trial(row, now_s, best.arm, best.expected, alternatives, trigger, "")
    return _propose(row, now_s, best, alternatives, trigger)


def _later(candidate: Candidate, best: Candidate) -> str:
    return f"one trial at a time; expected gain {candidate.gain:+.4f} against {best.gain:+.4f} of {best.arm}"


def _propose(row: Row, now_s: int, best: Candidate, alternatives: tuple[Alternative, ...], trigger: Trigger) -> Result:
    known = row.proposal
    if known is not None and known.arm == best.arm:
        return row, []
    identity = decision_id(row.service, row.cycle + 1, "open-trial", now_s, best.arm)
    deadline_s = now_s + 60 * row.document.trial.approval_minutes
    proposal = Proposal(identity, best.arm, deadline_s, best.expected, alternatives)
    row = msgspec.structs.replace(row, proposal=proposal, cycle=row.cycle + 1)
    why = _opening(row, best.arm, best.expected, alternatives, trigger, "")
    return row, [change.say(row, "proposed", identity, now_s, why)]


def refuse_proposal(row: Row, now_s: int, cause: str) -> Result:
    """The open proposal ends without a change; its arm rests."""
    proposal = row.proposal
    if proposal is None:
        return row, []
    row = msgspec.structs.replace(row, proposal=None, resting=_rested(row, proposal.arm, now_s, cause))
    why = _opening(row, proposal.arm, proposal.expected, proposal.alternatives, "on-demand", "")
    why = msgspec.structs.replace(why, evidence={**why.evidence, "cause": cause})
    return row, [change.say(row, "refused", proposal.decision_id, now_s, why)]


# ---- the steps ----
def open_trial(
    row: Row,
    now_s: int,
    arm: str,
    expected: dict[str, Impact],
    alternatives: tuple[Alternative, ...],
    trigger: Trigger,
    actor: str,
) -> Result:
    """The first step of a trial of ``arm`` against the incumbent."""
    identity = stable_id("trial", row.service, row.version + 1, arm)
    steps = tuple(step / 100 for step in row.document.trial.steps)
    trial = trials.open_trial(identity, arm, row.incumbent, now_s // 60, row.version + 1, steps)
    row = msgspec.structs.replace(row, trial=trial, proposal=None)
    row, said = change.publish(row, now_s, _opening(row, arm, expected, alternatives, trigger, actor))
    return msgspec.structs.replace(row, trial_decision=row.split.decision_id if row.split else ""), said


def _opening(
    row: Row, arm: str, expected: dict[str, Impact], alternatives: tuple[Alternative, ...], trigger: Trigger, actor: str
) -> Why:
    return Why(
        action="open-trial",
        trigger=trigger,
        evidence={
            "challenger": arm,
            "incumbent": row.incumbent,
            "actor": actor,
            "profiles": {name: row.profiles[name] for name in sorted(row.profiles) if name in (arm, row.incumbent)},
        },
        impact=expected,
        alternatives=alternatives,
        expected_minutes=_expected_minutes(row),
    )


def _expected_minutes(row: Row) -> float | None:
    """How long the trial should take at the present traffic, or None without any."""
    steps = tuple(step / 100 for step in row.document.trial.steps)
    outside = row.requests_per_minute * (1 - row.document.holdout_share)
    return expected_minutes(guardrails_of(row.document), outside, row.spread, steps)


def judge(row: Row, now_s: int) -> Result:
    """What the evidence so far says about the open trial: go up, take over, roll back, or stay."""
    trial = row.trial
    if trial is None:
        return row, []
    reached = msgspec.structs.replace(trial, last_minute=max(trial.last_minute, now_s // 60 - 1))
    verdict = verdicts.judge(reached, guardrails_of(row.document), row.objective)
    if verdict.kind == "harm":
        why = _judged("roll-back", row, verdict)
        return _end(row, now_s, why, rest=f"its trial showed harm in {verdict.metric}")
    if verdict.kind == "timeout":
        return _end(row, now_s, _judged("roll-back", row, verdict), rest="its trial stayed undecided")
    if verdict.kind == "hold" or row.watch is not None:  # a step whose traffic was not seen yet is not climbed from
        return row, []
    if not trial.last_step:
        grown = trials.next_step(trial, now_s // 60, row.version + 1)
        return change.publish(msgspec.structs.replace(row, trial=grown), now_s, _judged("next-step", row, verdict))
    if row.document.policy == "mix":
        return promote(row, now_s, _judged("admit", row, verdict))
    if verdict.benefit:
        return promote(row, now_s, _judged("promote", row, verdict))
    return row, []


def guardrails_of(document: ServiceDocument) -> Guardrails:
    """The document's guardrails as the trial wants them; a tolerance of 100 points means scores are not judged."""
    limits, plan = document.guardrails, document.trial
    return Guardrails(
        quality_points=limits.quality.tolerance if limits.quality.tolerance < 1 else None,
        latency_ratio=limits.latency.tolerance,
        error_points=limits.errors.tolerance,
        cost_ratio=limits.cost.tolerance,
        quality_strict=limits.quality.rule == "strict",
        latency_strict=limits.latency.rule == "strict",
        errors_strict=limits.errors.rule == "strict",
        cost_strict=limits.cost.rule == "strict",
        alpha=limits.alpha,
        channel=document.objective.score_channel,
        scored_min=plan.scored_min,
        step_minutes=plan.step_minutes_min,
        timeout_minutes=plan.trial_minutes_max,
    )


def _judged(action: Action, row: Row, verdict: Verdict) -> Why:
    """The verdict as reasons: every interval as impact and constraint, the whole verdict as evidence."""
    trial = row.trial
    shown = [i for i in (*verdict.intervals, verdict.reward) if i is not None]
    return Why(
        action=action,
        trigger="threshold" if action == "roll-back" else "time",
        evidence={
            "challenger": trial.arm if trial else "",
            "incumbent": trial.control_arm if trial else "",
            "cause": verdict.reason if verdict.kind == "timeout" else "",
            "verdict": msgspec.to_builtins(_named(verdict)),
            "step": trial.steps[trial.step] if trial else 0.0,
            "panes": trial.panes if trial else 0,
            "incomplete_panes": trial.incomplete if trial else 0,
        },
        impact={i.metric: Impact(estimate=i.estimate, low=i.low, high=i.high, n=int(i.n)) for i in shown},
        constraints=tuple(_constraint(i) for i in verdict.intervals),
        confidence=1 - row.document.guardrails.alpha,
    )


def _named(verdict: Verdict) -> dict[str, Any]:
    """A verdict with the names of its fields (it is stored without them)."""
    fields = {name: getattr(verdict, name) for name in ("kind", "metric", "reason", "benefit", "doubtful")}
    intervals = [i for i in (*verdict.intervals, verdict.reward) if i is not None]
    return {**fields, "intervals": [msgspec.structs.asdict(i) for i in intervals]}


def _constraint(interval: Interval) -> Constraint:
    """The bound of harm that matters against its tolerance."""
    sign = -1.0 if interval.metric == "quality" else 1.0
    worst = interval.low if interval.metric == "quality" else interval.high
    value = None if worst is None else sign * worst
    return Constraint(
        name=interval.metric,
        limit=interval.tolerance,
        value=value,
        satisfied=value is not None and value < interval.tolerance,
    )


def promote(row: Row, now_s: int, why: Why) -> Result:
    """The trial's arm takes over (policy single) or joins the admitted arms (policy mix)."""
    if row.trial is None:
        return row, []
    arm = row.trial.arm
    resting = {name: rest for name, rest in row.resting.items() if name != arm}
    row = msgspec.structs.replace(row, trial=None, resting=resting, cooldown_s=_cooldown(row, now_s))
    if row.document.policy == "mix":
        row = msgspec.structs.replace(row, admitted=tuple(sorted({*row.admitted, row.incumbent, arm})))
    else:
        row = msgspec.structs.replace(row, incumbent=arm)
    evidence = {"challenger": arm, **why.evidence}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return msgspec.structs.replace(row, trial_decision=""), said


def roll_back(row: Row, now_s: int, trigger: Trigger, cause: str) -> Result:
    """A critical event: an open trial ends at once."""
    if row.trial is None:
        return row, []
    why = Why(action="roll-back", trigger=trigger, strategy="threshold", evidence={"cause": cause}, confidence=1.0)
    return _end(row, now_s, why, rest=cause)


def end_trial(row: Row, now_s: int, why: Why) -> Result:
    """An operator ends the trial; its arm does not rest longer than the cooldown."""
    return _end(row, now_s, why, rest="")


def restore(row: Row, now_s: int, why: Why) -> Result:
    """Back to the incumbent before the present one."""
    former = [
        past.incumbent for past in row.history if past.incumbent != row.incumbent and row.document.arm(past.incumbent)
    ]
    if not former:
        return row, [change.say(row, "refused", stable_id("restore", row.service, row.cycle, now_s), now_s, why)]
    resting = _rested(row, row.incumbent, now_s, "it was rolled back by an operator")
    evidence = {"challenger": row.incumbent, "incumbent": former[-1], **why.evidence}
    row = msgspec.structs.replace(row, incumbent=former[-1], resting=resting, cooldown_s=_cooldown(row, now_s))
    return change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))


def _end(row: Row, now_s: int, why: Why, *, rest: str) -> Result:
    trial, opened = row.trial, row.trial_decision
    if trial is None:
        return row, []
    resting = _rested(row, trial.arm, now_s, rest) if rest else row.resting
    row = msgspec.structs.replace(row, trial=None, trial_decision="", resting=resting, cooldown_s=_cooldown(row, now_s))
    evidence = {"challenger": trial.arm, "incumbent": trial.control_arm, **why.evidence}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return row, [*said, _rolled_back(row, opened, now_s)]


def _rolled_back(row: Row, opened: str, now_s: int) -> Output:
    """The outcome of the decision that opened the trial."""
    outcome = Outcome(decision_id=opened, service=row.service, version=row.version, gateway=row.document.gateway)
    identity = stable_id(outputs.ROLLED_BACK, opened)
    return Output("optimizations", outputs.ROLLED_BACK, identity, row.service, now_s, encode_outcome(outcome))


def _cooldown(row: Row, now_s: int) -> int:
    return now_s + 60 * row.document.trial.cooldown_minutes


def _rested(row: Row, arm: str, now_s: int, why: str) -> dict[str, Rest]:
    times = row.resting[arm].times + 1 if arm in row.resting else 1
    until_s = now_s + min(REST_S * 2 ** (times - 1), REST_LONGEST_S)
    return {**row.resting, arm: Rest(until_s, times, why)}
