"""What a trial's evidence says: harm, safe, hold or timeout, with an always-valid interval for every metric.

Roll back when the lower bound of harm is above 0 (strict) or above the tolerance (lenient); next step when every upper
bound of harm is inside its tolerance and the step lasted; else hold: missing or little data never rolls back.
Every bound is one-sided and holds over all looks, with the errors stated in ``Guardrails`` (STATISTICS 5).
"""

import math
from typing import Literal

import msgspec

from app.core.stats.confidence import half_width, p_value
from app.core.stats.reward import Objective, lognormal_variance
from app.core.stats.within_minute import Contrast, Difference, close, difference, ratio, variance_of
from app.core.trial import Evidence, Guardrails, Trial

Kind = Literal["harm", "safe", "hold", "timeout"]

_LOG_FLOOR = 1e-4
"""Least variance of a log latency or of a relative cost: 1 % per request, so that constant values are not certain."""

_LARGEST = 50.0
"""Log ratios are shown up to here, so that they stay finite."""


class Interval(msgspec.Struct, frozen=True, array_like=True):
    """Change of one metric, trial against control: points (quality, errors) or ratio - 1 (latency, cost), or reward.

    ``low`` and ``high`` are the very bounds the rule used, None while nothing is known; ``n`` effective pairs,
    ``trial_n`` and ``control_n`` observations; ``tolerance`` of harm; ``harm_p``: p of "no harm".
    """

    metric: str = ""
    estimate: float = 0.0
    low: float | None = None
    high: float | None = None
    n: float = 0.0
    trial_n: int = 0
    control_n: int = 0
    tolerance: float = 0.0
    harm_p: float = 1.0


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """``metric``: the one that decided or is waited for. ``doubtful``: harm was judged on incomplete panes too.

    ``reward``: difference of the composite reward where an arm may be admitted, and whether it is proven ``benefit``.
    """

    kind: Kind = "hold"
    metric: str = ""
    reason: str = ""
    intervals: tuple[Interval, ...] = ()
    reward: Interval | None = None
    benefit: bool = False
    doubtful: bool = False


class _Harm(msgspec.Struct, frozen=True):
    """Bounds of harm on the scale the rule works on (log for latency), and the limits on that scale."""

    low: float
    high: float
    tolerance: float
    interval: Interval


def judge(trial: Trial, guardrails: Guardrails, objective: Objective | None = None) -> Verdict:
    """The verdict as of the last observed pane. Harm is looked for in all panes, safety in complete ones only."""
    harms = _harms(trial.evidence, guardrails, admission=trial.admitting)
    intervals = tuple(harm.interval for harm in harms)
    reward = reward_interval(trial.evidence, objective, guardrails) if objective and trial.admitting else None
    benefit = reward is not None and reward.low is not None and reward.low > 0.0
    doubtful = trial.doubtful is not None
    seen = _harms(trial.doubtful, guardrails, admission=trial.admitting) if trial.doubtful is not None else harms
    proven = [harm for harm in seen if harm.low > (0.0 if guardrails.strict(harm.interval.metric) else harm.tolerance)]
    if proven:
        worst = max(proven, key=lambda harm: harm.low / harm.tolerance if harm.tolerance else math.inf)
        shown = tuple(harm.interval for harm in seen)
        return Verdict("harm", worst.interval.metric, "harm is certain", shown, reward, benefit, doubtful)
    kind, metric, reason = _safety(trial, guardrails, harms)
    return Verdict(kind, metric, reason, intervals, reward, benefit, doubtful)


def _safety(trial: Trial, guardrails: Guardrails, harms: list[_Harm]) -> tuple[Kind, str, str]:
    unsure = [harm for harm in harms if not harm.high < harm.tolerance]
    scored = next((h.interval for h in harms if h.interval.metric == "quality"), None)
    few = scored is not None and min(scored.trial_n, scored.control_n) < guardrails.scored_min
    lasted = trial.last_minute - trial.step_minute + 1
    if trial.last_minute - trial.started_minute >= guardrails.timeout_minutes:
        return "timeout", unsure[0].interval.metric if unsure else "", "the trial's time is over without a verdict"
    if few:
        return "hold", "quality", f"fewer than {guardrails.scored_min} scored answers in a slice"
    if unsure:
        widest = max(unsure, key=lambda harm: harm.high / harm.tolerance if harm.tolerance else math.inf)
        return "hold", widest.interval.metric, "harm beyond the tolerance is not excluded yet"
    if not harms:
        return "hold", "", "no metric is judged"
    if min(lasted, trial.step_panes) < guardrails.step_minutes:
        return "hold", "", f"{trial.step_panes} of {guardrails.step_minutes} complete minutes on this step"
    return "safe", "", "every bound of harm is inside its tolerance"


def _harms(evidence: Evidence, guardrails: Guardrails, *, admission: bool) -> list[_Harm]:
    alphas = guardrails.harm_alpha, guardrails.safe_alpha(admission=admission)
    return [_harm(metric, getattr(evidence, metric), guardrails, alphas) for metric in guardrails.judged]


def change(metric: str, contrast: Contrast) -> Difference:
    """Trial minus control on the scale of the rule: points, log latency, ratio of mean cost - 1."""
    if metric == "cost":
        return ratio(contrast, floor=_LOG_FLOOR)
    if metric == "latency":
        return difference(contrast, floor=_LOG_FLOOR)
    return difference(contrast, bounded=True)


def _harm(metric: str, contrast: Contrast, guardrails: Guardrails, alphas: tuple[float, float]) -> _Harm:
    """Bounds of harm of one metric: the lower one at the error of a rollback, the upper one at that of a promotion."""
    closed = close(contrast)
    moved = change(metric, closed)
    enough = min(closed.trial.n, closed.control.n) >= guardrails.n_min
    below, above = (_width(moved, alpha, guardrails.n_star) if enough else math.inf for alpha in alphas)
    tolerance = guardrails.tolerance(metric) or 0.0
    sign = -1.0 if metric == "quality" else 1.0
    harm = sign * moved.estimate
    interval = _shown(metric, moved.estimate, *((below, above) if sign > 0 else (above, below)))
    interval = msgspec.structs.replace(
        interval,
        n=moved.n,
        trial_n=closed.trial.n,
        control_n=closed.control.n,
        tolerance=tolerance,
        harm_p=p_value(harm, moved.n, moved.variance, alphas[0], guardrails.n_star, sides=1) if enough else 1.0,
    )
    limit = math.log1p(tolerance) if metric == "latency" else tolerance
    return _Harm(harm - below, harm + above, limit, interval)


def _width(moved: Difference, alpha: float, n_star: float) -> float:
    return half_width(moved.n, moved.variance, alpha, n_star, sides=1, df=moved.df)


def _shown(metric: str, estimate: float, below: float, above: float) -> Interval:
    unit = math.expm1 if metric == "latency" else float
    low = unit(estimate - below) if math.isfinite(below) else None
    high = unit(min(estimate + above, _LARGEST)) if math.isfinite(above) else None
    return Interval(metric, unit(estimate), low, high)


def reward_p(evidence: Evidence, objective: Objective, guardrails: Guardrails) -> float:
    """Always-valid p-value of "the reward is the same", two-sided, by the mixture of ``guardrails``; 1 without data."""
    moved = _reward(evidence, objective)
    if moved is None:
        return 1.0
    return p_value(moved.estimate, moved.n, moved.variance, guardrails.alpha, guardrails.n_star)


def reward_interval(evidence: Evidence, objective: Objective, guardrails: Guardrails) -> Interval | None:
    """Two-sided interval of the reward difference at ``alpha``; None while a component that counts has no data.

    The composite is of means, its component variances are added (STATISTICS 3); ``n`` is the smallest component's.
    """
    moved = _reward(evidence, objective)
    if moved is None:
        return None
    width = half_width(moved.n, moved.variance, guardrails.alpha, guardrails.n_star, df=moved.df)
    quality = close(evidence.quality)
    counts = (quality.trial.n, quality.control.n) if objective.quality else (0, 0)
    return Interval("reward", moved.estimate, moved.estimate - width, moved.estimate + width, moved.n, *counts)


def _reward(evidence: Evidence, objective: Objective) -> Difference | None:
    parts = [(slope, moved) for slope, moved in _components(evidence, objective) if slope]
    if any(moved.n <= 0.0 or not math.isfinite(moved.variance) for _, moved in parts) or not parts:
        return None
    estimate = sum(slope * moved.estimate for slope, moved in parts)
    square_error = sum(slope * slope * moved.variance / moved.n for slope, moved in parts)
    n, df = min(moved.n for _, moved in parts), min(moved.df for _, moved in parts)
    return Difference(estimate, square_error * n, n, df)


def _components(evidence: Evidence, objective: Objective) -> list[tuple[float, Difference]]:
    """(slope, difference) of every mean of the reward, linearised at the control's quality and error rate."""
    errors, quality = close(evidence.errors), close(evidence.quality)
    good = 1.0 - errors.control.total / max(1, errors.control.n)
    score = quality.control.total / max(1, quality.control.n)
    return [
        (objective.quality * good, difference(quality, bounded=True)),
        (-objective.quality * score, difference(errors, bounded=True)),
        (-objective.cost / objective.cost_max_usd, difference(evidence.cost)),
        (-objective.latency / objective.latency_max_ms, _latency_ms(evidence)),
    ]


def _latency_ms(evidence: Evidence) -> Difference:
    """Absolute latency, its variance carried over from the logarithm as for a lognormal."""
    closed, logs = close(evidence.latency_ms), close(evidence.latency)
    raw, log = difference(closed), difference(logs, floor=_LOG_FLOOR)
    if raw.n <= 0.0 or log.n <= 0.0:
        return Difference()
    spread = max(variance_of(logs.trial, floor=_LOG_FLOOR), variance_of(logs.control, floor=_LOG_FLOOR))
    mean = max(side.total / side.n for side in (closed.trial, closed.control))
    if not math.isfinite(spread):
        return Difference()
    return Difference(raw.estimate, log.variance * lognormal_variance(mean, spread) / spread, raw.n, log.df)
