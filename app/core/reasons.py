"""The reasons of a change, as its decision will carry them: of opening a trial, and of what its verdict leads to."""

from typing import Any

import msgspec

from app.core import modes
from app.core.change import Why
from app.core.decision import Action, Alternative, Constraint, Impact, Strategy, Trigger
from app.core.document import ServiceDocument
from app.core.forecast import expected_minutes
from app.core.row import Row
from app.core.trial import Guardrails
from app.core.verdict import Interval, Verdict


def opening(
    row: Row,
    arm: str,
    expected: dict[str, Impact],
    alternatives: tuple[Alternative, ...],
    trigger: Trigger,
    actor: str = "",
    constraints: tuple[Constraint, ...] = (),
    *,
    inputs: dict[str, Any] | None = None,
    arms: int = 1,
) -> Why:
    """Why ``arm`` is tried: what is known of it and of the incumbent, what is expected, what else was looked at.

    ``inputs``: what the rules read (``inputs_of``), where they chose. ``arms``: how many are tried together.
    """
    return Why(
        action="open-trial",
        trigger=trigger,
        evidence={
            "challenger": arm,
            "incumbent": row.incumbent,
            "actor": actor,
            "profiles": {name: row.profiles[name] for name in sorted(row.profiles) if name in (arm, row.incumbent)},
            **(inputs or {}),
        },
        impact=expected,
        constraints=constraints,
        alternatives=alternatives,
        expected_minutes=_expected_minutes(row, arms),
    )


def reasoned(why: Why, strategy: Strategy, idea: str, cause: str) -> Why:
    """``why`` with where the arm comes from: a rule that was broken, an order, or a lever and its idea."""
    told = {name: text for name, text in (("idea", idea), ("cause", cause)) if text}
    ruled: Strategy = "threshold" if why.trigger in {"threshold", "event"} else strategy
    return msgspec.structs.replace(why, strategy=ruled, evidence={**why.evidence, **told})


def _expected_minutes(row: Row, arms: int) -> float | None:
    """How long the trial should take at the present traffic, or None without any."""
    outside = row.requests_per_minute * (1 - row.document.holdout_share)
    return expected_minutes(guardrails_of(row.document), outside, row.spread, modes.stages(row.document.trial, arms))


def guardrails_of(document: ServiceDocument) -> Guardrails:
    """The document's guardrails as the trial wants them; a tolerance of 100 points means scores are not judged."""
    limits, plan = document.guardrails, document.trial
    return Guardrails(
        quality_points=limits.quality.tolerance if limits.quality.tolerance < 1 else None,
        latency_ratio=limits.latency.tolerance,
        error_points=limits.errors.tolerance,
        cost_ratio=limits.cost.tolerance,
        quality_strict=limits.quality.rule == "strict",
        latency_strict=limits.latency.rule == "strict",
        errors_strict=limits.errors.rule == "strict",
        cost_strict=limits.cost.rule == "strict",
        alpha=limits.alpha,
        channel=document.objective.score_channel,
        scored_min=plan.scored_min,
        step_minutes=plan.step_minutes_min,
        timeout_minutes=plan.trial_minutes_max,
    )


def judged(
    action: Action, row: Row, asked: dict[str, Any], verdict: Verdict, constraints: tuple[Constraint, ...] = ()
) -> Why:
    """The verdict as reasons: every interval as impact and constraint, the whole verdict as evidence, with what was
    ``asked`` (``inputs_of``).
    """
    trial = row.trial
    return Why(
        action=action,
        trigger="threshold" if action == "roll-back" else "time",
        evidence={
            "challenger": trial.arm if trial else "",
            "incumbent": trial.control_arm if trial else "",
            "cause": verdict.reason if verdict.kind == "timeout" else "",
            "verdict": msgspec.to_builtins(_named(verdict)),
            "step": trial.steps[trial.step] if trial else 0.0,
            "panes": trial.panes if trial else 0,
            "incomplete_panes": trial.incomplete if trial else 0,
            **asked,
        },
        impact=realised(verdict),
        constraints=(*(_constraint(i) for i in verdict.intervals), *constraints),
        confidence=1 - row.document.guardrails.alpha,
    )


def realised(verdict: Verdict) -> dict[str, Impact]:
    """What a trial has measured so far, by metric: the arm against the concurrent control, always-valid intervals."""
    shown = (i for i in (*verdict.intervals, verdict.reward) if i is not None)
    return {i.metric: Impact(estimate=i.estimate, low=i.low, high=i.high, n=int(i.n)) for i in shown}


def _named(verdict: Verdict) -> dict[str, Any]:
    """A verdict with the names of its fields (it is stored without them)."""
    fields = {name: getattr(verdict, name) for name in ("kind", "metric", "reason", "benefit", "doubtful")}
    intervals = [i for i in (*verdict.intervals, verdict.reward) if i is not None]
    return {**fields, "intervals": [msgspec.structs.asdict(i) for i in intervals]}


def _constraint(interval: Interval) -> Constraint:
    """The bound of harm that matters against its tolerance."""
    sign = -1.0 if interval.metric == "quality" else 1.0
    worst = interval.low if interval.metric == "quality" else interval.high
    value = None if worst is None else sign * worst
    return Constraint(
        name=interval.metric,
        limit=interval.tolerance,
        value=value,
        satisfied=value is not None and value < interval.tolerance,
    )
