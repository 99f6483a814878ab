"""What is known of an arm in a segment: sums of its reward's components, and the posterior of its mean reward.

Every component has its own number of observations. The prior is the running mean of all arms, worth one observation
(``PRIOR_N``); variances borrow ``PRIOR_DF`` degrees of freedom from all arms. Units: USD, ms, quality in [0, 1].
"""

from collections.abc import Iterable
from functools import reduce

import msgspec

from app.core.cell import Cell
from app.core.stats.reward import Objective, composite, lognormal_variance

PRIOR_N = 1.0
PRIOR_DF = 5.0


class ArmSums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over requests: errors, latency and its logarithm, cost where known, scores of one channel."""

    n: float = 0.0
    errors: float = 0.0
    latency_ms: float = 0.0
    log_latency: float = 0.0
    log_latency_sq: float = 0.0
    cost_n: float = 0.0
    cost_usd: float = 0.0
    cost_sq: float = 0.0
    scores: float = 0.0
    quality: float = 0.0
    quality_sq: float = 0.0


class Means(msgspec.Struct, frozen=True, array_like=True):
    """Component means and the variances of one observation (``log_latency``: variance of the logarithm)."""

    quality: float = 0.5
    quality_var: float = 0.0
    cost: float = 0.0
    cost_var: float = 0.0
    latency: float = 0.0
    log_var: float = 0.0
    errors: float = 0.0


class Posterior(msgspec.Struct, frozen=True, array_like=True):
    """Mean reward, the variance of that mean, and the requests behind it."""

    mean: float = 0.0
    variance: float = 0.0
    n: float = 0.0


def sums_of(cell: Cell, channel: str) -> ArmSums:
    """The sums of a closed pane's cell (costs priced), quality from one score channel."""
    score = cell.quality.get(channel)
    scored = (score.n, score.total, score.squares) if score else (0, 0.0, 0.0)
    return ArmSums(
        cell.n, cell.errors, cell.latency_ms, cell.log_latency, cell.log_latency_sq,
        cell.cost_n, cell.cost_usd, cell.cost_sq, *scored,
    )  # fmt: skip


def add(a: ArmSums, b: ArmSums) -> ArmSums:
    """Sum of both."""
    return ArmSums(
        a.n + b.n,
        a.errors + b.errors,
        a.latency_ms + b.latency_ms,
        a.log_latency + b.log_latency,
        a.log_latency_sq + b.log_latency_sq,
        a.cost_n + b.cost_n,
        a.cost_usd + b.cost_usd,
        a.cost_sq + b.cost_sq,
        a.scores + b.scores,
        a.quality + b.quality,
        a.quality_sq + b.quality_sq,
    )


def total_of(parts: Iterable[ArmSums]) -> ArmSums:
    """Sum of all; of none it is 0."""
    return reduce(add, parts, ArmSums())


def means_of(sums: ArmSums, prior: Means = Means()) -> Means:  # noqa: B008  frozen, so a shared default is safe
    """Posterior component means around ``prior``; variances with ``PRIOR_DF`` of the prior's."""
    quality, quality_var = _mean(sums.scores, sums.quality, sums.quality_sq, prior.quality, prior.quality_var)
    cost, cost_var = _mean(sums.cost_n, sums.cost_usd, sums.cost_sq, prior.cost, prior.cost_var)
    log = sums.log_latency / sums.n if sums.n else 0.0
    _, log_var = _mean(sums.n, sums.log_latency, sums.log_latency_sq, log, prior.log_var)
    n = sums.n + PRIOR_N
    latency, errors = (sums.latency_ms + PRIOR_N * prior.latency) / n, (sums.errors + PRIOR_N * prior.errors) / n
    return Means(quality, quality_var, cost, cost_var, latency, log_var, errors)


def mean_cost(sums: ArmSums, prior: float) -> float:
    """The cost of ``means_of`` alone: posterior mean around ``prior``, USD."""
    return (sums.cost_usd + PRIOR_N * prior) / (sums.cost_n + PRIOR_N)


def overall(sums: ArmSums) -> Means:
    """Plain means and variances of all arms together: the prior. Without scores quality is a constant."""
    quality, quality_var = _plain(sums.scores, sums.quality, sums.quality_sq, 0.5)
    cost, cost_var = _plain(sums.cost_n, sums.cost_usd, sums.cost_sq, 0.0)
    _, log_var = _plain(sums.n, sums.log_latency, sums.log_latency_sq, 0.0)
    n = max(1.0, sums.n)
    return Means(quality, quality_var, cost, cost_var, sums.latency_ms / n, log_var, sums.errors / n)


def reward_of(means: Means, objective: Objective) -> float:
    """Composite reward of these means."""
    return composite(objective, means.quality, means.cost, means.latency, means.errors)


def posterior(sums: ArmSums, prior: Means, objective: Objective) -> Posterior:
    """Posterior of the mean reward; component variances are added."""
    means = means_of(sums, prior)
    return Posterior(
        reward_of(means, objective),
        error_of(means, objective, sums.scores + PRIOR_N, sums.cost_n + PRIOR_N, sums.n + PRIOR_N),
        sums.n,
    )


def error_of(means: Means, objective: Objective, scores: float, costs: float, n: float) -> float:
    """Variance of the composite of means of so many observations; a component without any adds nothing."""
    w, m = objective, means
    of_request = (w.quality * m.quality) ** 2 * m.errors * (1.0 - m.errors)
    of_request += (w.latency / w.latency_max_ms) ** 2 * lognormal_variance(m.latency, m.log_var)
    return (
        ((w.quality * (1.0 - m.errors)) ** 2 * m.quality_var / scores if scores > 0.0 else 0.0)
        + ((w.cost / w.cost_max_usd) ** 2 * m.cost_var / costs if costs > 0.0 else 0.0)
        + (of_request / n if n > 0.0 else 0.0)
    )


def _mean(n: float, total: float, squares: float, mean: float, variance: float) -> tuple[float, float]:
    own = max(0.0, squares - total * total / n) if n else 0.0
    return (total + PRIOR_N * mean) / (n + PRIOR_N), (own + PRIOR_DF * variance) / (max(0.0, n - 1.0) + PRIOR_DF)


def _plain(n: float, total: float, squares: float, default: float) -> tuple[float, float]:
    if n < 1:
        return default, 0.0
    return total / n, max(0.0, squares - total * total / n) / max(1.0, n - 1.0)
