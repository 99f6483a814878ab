"""The life of one change: steps 5 -> 25 -> 50 -> 90 %, judged against a concurrent control slice (STATISTICS 5).

Pure state machine: ``open_trial``, ``observe`` once per closed pane, ``judge`` whenever wanted, ``next_step`` after a
``safe`` verdict, ``with_version`` for every new split. Minutes are event-time panes; shares are of the traffic outside
the holdout. All looks together err at most ``alpha``: it is split over the judged metrics, one-sided.
"""

from typing import Literal

import msgspec

from app.core.cell import Cell
from app.core.stats.within_minute import Contrast, Sample, close
from app.core.stats.within_minute import observe as observe_minute

METRICS = ("quality", "latency", "errors", "cost")
Mode = Literal["canary", "blue-green", "immediate", "shadow"]
STEPS = (0.05, 0.25, 0.50, 0.90)


class Guardrails(msgspec.Struct, frozen=True, array_like=True):
    """Tolerated harm: points on a 0-1 scale, ratios to the control for latency and cost; ``None``: not judged.

    A strict metric rolls back once any harm is certain, a lenient one once harm beyond its tolerance is. ``n_min``:
    observations each slice needs before a metric says anything; ``scored_min``: scored answers of each before a step
    is left. ``n_star``: effective pairs at which the intervals are tightest. Durations in event-time minutes.
    ``alpha`` is the error of leaving a step; ``harm_part`` of it pays for rollbacks and ``admit_part`` for the last
    step, where a false verdict is for good (calibrated in benchmarks/trials.py).
    """

    quality_points: float | None = 0.05
    latency_ratio: float | None = 0.2
    error_points: float | None = 0.02
    cost_ratio: float | None = 0.2
    quality_strict: bool = True
    latency_strict: bool = True
    errors_strict: bool = True
    cost_strict: bool = False
    alpha: float = 0.05
    channel: str = "judge"
    n_min: int = 50
    scored_min: int = 100
    n_star: float = 400.0
    step_minutes: int = 5
    timeout_minutes: int = 10_080
    harm_part: float = 0.2
    admit_part: float = 0.002

    @property
    def harm_alpha(self) -> float:
        """Error of one metric's bound that rolls back: any metric can, so the error is split over them."""
        return self.harm_part * self.alpha / max(1, len(self.judged))

    def safe_alpha(self, *, admission: bool) -> float:
        """Error of a bound that lets a step pass: all metrics must, so each has it in full (intersection-union)."""
        return self.admit_part * self.alpha if admission else self.alpha

    def lasting(self, minutes: int) -> "Guardrails":
        """The same with a step of at least ``minutes``."""
        return msgspec.structs.replace(self, step_minutes=max(self.step_minutes, minutes))

    def tolerance(self, metric: str) -> float | None:
        """Tolerated harm of a metric; None when it is not judged."""
        limits = (self.quality_points, self.latency_ratio, self.error_points, self.cost_ratio)
        return dict(zip(METRICS, limits, strict=True))[metric]

    def strict(self, metric: str) -> bool:
        """Whether any certain harm rolls back."""
        flags = (self.quality_strict, self.latency_strict, self.errors_strict, self.cost_strict)
        return dict(zip(METRICS, flags, strict=True))[metric]

    @property
    def judged(self) -> tuple[str, ...]:
        """The metrics that have a tolerance, in fixed order."""
        return tuple(metric for metric in METRICS if self.tolerance(metric) is not None)


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """One contrast per metric; ``latency_ms`` is the absolute one the reward needs (means only)."""

    quality: Contrast = Contrast()
    latency: Contrast = Contrast()
    errors: Contrast = Contrast()
    cost: Contrast = Contrast()
    latency_ms: Contrast = Contrast()


class Trial(msgspec.Struct, frozen=True, array_like=True):
    """State of one trial. ``versions``: first split version of every step so far; ``last_version``: newest one.

    ``evidence`` holds complete panes only. ``doubtful`` holds all panes and exists from the first incomplete one on:
    it can show harm, never safety. ``step_panes``: complete panes seen in this step. ``mode``: see ``app.core.modes``.
    """

    id: str = ""
    arm: str = ""
    control_arm: str = ""
    steps: tuple[float, ...] = STEPS
    step: int = 0
    started_minute: int = 0
    step_minute: int = 0
    last_minute: int = 0
    versions: tuple[int, ...] = ()
    last_version: int = 0
    step_panes: int = 0
    panes: int = 0
    incomplete: int = 0
    evidence: Evidence = Evidence()
    doubtful: Evidence | None = None
    mode: Mode = "canary"

    @property
    def mirrored(self) -> bool:
        """Whether the arm gets copies only, and serves nobody."""
        return self.mode == "shadow"

    @property
    def admitting(self) -> bool:
        """Whether leaving this step is for good or nearly so, and is judged as strictly as that."""
        return self.mode == "blue-green" or (self.last_step and not self.mirrored)

    @property
    def slices(self) -> tuple[float, float]:
        """(trial, control) shares of the present step; copies are those of the control slice."""
        step = self.steps[self.step]
        return (0.0, step) if self.mirrored else shares(step)

    @property
    def last_step(self) -> bool:
        """Whether this step is the last one with a control slice."""
        return self.step >= len(self.steps) - 1


def shares(step: float) -> tuple[float, float]:
    """(trial, control) shares of a step: the control equals the canary up to 25 %, then what is left, <= 25 %."""
    return step, min(step, 0.25, round(1.0 - step, 9))


def open_trial(
    trial_id: str,
    arm: str,
    control_arm: str,
    minute: int,
    version: int,
    steps: tuple[float, ...] = STEPS,
    *,
    mode: Mode = "canary",
) -> Trial:
    """A trial at its first step. ``steps`` rise within (0, 1): a step of 1 has no control, so it is not one."""
    kept = tuple(step for step in steps if step < 1.0)
    if not kept or kept[0] <= 0.0 or list(kept) != sorted(set(kept)):
        raise ValueError(f"trial {trial_id}: steps must rise within (0, 1), got {steps}; use for example {STEPS}")
    one = Trial(trial_id, arm, control_arm, kept, 0, minute, minute, minute, versions=(version,), last_version=version)
    return msgspec.structs.replace(one, mode=mode)


def with_version(trial: Trial, version: int) -> Trial:
    """Note that the trial now runs under a newer split (weights beside it moved); the step stays."""
    return msgspec.structs.replace(trial, last_version=max(version, trial.last_version))


def covers(trial: Trial, version: int) -> bool:
    """Whether requests assigned by this split version belong to the trial."""
    return bool(trial.versions) and trial.versions[0] <= version <= trial.last_version


def next_step(trial: Trial, minute: int, version: int) -> Trial:
    """Enter the next step under split ``version``: blocks end here, because the shares change."""
    if trial.last_step:
        raise ValueError(f"trial {trial.id} is on its last step, {trial.steps[-1]:.0%}: admit it or roll it back")
    return msgspec.structs.replace(
        trial,
        step=trial.step + 1,
        step_minute=minute,
        step_panes=0,
        versions=(*trial.versions, version),
        last_version=max(version, trial.last_version),
        evidence=_close_all(trial.evidence),
        doubtful=None if trial.doubtful is None else _close_all(trial.doubtful),
    )


def reshared(trial: Trial, version: int) -> Trial:
    """The same step under a split that shares it otherwise: blocks end here, because the shares change."""
    return msgspec.structs.replace(
        trial,
        versions=(*trial.versions, version),
        last_version=max(version, trial.last_version),
        evidence=_close_all(trial.evidence),
        doubtful=None if trial.doubtful is None else _close_all(trial.doubtful),
    )


def observe(
    trial: Trial, minute: int, trial_cell: Cell, control_cell: Cell, *, complete: bool = True, channel: str = "judge"
) -> Trial:
    """Add one closed pane: both cells merged over this trial's versions, costs priced, left as they are."""
    doubtful = trial.doubtful if complete or trial.doubtful is not None else trial.evidence
    return msgspec.structs.replace(
        trial,
        last_minute=max(minute, trial.last_minute),
        panes=trial.panes + 1,
        step_panes=trial.step_panes + complete,
        incomplete=trial.incomplete + (not complete),
        evidence=_observe_all(trial.evidence, trial_cell, control_cell, channel) if complete else trial.evidence,
        doubtful=None if doubtful is None else _observe_all(doubtful, trial_cell, control_cell, channel),
    )


def _observe_all(evidence: Evidence, trial: Cell, control: Cell, channel: str) -> Evidence:
    pairs = zip(evidence_of(trial, channel), evidence_of(control, channel), strict=True)
    fields = (getattr(evidence, name) for name in Evidence.__struct_fields__)
    return Evidence(*(observe_minute(field, t, c) for field, (t, c) in zip(fields, pairs, strict=True)))


def _close_all(evidence: Evidence) -> Evidence:
    return Evidence(*(close(getattr(evidence, name)) for name in Evidence.__struct_fields__))


def evidence_of(cell: Cell, channel: str) -> tuple[Sample, Sample, Sample, Sample, Sample]:
    """The samples of a cell in the order of ``Evidence``. Session groups exist for judge scores and for costs that came
    with the request; without them a metric counts requests as independent.
    """
    groups = sorted(cell.groups.items())
    score = cell.quality.get(channel)
    judged = tuple((g, s.scores, s.quality) for g, s in groups if s.scores) if channel == "judge" else ()
    errors = tuple((g, s.n, float(s.errors)) for g, s in groups if s.n)
    logs = tuple((g, s.n, s.log_latency) for g, s in groups if s.n)
    costs = tuple((g, s.n, s.cost) for g, s in groups if s.n) if _costed(cell) else ()
    return (
        Sample() if score is None else Sample(score.n, score.total, score.squares, judged),
        Sample(cell.n, cell.log_latency, cell.log_latency_sq, logs),
        Sample(cell.n, float(cell.errors), float(cell.errors), errors),
        Sample(cell.cost_n, cell.cost_usd, cell.cost_sq, costs),
        Sample(cell.n, cell.latency_ms),
    )


def _costed(cell: Cell) -> bool:
    """Whether the groups hold all the cost of their requests (they do not when a price book filled it in)."""
    grouped = sum(group.n for group in cell.groups.values())
    covered = sum(group.cost for _, group in sorted(cell.groups.items()))
    return cell.cost_n == cell.n and 0 < grouped <= cell.n and covered >= 0.5 * cell.cost_usd * grouped / cell.n
