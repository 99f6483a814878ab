"""The life of one trial: it opens at its first step, goes up, and ends as the new incumbent or taken back (DESIGN 7).

Whether it should is judged elsewhere (``ruling``); ``change`` publishes.
"""

from collections.abc import Callable

import msgspec

from app.core import change, modes, outputs, so_far
from app.core import trial as trials
from app.core.change import Why
from app.core.decision import Outcome, Trigger, encode_outcome
from app.core.ids import stable_id
from app.core.outputs import Output
from app.core.reasons import realised
from app.core.resting import rested
from app.core.row import Row
from app.core.trial import Trial

Result = tuple[Row, list[Output]]


def open_trial(row: Row, now_s: int, arm: str, why: Why, experiment: str = "", rivals: tuple[str, ...] = ()) -> Result:
    """The first step of a trial of ``arm`` (and ``rivals``, together) against the incumbent."""
    identity = stable_id("trial", row.service, row.version + 1, arm)
    trial, *contest = (
        modes.opened(row.document.trial, identity, one, row.incumbent, now_s // 60, row.version + 1)
        for one in (arm, *rivals)
    )
    row = msgspec.structs.replace(row, trial=trial, proposal=None, trial_experiment=experiment, trial_segments={})
    row = msgspec.structs.replace(row, trial_expected=why.impact, contest=tuple(contest))
    row, said = change.publish(row, now_s, why)
    return msgspec.structs.replace(row, trial_decision=row.split.decision_id if row.split else ""), said


def next_step(row: Row, now_s: int, why: Why) -> Result:
    """One step up; what was mirrored begins to serve."""
    trial = row.trial
    if trial is None:
        return row, []
    minute, version = now_s // 60, row.version + 1
    if trial.mirrored:
        row = msgspec.structs.replace(row, trial_segments={})
        grown = modes.served(row.document.trial, trial, minute, version)
    else:
        grown = trials.next_step(trial, minute, version)
    return change.publish(msgspec.structs.replace(row, trial=grown), now_s, why)


def drop(row: Row, now_s: int, why: Why, rests: dict[str, str]) -> Result:
    """Some of several challengers leave, for these reasons ("" for one that a rule made rest already); the others share
    what they had. Somebody is left.
    """
    version = row.version + 1
    left = [trials.reshared(one, version) for one in row.challengers if one.arm not in rests]
    segments = row.trial_segments if row.trial is not None and row.trial.arm not in rests else {}
    row = msgspec.structs.replace(row, trial=left[0], contest=tuple(left[1:]), trial_segments=segments)
    return change.publish(_resting(row, now_s, rests), now_s, why)


def choose(row: Row, now_s: int, why: Why, winner: Trial, rests: dict[str, str]) -> Result:
    """``winner`` of several challengers goes on alone, a step higher where there is one; the others rest."""
    minute, version = now_s // 60, row.version + 1
    segments = row.trial_segments if row.trial is not None and row.trial.arm == winner.arm else {}
    grown = trials.reshared(winner, version) if winner.last_step else trials.next_step(winner, minute, version)
    row = msgspec.structs.replace(row, trial=grown, contest=(), trial_segments=segments)
    return change.publish(_resting(row, now_s, rests), now_s, why)


def _resting(row: Row, now_s: int, rests: dict[str, str]) -> Row:
    for arm, reason in rests.items():
        if reason:
            row = msgspec.structs.replace(row, resting=rested(row, arm, now_s, reason))
    return row


def promote(row: Row, now_s: int, why: Why) -> Result:
    """The trial's arm takes over (policy single) or joins the admitted arms (policy mix)."""
    if row.trial is None:
        return row, []
    arm, ended = row.trial.arm, outcome(row, now_s, outputs.COMPLETED)
    resting = {name: rest for name, rest in row.resting.items() if name != arm}
    row = closed(msgspec.structs.replace(row, resting=resting), now_s)
    if row.document.policy == "mix":
        row = msgspec.structs.replace(row, admitted=tuple(sorted({*row.admitted, row.incumbent, arm})))
    else:
        row = msgspec.structs.replace(row, incumbent=arm)
    evidence = {"challenger": arm, **why.evidence}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return row, [*said, ended(row)]


def roll_back(row: Row, now_s: int, trigger: Trigger, cause: str) -> Result:
    """A critical event: an open trial ends at once."""
    if row.trial is None:
        return row, []
    why = Why(action="roll-back", trigger=trigger, strategy="threshold", evidence={"cause": cause}, confidence=1.0)
    return end(row, now_s, why, rest=cause)


def end(row: Row, now_s: int, why: Why, *, rest: str = "", rests: dict[str, str] | None = None) -> Result:
    """The trial is taken back. ``rest``: why its arm lost, and rests; "": it did not lose. ``rests``: the same for each
    of several arms.
    """
    trial = row.trial
    if trial is None:
        return row, []
    ended = outcome(row, now_s, outputs.ROLLED_BACK)
    reasons = dict.fromkeys((one.arm for one in row.challengers), rest) if rests is None else rests
    row = closed(_resting(row, now_s, reasons), now_s)
    evidence = {"challenger": trial.arm, "incumbent": trial.control_arm, **why.evidence}
    evidence |= {"mirrored": True} if trial.mirrored else {}
    row, said = change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
    return row, [*said, ended(row)]


def outcome(row: Row, now_s: int, type_: str) -> Callable[[Row], Output]:
    """The outcome of the decision that opened the trial of ``row``, once there is a new version: what was expected,
    and what the trial measured.
    """
    measured = realised(so_far.verdict(row, row.trial, now_s)) if row.trial is not None else {}
    opened, hoped = row.trial_decision, row.trial_expected

    def said(after: Row) -> Output:
        data = Outcome(
            decision_id=opened,
            service=after.service,
            version=after.version,
            gateway=after.document.gateway,
            expected_impact=hoped,
            realised_impact=measured,
        )
        return Output("optimizations", type_, stable_id(type_, opened), after.service, now_s, encode_outcome(data))

    return said


def closed(row: Row, now_s: int) -> Row:
    """``row`` without its trial; the cooldown begins."""
    return msgspec.structs.replace(
        row, trial=None, contest=(), trial_decision="", trial_expected={}, cooldown_s=cooldown(row, now_s)
    )


def cooldown(row: Row, now_s: int) -> int:
    """When the next change may begin (epoch seconds)."""
    return now_s + 60 * row.document.trial.cooldown_minutes
