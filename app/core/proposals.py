"""Changes that wait for an answer from outside: asked as an event, answered by a control fact, ended by a deadline.

A person answers in mode approve, a policy service where the document asks for one (``remote_policy``), or both. The
service stays in VALIDATING meanwhile. Nothing here opens a trial: ``rollout`` does, once nobody is waited for.
"""

import msgspec

from app.core import change, resting
from app.core.change import Why
from app.core.decision import Constraint, decision_id
from app.core.levers.lever import Candidate
from app.core.outputs import Output
from app.core.policy.gate import Gate
from app.core.reasons import opening
from app.core.row import Answerer, Proposal, Row

Result = tuple[Row, list[Output]]

NO_PERSON = "nobody answered before the deadline"
NO_POLICY = "the policy service did not answer before the deadline"


def propose(
    row: Row,
    now_s: int,
    best: Candidate,
    why: Why,
    experiment: str = "",
    rivals: tuple[str, ...] = (),
) -> Result:
    """Ask for a trial of ``best`` (and ``rivals``, together) for the reasons in ``why``.

    What a policy service was asked stays as it is until it has answered.
    """
    known = row.proposal
    if known is not None and (known.arm == best.arm or "policy" in known.waits):
        return row, []
    identity = decision_id(row.service, row.cycle + 1, "open-trial", now_s, best.arm)
    waits, document = _waits(row), row.document
    person_s = now_s + 60 * document.trial.approval_minutes
    deadline_s = now_s + 60 * document.remote_policy.deadline_minutes if "policy" in waits else person_s
    proposal = Proposal(
        decision_id=identity,
        arm=best.arm,
        deadline_s=deadline_s,
        expected=why.impact,
        alternatives=why.alternatives,
        waits=waits,
        person_deadline_s=person_s,
        strategy=why.strategy,
        idea=best.why,
        experiment=experiment,
        rivals=rivals,
    )
    row = msgspec.structs.replace(row, proposal=proposal, cycle=row.cycle + 1)
    why = msgspec.structs.replace(why, evidence={**why.evidence, "waits_for": waits}, valid_for_s=deadline_s - now_s)
    return row, [change.say(row, "proposed", identity, now_s, why)]


def _waits(row: Row) -> tuple[Answerer, ...]:
    asked = row.document.remote_policy.required and row.document.mode != "recommend"
    policy: tuple[Answerer, ...] = ("policy",) if asked else ()
    return policy if row.document.mode == "auto" else (*policy, "person")


def answered(proposal: Proposal, by: Answerer) -> Proposal:
    """``proposal`` after a yes; what is left of ``waits`` still has to answer."""
    waits = tuple(one for one in proposal.waits if one != by)
    deadline_s = proposal.deadline_s if "policy" in waits else proposal.person_deadline_s or proposal.deadline_s
    return msgspec.structs.replace(proposal, waits=waits, deadline_s=deadline_s)


def refuse(row: Row, now_s: int, cause: str, constraints: tuple[Constraint, ...] = ()) -> Result:
    """The open proposal ends without a change; its arm rests."""
    proposal = row.proposal
    if proposal is None:
        return row, []
    row = msgspec.structs.replace(row, proposal=None, resting=resting.rested(row, proposal.arm, now_s, cause))
    why = opening(row, proposal.arm, proposal.expected, proposal.alternatives, "on-demand", constraints=constraints)
    why = msgspec.structs.replace(why, evidence={**why.evidence, "cause": cause})
    return row, [change.say(row, "refused", proposal.decision_id, now_s, why)]


def forbidden(row: Row, now_s: int, why: Why, held: Gate) -> Result:
    """A change that a limit or policy stops: refused with the rule, its limit and the value; the arm rests."""
    arm = str(why.evidence["challenger"])
    row = msgspec.structs.replace(
        row, cycle=row.cycle + 1, resting=resting.forbidden(row, arm, now_s, f"a rule forbids it: {held.cause}")
    )
    identity = decision_id(row.service, row.cycle, why.action, now_s, arm, "forbidden")
    return row, [change.say(row, "refused", identity, now_s, why)]
