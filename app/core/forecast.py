"""How long a trial will take, said before it begins: every proposal states ``expected_minutes``."""

import math

import msgspec

from app.core.cell import Cell
from app.core.stats.confidence import pairs_needed
from app.core.trial import STEPS, Guardrails, shares


class Stage(msgspec.Struct, frozen=True):
    """A part of a trial: shares of both slices, whether it is left by an admission, its shortest stay in minutes.
    ``fresh``: what came before is no evidence here.
    """

    trial: float
    control: float
    admission: bool
    minutes: int
    fresh: bool = False


class Spread(msgspec.Struct, frozen=True, array_like=True):
    """What decides the length of a trial: variance of one observation per metric and scores per request.

    ``latency`` of the logarithm, ``cost`` relative to its squared mean. Defaults are those of an unknown service.
    """

    quality: float = 0.09
    latency: float = 0.36
    errors: float = 0.01
    cost: float = 1.0
    score_rate: float = 1.0


def spread_of(cell: Cell, channel: str = "judge") -> Spread:
    """The spread seen in the traffic so far; what has under 20 observations keeps its default."""
    score, unknown = cell.quality.get(channel), Spread()
    quality = _variance(score.n, score.total, score.squares) if score else None
    cost = _variance(cell.cost_n, cell.cost_usd, cell.cost_sq)
    mean_cost = cell.cost_usd / cell.cost_n if cell.cost_n else 0.0
    errors = _variance(cell.n, cell.errors, cell.errors)
    latency = _variance(cell.n, cell.log_latency, cell.log_latency_sq)
    return Spread(
        quality=unknown.quality if quality is None else quality,
        latency=unknown.latency if latency is None else latency,
        errors=unknown.errors if errors is None else errors,
        cost=unknown.cost if cost is None or mean_cost <= 0.0 else cost / mean_cost**2,
        score_rate=unknown.score_rate if score is None or cell.n == 0 else min(1.0, score.n / cell.n),
    )


def expected_minutes(
    guardrails: Guardrails, requests_per_minute: float, spread: Spread, stages: tuple[Stage, ...] = ()
) -> float | None:
    """Event-time minutes until a change without any effect is admitted; None without traffic or scores.

    ``stages`` default to those of a canary. An average case: a change that is better takes less, one that costs part
    of the tolerance takes longer.
    """
    minutes = pairs = 0.0
    for stage in stages or _canary(guardrails):
        per_minute = requests_per_minute * stage.trial * stage.control / (stage.trial + stage.control)
        pairs = 0.0 if stage.fresh else pairs
        needed = _requests(guardrails, spread, admission=stage.admission)
        if needed == math.inf or (needed and per_minute <= 0.0):
            return None
        stay = max(stage.minutes, (needed - pairs) / per_minute if needed > pairs else 0.0)
        minutes += stay
        pairs += stay * per_minute
    return round(minutes, 1)


def _canary(guardrails: Guardrails) -> tuple[Stage, ...]:
    return tuple(Stage(*shares(step), admission=step == STEPS[-1], minutes=guardrails.step_minutes) for step in STEPS)


def _requests(guardrails: Guardrails, spread: Spread, *, admission: bool) -> float:
    """Effective pairs of requests until the slowest metric's bound is inside its tolerance."""
    alpha = guardrails.safe_alpha(admission=admission)
    needed = 0.0
    for metric in guardrails.judged:
        tolerance = guardrails.tolerance(metric) or 0.0
        width = math.log1p(tolerance) if metric == "latency" else tolerance
        rate = spread.score_rate if metric == "quality" else 1.0
        variance = max(1e-4, getattr(spread, metric))
        pairs = pairs_needed(width, variance, alpha, guardrails.n_star, sides=1)
        scored = guardrails.scored_min / 2 if metric == "quality" else 0.0
        needed = max(needed, max(pairs, scored) / rate if rate > 0.0 else math.inf)
    return needed


def _variance(n: int, total: float, squares: float) -> float | None:
    return max(0.0, squares - total * total / n) / (n - 1) if n >= 20 else None
