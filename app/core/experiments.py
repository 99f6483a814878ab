"""Experiments that a person orders: k arms against the incumbent, together or one trial after the other.

Together where the gateway says that it draws slices and the rollout is a canary: ``app.core.contest``. Else each arm
waits its turn in the queue and has a whole trial against whoever serves then, so the last winner is the best. In both
cases all arms of an experiment together err at most ``alpha``: each gets alpha / k (Bonferroni; valid under any
dependence, and no arm is compared on traffic that a bandit steers).
"""

from typing import Any, Literal

import msgspec

from app.core.commands import CommandError, ExperimentStart
from app.core.document import ServiceDocument
from app.core.ids import stable_id
from app.core.outputs import EXPERIMENT_COMPLETED, EXPERIMENT_STARTED, Output
from app.core.profile import Profile
from app.core.queue import Experiment, Queued, Tried, joined, without
from app.core.row import Row
from app.core.trial import Guardrails, Trial

MAX_TOGETHER = 4
"""Challengers of one trial: each adds up to 6 kB to a row; further ones have their turn after it."""
Result = tuple[Row, list[Output]]
Status = Literal["completed", "aborted"]

_encode = msgspec.json.Encoder(order="deterministic").encode


def start(row: Row, identity: str, asked: ExperimentStart, actor: str, now_s: int) -> Result:
    """Queue a trial for every arm. ``CommandError`` when an arm is unknown or serves, or the queue is full."""
    for arm in asked.arms:
        if row.document.arm(arm) is None:
            known = ", ".join(row.document.arm_names)
            raise CommandError(f"experiment.start: {row.service} has no arm {arm!r}; it has {known}")
        if arm in row.serving:
            raise CommandError(f"experiment.start: {arm} already serves {row.service}: name arms that do not")
    cause = f"experiment {asked.name or identity}"
    turns = tuple(Queued(arm, "", "on-demand", cause, identity, actor, now_s) for arm in dict.fromkeys(asked.arms))
    queue = joined(row.queue, turns)
    if queue is None:
        raise CommandError(f"experiment.start: {len(row.queue)} trials wait at {row.service} already, at most 8 may")
    arms = tuple(turn.arm for turn in turns)
    one = Experiment(identity, asked.name, asked.hypothesis, row.incumbent, arms, now_s, scored_max=asked.scored_max)
    row = msgspec.structs.replace(row, queue=queue, experiments=(*row.experiments, one), next_cycle_s=0)
    return row, [_started(row, one, now_s)]


def stop(row: Row, identity: str, now_s: int) -> Result:
    """Take the trials of an experiment out of the queue; one that is open goes on as a trial of its own."""
    one = next((e for e in row.experiments if identity in ("", e.id)), None)
    if one is None:
        raise CommandError(f"experiment.stop: {row.service} has no open experiment {identity or 'at all'}")
    row = msgspec.structs.replace(row, queue=without(row.queue, one.id))
    row = _left(row, one)
    return row, [_completed(row, one, "aborted", now_s)]


def together(row: Row) -> bool:
    """Whether several challengers can share the trial slice."""
    able = row.capabilities
    return "slices" in able and "single_challenger" not in able and row.document.trial.mode == "canary"


def shared(guardrails: Guardrails, row: Row) -> Guardrails:
    """The guardrails of the open trial: the error of an experiment is shared by its arms."""
    one = next((e for e in row.experiments if e.id == row.trial_experiment), None)
    if one is None:
        return guardrails
    return msgspec.structs.replace(guardrails, alpha=guardrails.alpha / len(one.arms))


def settled(before: Row, row: Row, now_s: int) -> Result:
    """What a step that ended a trial, or the last turn of an experiment, means for the experiments of the row."""
    if not row.experiments:
        return row, []
    if before.trial_experiment:
        stay = {(one.id, one.arm) for one in row.challengers}
        for ended in before.challengers:
            if (ended.id, ended.arm) not in stay:
                row = _noted(row, before.trial_experiment, ended)
    said: list[Output] = []
    for one in row.experiments:
        waits = any(turn.experiment == one.id for turn in row.queue)
        asked = row.proposal is not None and row.proposal.experiment == one.id
        if not waits and not asked and row.trial_experiment != one.id:
            row = _left(row, one)
            said.append(_completed(row, one, "completed", now_s))
    return row, said


def _noted(row: Row, identity: str, ended: Trial) -> Row:
    won = ended.arm in row.serving
    tried = Tried(ended.arm, "won" if won else "lost", row.resting[ended.arm].why if ended.arm in row.resting else "")
    experiments = tuple(
        msgspec.structs.replace(one, tried=(*one.tried, tried)) if one.id == identity else one
        for one in row.experiments
    )
    open_ = row.trial_experiment if row.trial is not None else ""
    goes_on = row.trial is not None and row.trial.id == ended.id
    left = open_ if goes_on or open_ != identity else ""
    return msgspec.structs.replace(row, experiments=experiments, trial_experiment=left)


def _left(row: Row, one: Experiment) -> Row:
    rest = tuple(e for e in row.experiments if e.id != one.id)
    open_ = "" if row.trial_experiment == one.id else row.trial_experiment
    return msgspec.structs.replace(row, experiments=rest, trial_experiment=open_)


# ---- what is said ----
def _started(row: Row, one: Experiment, now_s: int) -> Output:
    data = {
        "experiment_id": one.id,
        "service": row.service,
        "experiment_name": one.name,
        "experiment_type": kind(row.document, one),
        "status": "running",
        "variants": [_variant(row, arm) for arm in (one.control, *one.arms)],
        "hypothesis": one.hypothesis,
        "max_duration_hours": len(one.arms) * row.document.trial.trial_minutes_max / 60,
    }
    return _output(EXPERIMENT_STARTED, row, one, data, now_s)


def _completed(row: Row, one: Experiment, status: Status, now_s: int) -> Output:
    winners = [tried.arm for tried in one.tried if tried.outcome == "won"]
    winner = winners[-1] if winners else ""
    left = [arm for arm in one.arms if arm not in {tried.arm for tried in one.tried}]
    data: dict[str, Any] = {
        "experiment_id": one.id,
        "service": row.service,
        "experiment_name": one.name,
        "experiment_type": kind(row.document, one),
        "status": status,
        "duration_hours": round((now_s - one.since_s) / 3600, 4),
        "variants": [_variant(row, arm) for arm in (one.control, *one.arms)],
        "winner": _winner(row, one, winner) if winner else None,
        "conclusion": _conclusion(one, winner, left),
        "recommendation": f"keep {winner}" if winner else f"keep {one.control}",
    }
    return _output(EXPERIMENT_COMPLETED, row, one, data, now_s)


def _output(type_: str, row: Row, one: Experiment, data: dict[str, Any], now_s: int) -> Output:
    return Output("optimizations", type_, stable_id(type_, one.id), row.service, now_s, _encode(data))


def _variant(row: Row, arm: str) -> dict[str, Any]:
    declared = row.document.arm(arm)
    profile = row.profiles.get(arm, Profile())
    text = "" if declared is None else f"{declared.model} {declared.prompt_version}".strip()
    return {
        "variant_id": arm,
        "description": text,
        "total_requests": int(profile.n),
        "metrics": _metrics(profile),
    }


def _metrics(profile: Profile) -> dict[str, float]:
    """Means of the last day or so, by the names of the requirements; what is not known is left out."""
    known = {
        "average_cost_usd": profile.cost,
        "average_latency_ms": profile.latency,
        "quality_score": profile.mean_quality,
        "error_rate": profile.errors / profile.n if profile.n >= 20 else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _winner(row: Row, one: Experiment, winner: str) -> dict[str, Any]:
    before = _metrics(row.profiles.get(one.control, Profile()))
    after = _metrics(row.profiles.get(winner, Profile()))
    moved = {name: after[name] - before[name] for name in after if name in before}
    return {
        "variant_id": winner,
        "confidence": 1 - row.document.guardrails.alpha,
        "improvement_metrics": moved,
    }


def _conclusion(one: Experiment, winner: str, left: list[str]) -> str:
    parts = [f"{t.arm} {t.outcome}" + (f" ({t.why})" if t.why else "") for t in one.tried]
    parts += [f"{arm} was not tried" for arm in left]
    end = f"{winner} is better than {one.control}" if winner else f"no arm is proven better than {one.control}"
    return f"{end}: {', '.join(parts)}." if parts else f"{end}."


def kind(document: ServiceDocument, one: Experiment) -> str:
    """What the arms differ in: model_selection, prompt_optimization or parameter_tuning."""
    arms = [arm for name in (one.control, *one.arms) if (arm := document.arm(name)) is not None]
    if len({arm.model for arm in arms}) > 1:
        return "model_selection"
    return "prompt_optimization" if len({arm.prompt_version for arm in arms}) > 1 else "parameter_tuning"
