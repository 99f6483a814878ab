"""Does the traffic of a gateway that caches follow a new split yet? Told by counts of requests per model.

The newest requests are taken until they tell the new shares from the old ones: their likelihood ratio reaches 1,000
(Wald, Sequential Analysis, 1947, with floors for shares of zero), and no model is off by an exact binomial test. A
gateway of several processes follows one process after the other: what is mixed does not fit.
"""

from collections.abc import Mapping, Sequence
from math import log

from app.core.stats.binomial import two_sided

LOG_RATIO = log(1_000)
FLOOR = 0.005
"""Least share a model counts with: retries and fall-backs reach models that a split does not name."""
REQUESTS_MIN = 20
P_VALUE = 0.001

Counts = Mapping[str, int]
Shares = Mapping[str, float]


def follows(new: Shares, old: Shares, newest_first: Sequence[Counts]) -> bool:
    """Whether the newest requests, bucket by bucket, are those of ``new`` rather than of ``old``."""
    total: dict[str, int] = {}
    for bucket in newest_first:
        for model, n in bucket.items():
            total[model] = total.get(model, 0) + n
        if sum(total.values()) >= REQUESTS_MIN and log_ratio(new, old, total) >= LOG_RATIO and fits(new, total):
            return True
    return False


def fits(shares: Shares, counts: Counts) -> bool:
    """Whether counts are what ``shares`` give, by an exact binomial test of every model. No requests fit any shares."""
    n = sum(counts.values())
    models = shares.keys() | counts.keys()
    return all(two_sided(counts.get(model, 0), n, _floored(shares, model)) >= P_VALUE for model in models)


def log_ratio(new: Shares, old: Shares, counts: Counts) -> float:
    """How much likelier the counts are under ``new`` than under ``old``, as a natural logarithm."""
    return sum(n * log(_floored(new, model) / _floored(old, model)) for model, n in counts.items())


def _floored(shares: Shares, model: str) -> float:
    return min(1.0 - FLOOR, max(FLOOR, shares.get(model, 0.0)))
