"""The life of one change: look for one, open its trial, go up step by step, admit it or take it back (DESIGN 7).

Every way into a trial and out of it is here; what forbids it is ``policy.gate``, what asks for an answer from outside
``proposals``, what judges it ``trial``, what publishes it ``change``.
"""

from typing import Literal

import msgspec

from app.core import change, outputs, proposals
from app.core import trial as trials
from app.core import verdict as verdicts
from app.core.change import Why
from app.core.decision import Alternative, Constraint, Impact, Outcome, Trigger, encode_outcome
from app.core.explain.wording import failed
from app.core.ideas import next_ideas
from app.core.ids import stable_id
from app.core.levers.lever import Candidate
from app.core.outputs import Output
from app.core.policy.gate import gate
from app.core.reasons import guardrails_of, judged, opening
from app.core.resting import rested
from app.core.row import Answerer, Row
from app.core.verdict import Verdict

Result = tuple[Row, list[Output]]

CYCLE_S = 900
"""The main loop looks every 15 minutes of event time."""
Upwards = Literal["next-step", "admit", "promote"]


# ---- looking ----
def look(row: Row, now_s: int, trigger: Trigger) -> Result:
    """Choose the arm with the best expected gain; open its trial, or propose it, as the mode says."""
    row = msgspec.structs.replace(row, next_cycle_s=now_s - now_s % CYCLE_S + CYCLE_S)
    row, worth, others = next_ideas(row, now_s)
    if not worth:
        return row, []
    row, refused, kept = _validated(row, worth, now_s, trigger)
    if not kept:
        return row, refused
    (best, held), *rest = kept
    alternatives = (*(Alternative(c.arm, _later(c, best)) for c, _ in rest), *others)
    if row.document.mode == "auto" and not row.document.remote_policy.required:
        row, said = open_trial(row, now_s, best.arm, best.expected, alternatives, trigger, "", held)
    else:
        row, said = proposals.propose(row, now_s, best, alternatives, trigger, held)
    return row, [*refused, *said]


def _validated(
    row: Row, worth: list[Candidate], now_s: int, trigger: Trigger
) -> tuple[Row, list[Output], list[tuple[Candidate, tuple[Constraint, ...]]]]:
    """The candidates nothing forbids, best first, with what they were held against; the others are refused and rest."""
    said: list[Output] = []
    kept: list[tuple[Candidate, tuple[Constraint, ...]]] = []
    for candidate in worth:
        held = gate(row, "open-trial", candidate.arm, row.document.trial.steps[0] / 100, now_s)
        if not held.stops:
            kept.append((candidate, held.constraints))
            continue
        why = opening(row, candidate.arm, candidate.expected, (), trigger, constraints=held.constraints)
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
    return proposals.forbidden(row, now_s, why, held) if held.stops else _open(row, now_s, arm, why)


# ---- the steps ----
def open_trial(
    row: Row,
    now_s: int,
    arm: str,
    expected: dict[str, Impact],
    alternatives: tuple[Alternative, ...],
    trigger: Trigger,
    actor: str,
    constraints: tuple[Constraint, ...] = (),
) -> Result:
    """The first step of a trial of ``arm`` against the incumbent."""
    return _open(row, now_s, arm, opening(row, arm, expected, alternatives, trigger, actor, constraints))


def _open(row: Row, now_s: int, arm: str, why: Why) -> Result:
    identity = stable_id("trial", row.service, row.version + 1, arm)
    steps = tuple(step / 100 for step in row.document.trial.steps)
    trial = trials.open_trial(identity, arm, row.incumbent, now_s // 60, row.version + 1, steps)
    row = msgspec.structs.replace(row, trial=trial, proposal=None)
    row, said = change.publish(row, now_s, why)
    return msgspec.structs.replace(row, trial_decision=row.split.decision_id if row.split else ""), said


def judge(row: Row, now_s: int) -> Result:
    """What the evidence so far says about the open trial: go up, take over, roll back, or stay."""
    trial = row.trial
    if trial is None:
        return row, []
    reached = msgspec.structs.replace(trial, last_minute=max(trial.last_minute, now_s // 60 - 1))
    verdict = verdicts.judge(reached, guardrails_of(row.document), row.objective)
    if verdict.kind == "harm":
        why = judged("roll-back", row, verdict)
        return _end(row, now_s, why, rest=f"its trial showed harm in {verdict.metric}")
    if verdict.kind == "timeout":
        return _end(row, now_s, judged("roll-back", row, verdict), rest="its trial stayed undecided")
    if verdict.kind == "hold" or row.watch is not None:  # a step whose traffic was not seen yet is not climbed from
        return row, []
    action = _upwards(row, verdict)
    return _go_up(row, now_s, action, verdict) if action is not None else (row, [])


def _upwards(row: Row, verdict: Verdict) -> Upwards | None:
    """What a safe trial leads to; None: nothing yet, as nothing is proven to be better."""
    if row.trial is not None and not row.trial.last_step:
        return "next-step"
    if row.document.policy == "mix":
        return "admit"
    return "promote" if verdict.benefit else None


def _go_up(row: Row, now_s: int, action: Upwards, verdict: Verdict) -> Result:
    """The next step or the whole service, unless a limit or policy forbids it: then the trial ends."""
    trial = row.trial
    if trial is None:
        return row, []
    share = trial.steps[trial.step + 1] if action == "next-step" else 1.0
    held = gate(row, action, trial.arm, share, now_s)
    why = judged(action, row, verdict, held.constraints)
    if held.stops:
        row, refused = proposals.forbidden(row, now_s, why, held)
        row, ended = _end(row, now_s, judged("roll-back", row, verdict, held.constraints), rest="")
        return row, [*refused, *ended]
    if action != "next-step":
        return promote(row, now_s, why)
    grown = trials.next_step(trial, now_s // 60, row.version + 1)
    return change.publish(msgspec.structs.replace(row, trial=grown), now_s, why)


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
    resting = rested(row, row.incumbent, now_s, "it was rolled back by an operator")
    evidence = {"challenger": row.incumbent, "incumbent": former[-1], **why.evidence}
    row = msgspec.structs.replace(row, incumbent=former[-1], resting=resting, cooldown_s=_cooldown(row, now_s))
    return change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))


def _end(row: Row, now_s: int, why: Why, *, rest: str) -> Result:
    trial, opened = row.trial, row.trial_decision
    if trial is None:
        return row, []
    resting = rested(row, trial.arm, now_s, rest) if rest else row.resting
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
