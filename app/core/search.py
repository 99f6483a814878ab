"""Looking for a change: which arm is worth a trial, whether anything forbids it, and who is asked first (DESIGN 7).

What forbids a change is ``policy.gate``, what asks for an answer from outside ``proposals``, what a trial is
``rollout``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.core import change, proposals, rollout
from app.core.change import Why
from app.core.decision import Alternative, Constraint, Trigger, decision_id
from app.core.expected import expected
from app.core.ideas import expected_of, next_ideas
from app.core.inputs import inputs_of
from app.core.levers.lever import Candidate, Need
from app.core.modes import first_share
from app.core.outputs import Output
from app.core.policy.gate import gate
from app.core.queue import Queued
from app.core.reasons import opening, reasoned
from app.core.row import Row

Result = tuple[Row, list[Output]]

CYCLE_S = 900
"""The main loop looks every 15 minutes of event time."""


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
    row, said = _begin(row, now_s, best, reasoned(why, best.strategy, best.why, cause))
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
    row, said = _begin(row, now_s, candidate, reasoned(why, "prompt-testing", "", turn.cause), turn.experiment)
    return row, [*refused, *said]


def look_at_all(row: Row, now_s: int, turns: Sequence[Queued]) -> Result:
    """One trial of several arms of an experiment, without those that cannot be tried any more or are forbidden."""
    usable = [turn for turn in turns if row.document.arm(turn.arm) is not None and turn.arm not in row.serving]
    if not usable:
        return row, []
    turn = usable[0]
    candidates = [expected_of(row, one.arm, now_s) for one in usable]
    row, refused, kept = _validated(row, candidates, now_s, turn.trigger, {})
    if not kept:
        return row, refused
    (first, held), *others = kept
    impact, sources = expected(row, first)
    arms = tuple(candidate.arm for candidate, _ in kept)
    evidence = {"expected_from": sources, "challengers": arms}
    why = opening(row, first.arm, impact, (), turn.trigger, turn.actor, held, inputs=evidence, arms=len(arms))
    why = reasoned(why, "prompt-testing", "", turn.cause)
    rivals = tuple(candidate.arm for candidate, _ in others)
    row, said = _begin(row, now_s, first, why, turn.experiment, rivals)
    return row, [*refused, *said]


def _begin(
    row: Row, now_s: int, best: Candidate, why: Why, experiment: str = "", rivals: tuple[str, ...] = ()
) -> Result:
    if row.document.mode == "auto" and not row.document.remote_policy.required:
        return rollout.open_trial(row, now_s, best.arm, why, experiment, rivals)
    return proposals.propose(row, now_s, best, why, experiment, rivals)


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
        held = gate(row, "open-trial", candidate.arm, first_share(row.document.trial), now_s)
        if not held.stops:
            kept.append((candidate, held.constraints))
            continue
        why = opening(row, candidate.arm, candidate.expected, (), trigger, constraints=held.constraints, inputs=asked)
        row, refusal = proposals.forbidden(row, now_s, why, held)
        said += refusal
    return row, said, kept


def _later(candidate: Candidate, best: Candidate) -> str:
    return f"one trial at a time; expected gain {candidate.gain:+.4f} against {best.gain:+.4f} of {best.arm}"
