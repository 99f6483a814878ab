"""The life of one change: look for one, open its trial, go up step by step, admit it or take it back (DESIGN 7).

Every way into a trial and out of it is here; what forbids it is ``policy.gate``, what asks for an answer from outside
``proposals``, what judges it ``trial``, what publishes it ``change``.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from app.core import change, outputs, proposals
from app.core import trial as trials
from app.core import verdict as verdicts
from app.core.by_segment import differences, harmed, stratified
from app.core.change import Why
from app.core.decision import Alternative, Constraint, Outcome, Strategy, Trigger, decision_id, encode_outcome
from app.core.expected import expected
from app.core.experiments import shared
from app.core.explain.wording import failed
from app.core.ideas import expected_of, next_ideas
from app.core.ids import stable_id
from app.core.inputs import inputs_of
from app.core.levers.lever import Candidate, Need
from app.core.outputs import Output
from app.core.planned import looked
from app.core.policy.gate import gate
from app.core.queue import Queued
from app.core.reasons import guardrails_of, judged, opening, realised
from app.core.resting import rested
from app.core.row import Answerer, Row
from app.core.trial import Trial
from app.core.verdict import Verdict

Result = tuple[Row, list[Output]]

CYCLE_S = 900
"""The main loop looks every 15 minutes of event time."""
Upwards = Literal["next-step", "admit", "promote"]


# ---- looking ----
def look(row: Row, now_s: int, trigger: Trigger, need: Need = "", cause: str = "") -> Result:
    """Choose the arm with the best expected gain (or the one that best mends a ``need``, for a ``cause`` that is told);
    open its trial, or propose it, as the mode says.
    """
    asked = inputs_of(row, now_s, trigger, need, cause)
    row = msgspec.structs.replace(row, next_cycle_s=now_s - now_s % CYCLE_S + CYCLE_S)
    row, worth, others = next_ideas(row, now_s, need)
    if not worth:
        return _nothing(row, now_s, trigger, need, cause, others) if need not in ("", "tuning") else (row, [])
    row, refused, kept = _validated(row, worth, now_s, trigger, asked)
    if not kept:
        return row, refused
    (best, held), *rest = kept
    alternatives = (*(Alternative(c.arm, _later(c, best)) for c, _ in rest), *others)
    impact, sources = expected(row, best)
    evidence = {**asked, "expected_from": sources}
    why = opening(row, best.arm, impact, alternatives, trigger, constraints=held, inputs=evidence)
    row, said = _begin(row, now_s, best, _reasoned(why, best.strategy, best.why, cause))
    return row, [*refused, *said]


def look_at(row: Row, now_s: int, turn: Queued) -> Result:
    """The trial of an arm that a person ordered as part of an experiment; nothing when it cannot be tried any more."""
    if row.document.arm(turn.arm) is None or turn.arm in row.serving:
        return row, []
    candidate = expected_of(row, turn.arm, now_s)
    row, refused, kept = _validated(row, [candidate], now_s, turn.trigger, {})
    if not kept:
        return row, refused
    impact, sources = expected(row, candidate)
    evidence = {"expected_from": sources}
    why = opening(row, turn.arm, impact, (), turn.trigger, turn.actor, kept[0][1], inputs=evidence)
    row, said = _begin(row, now_s, candidate, _reasoned(why, "prompt-testing", "", turn.cause), turn.experiment)
    return row, [*refused, *said]


def _begin(row: Row, now_s: int, best: Candidate, why: Why, experiment: str = "") -> Result:
    if row.document.mode == "auto" and not row.document.remote_policy.required:
        return _open(row, now_s, best.arm, why, experiment)
    return proposals.propose(row, now_s, best, why, experiment)


def _reasoned(why: Why, strategy: Strategy, idea: str, cause: str) -> Why:
    """``why`` with where the arm comes from: a rule that was broken, an order, or a lever and its idea."""
    told = {name: text for name, text in (("idea", idea), ("cause", cause)) if text}
    ruled: Strategy = "threshold" if why.trigger in {"threshold", "event"} else strategy
    return msgspec.structs.replace(why, strategy=ruled, evidence={**why.evidence, **told})


def _nothing(row: Row, now_s: int, trigger: Trigger, need: Need, cause: str, others: list[Alternative]) -> Result:
    """Something is wrong and no arm is known to mend it: said, so that a person can."""
    row = msgspec.structs.replace(row, cycle=row.cycle + 1)
    why = opening(row, "", {}, tuple(others), trigger)
    evidence = {**why.evidence, "challenger": "another arm", "cause": f"nothing helps with {need}: {cause}"}
    why = msgspec.structs.replace(why, strategy="threshold", evidence=evidence, expected_minutes=None)
    identity = decision_id(row.service, row.cycle, "open-trial", now_s, need)
    return row, [change.say(row, "refused", identity, now_s, why)]


def _validated(
    row: Row, worth: list[Candidate], now_s: int, trigger: Trigger, asked: dict[str, Any]
) -> tuple[Row, list[Output], list[tuple[Candidate, tuple[Constraint, ...]]]]:
    """The candidates nothing forbids, best first, with what they were held against; the others are refused and rest."""
    said: list[Output] = []
    kept: list[tuple[Candidate, tuple[Constraint, ...]]] = []
    for candidate in worth:
        held = gate(row, "open-trial", candidate.arm, row.document.trial.steps[0] / 100, now_s)
        if not held.stops:
            kept.append((candidate, held.constraints))
            continue
        why = opening(row, candidate.arm, candidate.expected, (), trigger, constraints=held.constraints, inputs=asked)
        row, refusal = proposals.forbidden(row, now_s, why, held)
        said += refusal
    return row, said, kept


def _later(candidate: Candidate, best: Candidate) -> str:
    return f"one trial at a time; expected gain {candidate.gain:+.4f} against {best.gain:+.4f} of {best.arm}"


# ---- answers ----
def expire_proposal(row: Row, now_s: int) -> Result:
    """The deadline of the open proposal has passed: refused, or allowed where the document says so of an outage."""
    proposal = row.proposal
    if proposal is None:
        return row, []
    if "policy" not in proposal.waits:
        return proposals.refuse(row, now_s, proposals.NO_PERSON)
    if row.document.remote_policy.on_policy_outage == "refuse" or not row.may_change:
        return proposals.refuse(row, now_s, proposals.NO_POLICY)
    return allow_proposal(row, now_s, "policy", "event", "", cause=f"{proposals.NO_POLICY}; allowed all the same")


def allow_proposal(row: Row, now_s: int, by: Answerer, trigger: Trigger, actor: str, cause: str = "") -> Result:
    """A yes to the open proposal: its trial begins once nobody else is waited for and still nothing forbids it."""
    if row.proposal is None:
        return row, []
    proposal = proposals.answered(row.proposal, by)
    if proposal.waits:
        return msgspec.structs.replace(row, proposal=proposal), []
    arm, row = proposal.arm, msgspec.structs.replace(row, proposal=None)
    held = gate(row, "open-trial", arm, row.document.trial.steps[0] / 100, now_s)
    why = opening(row, arm, proposal.expected, proposal.alternatives, trigger, actor, held.constraints)
    why = msgspec.structs.replace(why, evidence={**why.evidence, "cause": cause, "proposal": proposal.decision_id})
    why = _reasoned(why, proposal.strategy, proposal.idea, cause)
    return (
        proposals.forbidden(row, now_s, why, held) if held.stops else _open(row, now_s, arm, why, proposal.experiment)
    )


# ---- the steps ----
def _open(row: Row, now_s: int, arm: str, why: Why, experiment: str = "") -> Result:
    """The first step of a trial of ``arm`` against the incumbent."""
    identity = stable_id("trial", row.service, row.version + 1, arm)
    steps = tuple(step / 100 for step in row.document.trial.steps)
    trial = trials.open_trial(identity, arm, row.incumbent, now_s // 60, row.version + 1, steps)
    row = msgspec.structs.replace(row, trial=trial, proposal=None, trial_experiment=experiment, trial_segments={})
    row = msgspec.structs.replace(row, trial_expected=why.impact)
    row, said = change.publish(row, now_s, why)
    return msgspec.structs.replace(row, trial_decision=row.split.decision_id if row.split else ""), said


def judge(row: Row, now_s: int) -> Result:
    """What the evidence so far says about the open trial: go up, take over, roll back, or stay."""
    trial = row.trial
    if trial is None:
        return row, []
    asked = inputs_of(row, now_s, "time")
    row, verdict = looked(row, _verdict(row, trial, now_s))
    if verdict.kind == "harm":
        why = judged("roll-back", row, asked, verdict)
        return _end(row, now_s, why, rest=f"its trial showed harm in {verdict.metric}")
    if verdict.kind == "timeout":
        return _end(row, now_s, judged("roll-back", row, asked, verdict), rest="its trial stayed undecided")
    if verdict.kind == "hold" or row.watch is not None:  # a step whose traffic was not seen yet is not climbed from
        return row, []
    action = _upwards(row, verdict)
    return _go_up(row, now_s, action, verdict, asked) if action is not None else (row, [])


def _verdict(row: Row, trial: Trial, now_s: int) -> Verdict:
    reached = msgspec.structs.replace(trial, last_minute=max(trial.last_minute, now_s // 60 - 1))
    return verdicts.judge(reached, shared(guardrails_of(row.document), row), row.objective)


def _upwards(row: Row, verdict: Verdict) -> Upwards | None:
    """What a safe trial leads to; None: nothing yet, as nothing is proven to be better."""
    if row.trial is not None and not row.trial.last_step:
        return "next-step"
    if row.document.policy == "mix":
        return "admit"
    return "promote" if verdict.benefit else None


def _go_up(row: Row, now_s: int, action: Upwards, verdict: Verdict, asked: dict[str, Any]) -> Result:
    """The next step or the whole service, unless a limit or policy forbids it: then the trial ends."""
    trial = row.trial
    if trial is None:
        return row, []
    share = trial.steps[trial.step + 1] if action == "next-step" else 1.0
    held = gate(row, action, trial.arm, share, now_s)
    why = judged(action, row, asked, verdict, held.constraints)
    if held.stops:
        row, refused = proposals.forbidden(row, now_s, why, held)
        row, ended = _end(row, now_s, judged("roll-back", row, asked, verdict, held.constraints), rest="")
        return row, [*refused, *ended]
    if action != "next-step":
        return _admit(row, now_s, why, verdict, asked)
    grown = trials.next_step(trial, now_s // 60, row.version + 1)
    return change.publish(msgspec.structs.replace(row, trial=grown), now_s, why)


def _admit(row: Row, now_s: int, why: Why, verdict: Verdict, asked: dict[str, Any]) -> Result:
    """The arm takes over, unless it is certainly worse in a segment that would have to follow (Simpson's paradox)."""
    found = differences(row.trial_segments, row.document.guardrails.alpha)
    told = {"segments": msgspec.to_builtins(found), "within_segments": stratified(found)} if found else {}
    why = msgspec.structs.replace(why, evidence={**why.evidence, **told})
    worse = harmed(found, row.document.guardrails.quality.tolerance)
    if not worse or row.document.policy == "mix":  # a mix has weights of its own in each segment
        return promote(row, now_s, why)
    cause = f"better on the whole, but its scores are certainly lower in {', '.join(worse)}"
    why = judged("roll-back", row, asked, verdict)
    return _end(row, now_s, msgspec.structs.replace(why, evidence={**why.evidence, **told, "cause": cause}), rest=cause)


def forbids(row: Row, now_s: int) -> str | None:
    """Which rule forbids that a person lets the trial's arm take over, as far as it is known; None: none does."""
    if row.trial is None:
        return None
    held = gate(row, "promote", row.trial.arm, 1.0, now_s)
    return "; ".join(failed(c) for c in held.stops if c.value is not None) or None


def promote(row: Row, now_s: int, why: Why) -> Result:
    """The trial's arm takes over (policy single) or joins the admitted arms (policy mix)."""
    if row.trial is None:
        return row, []
    arm, ended = row.trial.arm, _ended(row, now_s, outputs.COMPLETED)
    resting = {name: rest for name, rest in row.resting.items() if name != arm}
    row = msgspec.structs.replace(row, trial=None, resting=resting, cooldown_s=_cooldown(row, now_s))
    if row.document.policy == "mix":
        row = msgspec.structs.replace(row, admitted=tuple(sorted({*row.admitted, row.incumbent, arm})))
    else:
        row = msgspec.structs.replace(row, incumbent=arm)
    evidence = {"challenger": arm, **why.evidence}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return msgspec.structs.replace(row, trial_decision="", trial_expected={}), [*said, ended(row)]


def roll_back(row: Row, now_s: int, trigger: Trigger, cause: str) -> Result:
    """A critical event: an open trial ends at once."""
    if row.trial is None:
        return row, []
    why = Why(action="roll-back", trigger=trigger, strategy="threshold", evidence={"cause": cause}, confidence=1.0)
    return _end(row, now_s, why, rest=cause)


def backup_of(row: Row, now_s: int) -> str:
    """Who could answer at once if the incumbent failed: the declared backup, else who served before; "" for nobody.

    An arm that rests, or that a limit or policy forbids, is no backup.
    """
    former = (past.incumbent for past in reversed(row.history))
    for arm in dict.fromkeys((row.document.strategy.backup, *former)):
        rest = row.resting.get(arm)
        usable = arm and arm != row.incumbent and row.document.arm(arm) is not None
        if usable and (rest is None or now_s >= rest.until_s) and not _forbidden(row, arm, now_s):
            return arm
    return ""


def _forbidden(row: Row, arm: str, now_s: int) -> bool:
    """Whether something known forbids ``arm`` to serve; what is not measured yet does not."""
    return any(c.value is not None for c in gate(row, "promote", arm, 1.0, now_s).stops)


def fail_over(row: Row, now_s: int, backup: str, trigger: Trigger, cause: str) -> Result:
    """The incumbent fails critically: ``backup`` answers at once, unjudged; an open trial ends."""
    failed_arm, trial, ended = row.incumbent, row.trial, _ended(row, now_s, outputs.ROLLED_BACK)
    admitted = tuple(arm for arm in row.admitted if arm != failed_arm)
    row = msgspec.structs.replace(
        row,
        incumbent=backup,
        admitted=admitted,
        weights={segment: _moved(arms, failed_arm, backup) for segment, arms in row.weights.items()},
        trial=None,
        trial_decision="",
        trial_expected={},
        proposal=None,
        resting=rested(row, failed_arm, now_s, cause),
        cooldown_s=_cooldown(row, now_s),
    )
    evidence = {"challenger": failed_arm, "incumbent": backup, "cause": cause}
    why = Why(action="fail-over", trigger=trigger, strategy="threshold", evidence=evidence, confidence=1.0)
    row, said = change.publish(row, now_s, why)
    return row, [*said, ended(row)] if trial is not None else said


def _moved(weights: dict[str, float], failed_arm: str, backup: str) -> dict[str, float]:
    """``weights`` with the failed arm's share at the backup."""
    share = weights.get(failed_arm, 0.0)
    kept = {arm: weight for arm, weight in weights.items() if arm != failed_arm}
    return {**kept, backup: kept.get(backup, 0.0) + share}


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
    resting = rested(row, row.incumbent, now_s, "it was rolled back by an operator")
    evidence = {"challenger": row.incumbent, "incumbent": former[-1], **why.evidence}
    row = msgspec.structs.replace(row, incumbent=former[-1], resting=resting, cooldown_s=_cooldown(row, now_s))
    return change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))


def _end(row: Row, now_s: int, why: Why, *, rest: str) -> Result:
    trial = row.trial
    if trial is None:
        return row, []
    ended = _ended(row, now_s, outputs.ROLLED_BACK)
    resting = rested(row, trial.arm, now_s, rest) if rest else row.resting
    row = msgspec.structs.replace(row, trial=None, trial_decision="", trial_expected={}, resting=resting)
    row = msgspec.structs.replace(row, cooldown_s=_cooldown(row, now_s))
    evidence = {"challenger": trial.arm, "incumbent": trial.control_arm, **why.evidence}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return row, [*said, ended(row)]


def _ended(row: Row, now_s: int, type_: str) -> Callable[[Row], Output]:
    """The outcome of the decision that opened the trial of ``row``, once there is a new version: what was expected,
    and what the trial measured.
    """
    measured = realised(_verdict(row, row.trial, now_s)) if row.trial is not None else {}
    opened, hoped = row.trial_decision, row.trial_expected

    def outcome(after: Row) -> Output:
        said = Outcome(
            decision_id=opened,
            service=after.service,
            version=after.version,
            gateway=after.document.gateway,
            expected_impact=hoped,
            realised_impact=measured,
        )
        return Output("optimizations", type_, stable_id(type_, opened), after.service, now_s, encode_outcome(said))

    return outcome


def _cooldown(row: Row, now_s: int) -> int:
    return now_s + 60 * row.document.trial.cooldown_minutes
