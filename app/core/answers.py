"""What becomes of an open proposal: a yes begins its trial, no answer by the deadline ends it (or is a yes, by choice).

Who is asked, and what a no leaves behind, is ``proposals``.
"""

import msgspec

from app.core import proposals, rollout
from app.core.decision import Trigger
from app.core.modes import first_share
from app.core.outputs import Output
from app.core.policy.gate import gate
from app.core.reasons import opening, reasoned
from app.core.row import Answerer, Proposal, Row

Result = tuple[Row, list[Output]]


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
    held = gate(row, "open-trial", arm, first_share(row.document.trial), now_s)
    why = opening(row, arm, proposal.expected, proposal.alternatives, trigger, actor, held.constraints)
    why = msgspec.structs.replace(why, evidence={**why.evidence, "cause": cause, "proposal": proposal.decision_id})
    why = reasoned(why, proposal.strategy, proposal.idea, cause)
    if held.stops:
        return proposals.forbidden(row, now_s, why, held)
    row, refused, rivals = _still_allowed(row, now_s, proposal, trigger)
    row, said = rollout.open_trial(row, now_s, arm, why, proposal.experiment, rivals)
    return row, [*refused, *said]


def _still_allowed(
    row: Row, now_s: int, proposal: Proposal, trigger: Trigger
) -> tuple[Row, list[Output], tuple[str, ...]]:
    """The other arms of the proposal, without those that something forbids by now: these are refused."""
    said, kept = list[Output](), list[str]()
    for arm in proposal.rivals:
        held = gate(row, "open-trial", arm, first_share(row.document.trial), now_s)
        if not held.stops:
            kept.append(arm)
            continue
        why = opening(row, arm, {}, (), trigger, constraints=held.constraints)
        row, refusal = proposals.forbidden(row, now_s, why, held)
        said += refusal
    return row, said, tuple(kept)
