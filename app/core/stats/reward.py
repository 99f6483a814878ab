"""The reward of an arm: a composite of means (DESIGN 7, STATISTICS 3).

    reward = w_quality * quality * (1 - error rate)
           + w_cost * (1 - cost / cost_max) + w_latency * (1 - latency / latency_max)

Means, never single requests: cost and score come in different events. An answer that failed is worth no quality, or an
arm that only fails would look cheap and fast. Variances of the component means are added.
"""

import math

import msgspec


class Objective(msgspec.Struct, frozen=True, array_like=True):
    """What counts. Weights sum to 1; ``cost_max_usd`` and ``latency_max_ms`` earn nothing; ``channel``: scores by."""

    quality: float = 0.6
    cost: float = 0.3
    latency: float = 0.1
    cost_max_usd: float = 0.02
    latency_max_ms: float = 10_000.0
    channel: str = "judge"


def composite(
    objective: Objective, quality: float, cost_usd: float, latency_ms: float, error_rate: float = 0.0
) -> float:
    """Reward of the four means; at most 1, below 0 when cost or latency exceed their maximum by much."""
    return (
        objective.quality * quality * (1.0 - error_rate)
        + objective.cost * (1.0 - cost_usd / objective.cost_max_usd)
        + objective.latency * (1.0 - latency_ms / objective.latency_max_ms)
    )


def lognormal_variance(mean: float, log_variance: float) -> float:
    """Variance of a lognormal of this mean: the squares of latencies are not kept, those of their logarithms are."""
    return mean * mean * math.expm1(min(log_variance, 10.0))
