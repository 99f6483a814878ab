"""Who answers when the incumbent fails or is taken back: a backup at once, or the one who served before."""

import msgspec

from app.core import change, outputs, rollout
from app.core.change import Why
from app.core.decision import Trigger
from app.core.ids import stable_id
from app.core.outputs import Output
from app.core.policy.gate import gate
from app.core.resting import rested
from app.core.row import Row

Result = tuple[Row, list[Output]]


def backup_of(row: Row, now_s: int) -> str:
    """Who could answer at once if the incumbent failed: the declared backup, else who served before; "" for nobody.

    An arm that rests, or that a limit or policy forbids, is no backup.
    """
    former = (past.incumbent for past in reversed(row.history))
    for arm in dict.fromkeys((row.document.strategy.backup, *former)):
        if arm and arm != row.incumbent and usable(row, arm, now_s):
            return arm
    return ""


def usable(row: Row, arm: str, now_s: int) -> bool:
    """Whether ``arm`` may serve at once: it is declared, does not rest, and nothing known forbids it (what is not
    measured yet does not).
    """
    rest = row.resting.get(arm)
    if row.document.arm(arm) is None or (rest is not None and now_s < rest.until_s):
        return False
    return not any(c.value is not None for c in gate(row, "promote", arm, 1.0, now_s).stops)


def fail_over(row: Row, now_s: int, backup: str, trigger: Trigger, cause: str) -> Result:
    """The incumbent fails critically: ``backup`` answers at once, unjudged; an open trial ends."""
    failed_arm, trial, ended = row.incumbent, row.trial, rollout.outcome(row, now_s, outputs.ROLLED_BACK)
    admitted = tuple(arm for arm in row.admitted if arm != failed_arm)
    row = msgspec.structs.replace(
        row,
        incumbent=backup,
        admitted=admitted,
        weights={segment: _moved(arms, failed_arm, backup) for segment, arms in row.weights.items()},
        proposal=None,
        resting=rested(row, failed_arm, now_s, cause),
    )
    row = rollout.closed(row, now_s)
    evidence = {"challenger": failed_arm, "incumbent": backup, "cause": cause}
    why = Why(action="fail-over", trigger=trigger, strategy="threshold", evidence=evidence, confidence=1.0)
    row, said = change.publish(row, now_s, why)
    return row, [*said, ended(row)] if trial is not None else said


def _moved(weights: dict[str, float], failed_arm: str, backup: str) -> dict[str, float]:
    """``weights`` with the failed arm's share at the backup."""
    share = weights.get(failed_arm, 0.0)
    kept = {arm: weight for arm, weight in weights.items() if arm != failed_arm}
    return {**kept, backup: kept.get(backup, 0.0) + share}


def restore(row: Row, now_s: int, why: Why) -> Result:
    """Back to the incumbent before the present one."""
    former = [
        past.incumbent for past in row.history if past.incumbent != row.incumbent and row.document.arm(past.incumbent)
    ]
    if not former:
        return row, [change.say(row, "refused", stable_id("restore", row.service, row.cycle, now_s), now_s, why)]
    resting = rested(row, row.incumbent, now_s, "it was rolled back by an operator")
    evidence = {"challenger": row.incumbent, "incumbent": former[-1], **why.evidence}
    row = msgspec.structs.replace(row, incumbent=former[-1], resting=resting, cooldown_s=rollout.cooldown(row, now_s))
    return change.publish(row, now_s, msgspec.structs.replace(why, evidence=evidence))
