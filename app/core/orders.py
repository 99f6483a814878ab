"""What people and other systems order: commands, alerts, and the outcomes gateways report. One control fact, one step.

A command that cannot be obeyed is refused with the reason; it never stops the row.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.core import answers, backup, change, experiments, outputs, proposals, respond, rollout, ruling, search
from app.core.analyze.finding import decode_heard
from app.core.change import Why
from app.core.commands import (
    COMMAND,
    About,
    Command,
    CommandError,
    Configure,
    ExperimentStart,
    ExperimentStop,
    Freeze,
    PolicyAnswer,
    SetMode,
    ShareBudget,
    Violation,
    parse,
)
from app.core.decision import Action, Change, Constraint, decode_outcome
from app.core.document import ServiceDocument, diff
from app.core.facts import ControlFact
from app.core.ideas import carried
from app.core.ids import stable_id
from app.core.outputs import REFUSED, Output
from app.core.quality_kept import QualityKept
from app.core.resting import allowed_again
from app.core.row import BROADCAST, Row
from app.core.savings import Savings

ALERTS = frozenset(
    (
        "io.llm-platform.sentinel.alert",
        "io.llm-platform.governance.policy-violation",
        "io.llm-platform.governance.budget-alert",
        "io.llm-platform.observatory.threshold-exceeded",
        "com.llmdevops.sentinel.anomaly.v1",
    )
)
"""Types of events by which the platform's other parts call for an action (requirements/001 and 004)."""

Result = tuple[Row, list[Output]]


class Order(msgspec.Struct, frozen=True):
    """A command and the id of what it decides: a function of where in the log the command stands."""

    command: Command
    identity: str


def obey(row: Row, fact: ControlFact, now_s: int) -> Result:
    """The row after ``fact``, and what is said about it."""
    if fact.type == COMMAND:
        return _command(row, fact, now_s)
    if row.service == BROADCAST:
        return row, []
    if fact.type in (outputs.ACCEPTED, outputs.FAILED):
        return _outcome(row, fact), []
    if fact.type in ALERTS:
        return _alert(row, fact, now_s)
    if fact.type == outputs.FINDING:
        return _found(row, fact, now_s)
    return row, []


def refusal(fact: ControlFact, text: str) -> Output:
    """A refused order. Its time is the order's own, so that a repeat of the order has the same bytes."""
    identity = stable_id("refused", fact.source, fact.offset, fact.service)
    data = {
        "decision_id": identity,
        "service": fact.service,
        "action": "refuse",
        "trigger": "on-demand",
        "strategy": "operator",
        "rationale": text,
        "evidence": {"event": fact.id, "type": fact.type, "source": fact.source, "offset": fact.offset},
    }
    return Output("optimizations", REFUSED, identity, fact.service, fact.time_s, msgspec.json.encode(data))


def _command(row: Row, fact: ControlFact, now_s: int) -> Result:
    try:
        command = parse(fact.data)
        if row.service == BROADCAST:
            return _standing(row, command), []
        order = Order(command, stable_id("order", fact.source, fact.offset, row.service))
        return _OBEY[command.command](row, order, now_s)
    except CommandError as error:
        return row, [refusal(fact, str(error))] if row.service != BROADCAST else []


def _standing(row: Row, command: Command) -> Row:
    """A broadcast also holds for services that do not exist yet."""
    match command.command:
        case "freeze":
            return msgspec.structs.replace(row, frozen=True)
        case "pause":
            return msgspec.structs.replace(row, paused=True)
        case "resume":
            return msgspec.structs.replace(row, frozen=False, paused=False)
        case _:
            return row


def _why(command: Command, action: Action, cause: str = "", **evidence: str) -> Why:
    """An order's reasons: who, and what they said."""
    reasons = {"actor": command.actor, "cause": "; ".join(part for part in (cause, command.reason) if part), **evidence}
    return Why(action=action, trigger="on-demand", strategy="operator", evidence=reasons, confidence=1.0)


# ---- what each command does ----
def _configure(row: Row, order: Order, now_s: int) -> Result:
    document, old, declared = carried(row, _args(order, Configure).document), row.document, row.declared
    if row.declared and document == old:
        return row, []
    incumbent = row.incumbent
    if document.arm(incumbent) is None or (row.declared and document.incumbent != old.incumbent) or not row.declared:
        incumbent = document.incumbent
    said: list[Output] = []
    if row.trial is not None and _touches(row, document):
        row, said = rollout.end(
            row, now_s, _why(order.command, "roll-back", "the document changed an arm of the trial")
        )
    row = msgspec.structs.replace(
        row,
        document=document,
        declared=True,
        incumbent=incumbent,
        admitted=tuple(a for a in row.admitted if document.arm(a)),
        proposal=None,
        resting=allowed_again(row.resting),
        next_cycle_s=0,
        made=tuple(made for made in row.made if document.arm(made.name)),
    )
    if document.baseline != old.baseline:  # what was saved was saved against another arm
        row = msgspec.structs.replace(row, savings=Savings(), quality_kept=QualityKept())
    changes = tuple(diff(old if declared else None, document))
    why = msgspec.structs.replace(_why(order.command, "configure"), changes=changes)
    if not row.may_publish:
        return row, [*said, change.say(row, "decided", order.identity, now_s, why)]
    row, published = change.publish(row, now_s, why)
    return row, [*said, *published]


def _touches(row: Row, document: ServiceDocument) -> bool:
    """Whether a new document changes an arm of the open trial."""
    names = [name for one in row.challengers for name in (one.arm, one.control_arm)]
    return any(document.arm(name) != row.document.arm(name) for name in names)


def _set_mode(row: Row, order: Order, now_s: int) -> Result:
    document = msgspec.structs.replace(row.document, mode=_args(order, SetMode).mode)
    published_before = row.may_publish
    row = msgspec.structs.replace(row, document=document, declared=True, proposal=None)
    if row.trial is not None and not row.may_publish:
        return rollout.end(row, now_s, _why(order.command, "set-mode"))
    why = _why(order.command, "set-mode")
    if row.may_publish and not published_before:
        return change.publish(row, now_s, why)
    return row, [change.say(row, "decided", order.identity, now_s, why)]


def _freeze(row: Row, order: Order, now_s: int) -> Result:
    if row.frozen:
        return row, []
    row = msgspec.structs.replace(row, frozen=True, proposal=None)
    if row.split is None or _args(order, Freeze).hold:
        return row, [change.say(row, "decided", order.identity, now_s, _why(order.command, "freeze"))]
    if row.trial is not None:
        return rollout.end(row, now_s, _why(order.command, "freeze"))
    return change.publish(row, now_s, _why(order.command, "freeze"))


def _pause(row: Row, order: Order, now_s: int) -> Result:
    row = msgspec.structs.replace(row, paused=True)
    return row, [change.say(row, "decided", order.identity, now_s, _why(order.command, "pause"))]


def _resume(row: Row, order: Order, now_s: int) -> Result:
    was_frozen = row.frozen
    row = msgspec.structs.replace(row, frozen=False, paused=False)
    why = _why(order.command, "resume")
    if was_frozen and row.split is not None and row.may_publish:
        return change.publish(row, now_s, why)
    return row, [change.say(row, "decided", order.identity, now_s, why)]


def _approve(row: Row, order: Order, now_s: int) -> Result:
    proposal = row.proposal
    if proposal is None or not _named(order.command, proposal.decision_id):
        raise CommandError(f"{row.service}: there is no such open proposal to approve")
    if not row.may_change:
        raise CommandError(f"{row.service} is frozen or paused: resume it before approving")
    return answers.allow_proposal(row, now_s, "person", "on-demand", order.command.actor)


def _reject(row: Row, order: Order, now_s: int) -> Result:
    proposal = row.proposal
    if proposal is None or not _named(order.command, proposal.decision_id):
        raise CommandError(f"{row.service}: there is no such open proposal to reject")
    return proposals.refuse(
        row, now_s, f"Rejected by {order.command.actor or 'a person'}. {order.command.reason}".strip()
    )


def _policy_answer(row: Row, order: Order, now_s: int) -> Result:
    proposal, answer = row.proposal, _args(order, PolicyAnswer)
    if proposal is None or proposal.decision_id != answer.decision_id or "policy" not in proposal.waits:
        raise CommandError(f"{row.service}: no proposal {answer.decision_id} waits for a policy service")
    if not answer.approved:
        said = answer.decision_rationale or "the policy service said no"
        return proposals.refuse(row, now_s, said, tuple(_violated(v) for v in answer.violations))
    if not row.may_change:
        raise CommandError(f"{row.service} is frozen or paused: resume it, then the policy service may answer again")
    return answers.allow_proposal(row, now_s, "policy", "event", order.command.actor, cause=answer.decision_rationale)


def _violated(violation: Violation) -> Constraint:
    detail = violation.description or violation.policy_name or "broken"
    return Constraint(name=f"remote.{violation.policy_id}", limit=0.0, value=1.0, satisfied=False, detail=detail)


def _promote(row: Row, order: Order, now_s: int) -> Result:
    _open_trial_named(row, order.command, "promote")
    if row.contest:
        on_trial = ", ".join(one.arm for one in row.challengers)
        raise CommandError(f"{row.service}: {on_trial} are on trial together: wait until one is left, or abort")
    if (forbidden := ruling.forbids(row, now_s)) is not None:
        raise CommandError(f"{row.service}: a rule of its document forbids it, change the document first: {forbidden}")
    return rollout.promote(row, now_s, _why(order.command, "promote", "ordered without a verdict (not judged)"))


def _abort(row: Row, order: Order, now_s: int) -> Result:
    _open_trial_named(row, order.command, "abort")
    return rollout.end(row, now_s, _why(order.command, "roll-back", "the trial was aborted"))


def _rollback(row: Row, order: Order, now_s: int) -> Result:
    if row.trial is not None:
        return rollout.end(row, now_s, _why(order.command, "roll-back", "ordered"))
    if not row.may_publish:
        raise CommandError(f"{row.service}: mode {row.document.mode} publishes nothing that could be rolled back")
    return backup.restore(row, now_s, _why(order.command, "roll-back", "ordered"))


def _rebaseline(row: Row, order: Order, now_s: int) -> Result:
    document = msgspec.structs.replace(row.document, baseline=row.incumbent)
    row = msgspec.structs.replace(row, document=document, savings=Savings(), quality_kept=QualityKept())
    why = _why(order.command, "re-baseline", "savings are counted afresh", incumbent=row.incumbent)
    if row.may_publish and row.split is not None:
        return change.publish(row, now_s, why)
    return row, [change.say(row, "decided", order.identity, now_s, why)]


def _optimize_now(row: Row, _order: Order, now_s: int) -> Result:
    if not row.may_change:
        raise CommandError(f"{row.service} cannot change now: mode {row.document.mode}, frozen or paused")
    if row.trial is not None:
        raise CommandError(f"{row.service} has an open trial of {row.trial.arm}: abort it first or wait")
    return search.look(msgspec.structs.replace(row, cooldown_s=0, proposal=None), now_s, "on-demand")


def _experiment_start(row: Row, order: Order, now_s: int) -> Result:
    if not row.may_change:
        raise CommandError(f"{row.service} cannot change now: mode {row.document.mode}, frozen or paused")
    return experiments.start(row, order.identity, _args(order, ExperimentStart), order.command.actor, now_s)


def _experiment_stop(row: Row, order: Order, now_s: int) -> Result:
    return experiments.stop(row, _args(order, ExperimentStop).experiment_id, now_s)


def _share_budget(row: Row, order: Order, now_s: int) -> Result:
    args, budget = _args(order, ShareBudget), row.document.budget
    if not budget.group.name or args.group not in ("", budget.group.name):
        of = f"is in group {budget.group.name!r}" if budget.group.name else "is in no group: [budget.group] names it"
        raise CommandError(f"share-budget: {row.service} {of}")
    group = msgspec.structs.replace(budget.group, share=args.share)
    document = msgspec.structs.replace(row.document, budget=msgspec.structs.replace(budget, group=group))
    changes = (Change(parameter="budget.group.share", old=budget.group.share, new=args.share),)
    why = _why(order.command, "configure", f"the budget of group {group.name} is shared anew")
    why = msgspec.structs.replace(why, changes=changes)
    row = msgspec.structs.replace(row, document=document)
    return row, [change.say(row, "decided", order.identity, now_s, why)]


_OBEY: dict[str, Callable[[Row, Order, int], Result]] = {
    "configure": _configure,
    "set-mode": _set_mode,
    "freeze": _freeze,
    "policy-answer": _policy_answer,
    "pause": _pause,
    "resume": _resume,
    "approve": _approve,
    "reject": _reject,
    "promote": _promote,
    "abort": _abort,
    "rollback": _rollback,
    "rebaseline": _rebaseline,
    "optimize-now": _optimize_now,
    "experiment.start": _experiment_start,
    "experiment.stop": _experiment_stop,
    "share-budget": _share_budget,
}


A = TypeVar("A", Configure, SetMode, Freeze, PolicyAnswer, ExperimentStart, ExperimentStop, ShareBudget)


def _args(order: Order, kind: type[A]) -> A:
    """The arguments of an order; ``parse`` has already made them of this kind."""
    args = order.command.args
    if not isinstance(args, kind):
        raise CommandError(f"{order.command.command}: expected the arguments of {kind.__name__}")
    return args


def _named(command: Command, decision_id: str) -> bool:
    """Whether a command is about ``decision_id``; naming none means the open one."""
    return isinstance(command.args, About) and command.args.decision_id in ("", decision_id)


def _open_trial_named(row: Row, command: Command, verb: str) -> None:
    if row.trial is None or not _named(command, row.trial_decision):
        raise CommandError(f"{row.service}: there is no such open trial to {verb}")


# ---- what others report ----
def _outcome(row: Row, fact: ControlFact) -> Row:
    """A gateway took or refused a version; the traffic will tell (verify)."""
    try:
        outcome = decode_outcome(fact.data)
    except msgspec.MsgspecError:
        return row
    if outcome.capabilities and outcome.capabilities != row.capabilities:
        freed = allowed_again(row.resting)  # what it could not do is looked at afresh
        next_cycle_s = row.next_cycle_s if freed == row.resting else 0
        row = msgspec.structs.replace(row, capabilities=outcome.capabilities, resting=freed, next_cycle_s=next_cycle_s)
    watch = row.watch
    if watch is None or outcome.version != watch.version:
        return row
    if fact.type == outputs.ACCEPTED:
        watch = msgspec.structs.replace(watch, accepted_by=outcome.gateway, error="")
    else:
        watch = msgspec.structs.replace(watch, error=outcome.error or "the gateway refused it")
    return msgspec.structs.replace(row, watch=watch)


def _found(row: Row, fact: ControlFact, now_s: int) -> Result:
    """A finding came back by the log."""
    try:
        heard = decode_heard(fact.data)
    except msgspec.MsgspecError:
        return row, []
    return respond.to_finding(row, heard, now_s)


def _alert(row: Row, fact: ControlFact, now_s: int) -> Result:
    """An alert of the platform's other parts, about this service or about all."""
    try:
        alert = respond.decode_alert(fact.data)
    except msgspec.MsgspecError:
        return row, []
    return respond.to_alert(row, alert, now_s, f"{fact.type} {fact.id}: {alert.severity} alert from outside")
