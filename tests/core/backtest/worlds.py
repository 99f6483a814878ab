"""Tables to play on."""

import numpy as np

from app.core.backtest.table import Floats, Table


def table(qualities=(0.3, 0.6, 0.8), n=3000, seed=1, segments=1, best_by_segment=0.0, latency=False) -> Table:
    """Arms of these qualities at equal cost; in segment s, arm s modulo arms is better by ``best_by_segment``."""
    rng = np.random.default_rng(seed)
    arms = len(qualities)
    segment = rng.integers(segments, size=n)
    level = np.tile(qualities, (n, 1))
    level[np.arange(n), segment % arms] += best_by_segment
    return Table(
        arms=tuple(f"arm{i}" for i in range(arms)),
        quality=(rng.random((n, arms)) < level).astype(float),
        cost=rng.gamma(4, 0.0005, (n, arms)),
        latency=rng.lognormal(6, 0.5, (n, arms)) if latency else None,
        segment=segment,
        segments=tuple(f"s{i}" for i in range(segments)),
    )


def logged(full: Table, shares: Floats, seed: int = 2) -> Table:
    """A log of ``full``: one arm called per request, with the probabilities ``shares`` (requests x arms)."""
    rng = np.random.default_rng(seed)
    arm = (rng.random((full.requests, 1)) > np.cumsum(shares, axis=1)).sum(axis=1)
    empty = np.ones_like(full.quality, dtype=bool)
    empty[np.arange(full.requests), arm] = False

    def only(values: Floats) -> Floats:
        return np.where(empty, np.nan, values)

    return Table(full.arms, only(full.quality), only(full.cost), None, full.segment, full.segments)
