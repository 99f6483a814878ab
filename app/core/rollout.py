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

Result = tuple[Row, list[Output]]


def open_trial(row: Row, now_s: int, arm: str, why: Why, experiment: str = "") -> Result:
    """The first step of a trial of ``arm`` against the incumbent."""
    identity = stable_id("trial", row.service, row.version + 1, arm)
    trial = modes.opened(row.document.trial, identity, arm, row.incumbent, now_s // 60, row.version + 1)
    row = msgspec.structs.replace(row, trial=trial, proposal=None, trial_experiment=experiment, trial_segments={})
    row = msgspec.structs.replace(row, trial_expected=why.impact)
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


def end(row: Row, now_s: int, why: Why, *, rest: str = "") -> Result:
    """The trial is taken back. ``rest``: why its arm lost, and rests; "": it did not lose."""
    trial = row.trial
    if trial is None:
        return row, []
    ended = outcome(row, now_s, outputs.ROLLED_BACK)
    resting = rested(row, trial.arm, now_s, rest) if rest else row.resting
    row = closed(msgspec.structs.replace(row, resting=resting), now_s)
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
        row, trial=None, trial_decision="", trial_expected={}, cooldown_s=cooldown(row, now_s)
    )


def cooldown(row: Row, now_s: int) -> int:
    """When the next change may begin (epoch seconds)."""
    return now_s + 60 * row.document.trial.cooldown_minutes
