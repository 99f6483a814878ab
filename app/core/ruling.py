"""What the evidence so far means for the open trial: up a step, take over, back, or stay.

What judges is ``trial`` and ``verdict``; what it leads to is ``rollout``; what forbids it is ``policy.gate``.
"""

from typing import Any, Literal

import msgspec

from app.core import contest_ruling, proposals, rollout, so_far
from app.core.by_segment import differences, harmed, stratified
from app.core.change import Why
from app.core.explain.wording import failed
from app.core.inputs import inputs_of
from app.core.modes import steps_of
from app.core.outputs import Output
from app.core.planned import looked
from app.core.policy.gate import gate
from app.core.reasons import judged
from app.core.row import Row
from app.core.trial import Trial
from app.core.verdict import Verdict

Result = tuple[Row, list[Output]]
Upwards = Literal["next-step", "admit", "promote"]


def judge(row: Row, now_s: int) -> Result:
    """What the evidence so far says about the open trial: go up, take over, roll back, or stay."""
    trial = row.trial
    if trial is None:
        return row, []
    if row.contest:
        return contest_ruling.judge(row, now_s)
    asked = inputs_of(row, now_s, "time")
    row, verdict = looked(row, so_far.verdict(row, trial, now_s))
    if verdict.kind == "harm":
        why = judged("roll-back", row, asked, verdict)
        return rollout.end(row, now_s, why, rest=f"its trial showed harm in {verdict.metric}")
    if verdict.kind == "timeout":
        return rollout.end(row, now_s, judged("roll-back", row, asked, verdict), rest="its trial stayed undecided")
    if verdict.kind == "hold" or row.unseen:  # a step whose traffic was not seen yet is not climbed from
        return row, []
    action = _upwards(row, verdict)
    return _go_up(row, now_s, action, verdict, asked) if action is not None else (row, [])


def _upwards(row: Row, verdict: Verdict) -> Upwards | None:
    """What a safe trial leads to; None: nothing yet, as nothing is proven to be better."""
    trial = row.trial
    if trial is not None and (trial.mirrored or not trial.last_step):
        proven = trial.mode != "blue-green" or row.document.policy == "mix" or verdict.benefit
        return "next-step" if proven else None
    if row.document.policy == "mix":
        return "admit"
    return "promote" if verdict.benefit else None


def _go_up(row: Row, now_s: int, action: Upwards, verdict: Verdict, asked: dict[str, Any]) -> Result:
    """The next step or the whole service, unless a limit or policy forbids it: then the trial ends."""
    trial = row.trial
    if trial is None:
        return row, []
    share = _share_after(row, trial) if action == "next-step" else 1.0
    held = gate(row, action, trial.arm, share, now_s)
    why = judged(action, row, asked, verdict, held.constraints)
    if held.stops:
        row, refused = proposals.forbidden(row, now_s, why, held)
        row, ended = rollout.end(row, now_s, judged("roll-back", row, asked, verdict, held.constraints))
        return row, [*refused, *ended]
    if action != "next-step":
        return _admit(row, now_s, why, verdict, asked)
    return rollout.next_step(row, now_s, why)


def _share_after(row: Row, trial: Trial) -> float:
    """What the arm serves on the next step."""
    return steps_of(row.document.trial, "canary")[0] if trial.mirrored else trial.steps[trial.step + 1]


def _admit(row: Row, now_s: int, why: Why, verdict: Verdict, asked: dict[str, Any]) -> Result:
    """The arm takes over, unless it is certainly worse in a segment that would have to follow (Simpson's paradox)."""
    found = differences(row.trial_segments, row.document.guardrails.alpha)
    told = {"segments": msgspec.to_builtins(found), "within_segments": stratified(found)} if found else {}
    why = msgspec.structs.replace(why, evidence={**why.evidence, **told})
    worse = harmed(found, row.document.guardrails.quality.tolerance)
    if not worse or row.document.policy == "mix":  # a mix has weights of its own in each segment
        return rollout.promote(row, now_s, why)
    cause = f"better on the whole, but its scores are certainly lower in {', '.join(worse)}"
    why = judged("roll-back", row, asked, verdict)
    why = msgspec.structs.replace(why, evidence={**why.evidence, **told, "cause": cause})
    return rollout.end(row, now_s, why, rest=cause)


def forbids(row: Row, now_s: int) -> str | None:
    """Which rule forbids that a person lets the trial's arm take over, as far as it is known; None: none does."""
    if row.trial is None:
        return None
    held = gate(row, "promote", row.trial.arm, 1.0, now_s)
    return "; ".join(failed(c) for c in held.stops if c.value is not None) or None
