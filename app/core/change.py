"""How a change of the row becomes a version: the new split, the decision that says why, the watch that follows it."""

from typing import Any

import msgspec

from app import __version__
from app.core import decision as said
from app.core import split as splits
from app.core.cycle import State, state_of
from app.core.decision import (
    Action,
    Alternative,
    Change,
    ChangeType,
    Constraint,
    Decision,
    Deployment,
    Impact,
    Status,
    Strategy,
    Trigger,
)
from app.core.explain import rationale
from app.core.ids import stable_id
from app.core.modes import contest_shares, progression
from app.core.outputs import SPLIT, Output
from app.core.propensity import shares_of
from app.core.row import HISTORY, Past, Row
from app.core.split import Split, TrialSlice
from app.core.trial import Trial, with_version
from app.core.verify import Watch


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The reasons of a change, as the decision will carry them. ``evidence`` may name ``challenger``, ``incumbent``,
    ``cause`` and ``actor`` for the sentence (``app.core.explain``).
    """

    action: Action
    trigger: Trigger
    strategy: Strategy = "cost-performance"
    evidence: dict[str, Any] = {}
    impact: dict[str, Impact] = {}
    constraints: tuple[Constraint, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    confidence: float = 0.0
    expected_minutes: float | None = None
    changes: tuple[Change, ...] = ()
    valid_for_s: int | None = None


def split_of(row: Row, version: int, decision_id: str, now_s: int) -> Split:
    """The full desired state the row asks for."""
    document, trial = row.document, row.trial
    slice_ = None
    if trial is not None:
        slice_ = _slice(row, trial)
    weights = row.weights if document.policy == "mix" and row.weights else {"*": {row.incumbent: 1.0}}
    return Split(
        service=row.service,
        version=version,
        decision_id=decision_id,
        incumbent=row.incumbent,
        arms=tuple(arm.definition() for arm in document.arms),
        weights=weights,
        baseline=document.baseline,
        holdout_share=document.holdout_share,
        trial=slice_,
        sticky=document.sticky,
        frozen=row.frozen,
        segment_by=document.segments.by,
        segments=document.segments.values,
        decided_at_s=now_s,
    )


def _slice(row: Row, trial: Trial) -> TrialSlice:
    if not row.contest:
        return TrialSlice(trial.id, trial.arm, trial.control_arm, *trial.slices, mirrored=trial.mirrored)
    arms = tuple(one.arm for one in row.challengers)
    return TrialSlice(trial.id, trial.arm, trial.control_arm, *contest_shares(row.document.trial, len(arms)), arms=arms)


def publish(row: Row, now_s: int, why: Why) -> tuple[Row, list[Output]]:
    """A new version of ``row``'s split with its decision; the watch on the version before ends."""
    identity = said.decision_id(row.service, row.version + 1, why.action, now_s)
    split = split_of(row, row.version + 1, identity, now_s)
    watch = Watch(identity, split.version, _deadline(row, now_s))
    changed = msgspec.structs.replace(
        row,
        version=split.version,
        split=split,
        trial=with_version(row.trial, split.version) if row.trial is not None else None,
        contest=tuple(with_version(one, split.version) for one in row.contest),
        watch=watch,
        cycle=row.cycle + 1,
        history=_remembered(row, split),
        last_action=why.action,
    )
    decision = _decision(row, identity, why, split, "decided", state_of(changed))
    return changed, [_decided(decision, "decided", now_s), split_output(split, now_s)]


def _deadline(row: Row, now_s: int) -> int:
    """When the new version must have been seen; 0 while there is no event time yet (the first pane starts it)."""
    return now_s + 60 * row.document.verify.deadline_minutes if now_s else 0


def publish_quietly(row: Row, now_s: int) -> tuple[Row, list[Output]]:
    """A new version for weights that moved a little: the split alone, no decision and nothing to verify."""
    identity = row.split.decision_id if row.split else ""
    split = split_of(row, row.version + 1, identity, now_s)
    trial = with_version(row.trial, split.version) if row.trial is not None else None
    history = _remembered(row, split)
    contest = tuple(with_version(one, split.version) for one in row.contest)
    row = msgspec.structs.replace(
        row, version=split.version, split=split, trial=trial, contest=contest, history=history
    )
    return row, [split_output(split, now_s)]


def _remembered(row: Row, split: Split) -> tuple[Past, ...]:
    past = Past(split.version, split.decision_id, split.incumbent, shares_of(split))
    return (*row.history, past)[-HISTORY:]


def say(row: Row, status: Status, identity: str, now_s: int, why: Why, split: Split | None = None) -> Output:
    """A decision that changes no split: a proposal, a refusal, a word about what stays."""
    return _decided(_decision(row, identity, why, split, status, state_of(row)), status, now_s)


def split_output(split: Split, now_s: int) -> Output:
    """The record of ``llm.splits``: the newest version of a service wins."""
    identity = stable_id(SPLIT, split.service, split.version, split.frozen)
    return Output("splits", SPLIT, identity, split.service, now_s, splits.encode(split))


def _decided(decision: Decision, status: Status, now_s: int) -> Output:
    type_ = said.EVENT_TYPES[status]
    identity = stable_id(type_, decision.decision_id)
    return Output("optimizations", type_, identity, decision.service, now_s, said.encode_decision(decision))


def _decision(row: Row, identity: str, why: Why, split: Split | None, status: Status, state: State) -> Decision:
    """``state``: where the service is once this is decided."""
    decision = Decision(
        decision_id=identity,
        service=row.service,
        action=why.action,
        version=split.version if split else row.version,
        cycle=row.cycle,
        trigger=why.trigger,
        strategy=why.strategy,
        mode=row.document.mode,
        changes=why.changes or _changes(row.split, split),
        deployment=_deployment(row, split, why.action),
        expected_impact=why.impact,
        expected_minutes=why.expected_minutes,
        confidence=why.confidence,
        constraints=why.constraints,
        evidence={**why.evidence, "state": state},
        alternatives=why.alternatives,
        engine_version=__version__,
        valid_for_s=60 * row.document.trial.approval_minutes if why.valid_for_s is None else why.valid_for_s,
        split=split,
    )
    return msgspec.structs.replace(decision, rationale=rationale(decision, status))


def _deployment(row: Row, split: Split | None, action: Action) -> Deployment:
    """``step``: percent of the traffic outside the holdout that the arm serves now; of which it gets copies, in mode
    shadow. What is only proposed, or refused, has none yet.
    """
    plan, trial = row.document.trial, row.trial
    if split is None and action == "open-trial":
        return Deployment(strategy=plan.mode, progression=progression(plan, plan.mode))
    if split is None or split.trial is None or trial is None:
        return Deployment(
            strategy="weights" if split and len(split.weights) > 1 else "none", step=100.0 if split else 0.0
        )
    return Deployment(
        strategy=trial.mode,
        step=round(100 * (split.trial.control_share if trial.mirrored else split.trial.share), 6),
        progression=progression(plan, trial.mode),
    )


def _changes(old: Split | None, new: Split | None) -> tuple[Change, ...]:
    """What differs between two splits, in the form of ConfigurationChange."""
    if new is None:
        return ()
    before, after = _facts(old), _facts(new)
    return tuple(
        _change(name, before.get(name), after.get(name))
        for name in after | before
        if before.get(name) != after.get(name)
    )


def _facts(split: Split | None) -> dict[str, Any]:
    if split is None:
        return {}
    facts: dict[str, Any] = {"incumbent": split.incumbent}
    if split.trial is not None:
        facts |= {
            "trial.arm": split.trial.arm,
            "trial.share": split.trial.share,
            "control.share": split.trial.control_share,
        }
        facts |= {"trial.arms": split.trial.arms} if split.trial.arms else {}
    if split.frozen:
        facts["frozen"] = True
    if any(len(weights) > 1 for weights in split.weights.values()):
        facts["weights"] = split.weights
    return facts


def _change(name: str, old: object, new: object) -> Change:
    kind: ChangeType = "add" if old is None else "remove" if new is None else "replace"
    return Change(parameter=name, old=old, new=new, change_type=kind)
