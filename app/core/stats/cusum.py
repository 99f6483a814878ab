"""Batch CUSUM: has the mean of a metric moved? Once per closed pane, from its sums.

    up = max(0, up + d (sum z - n d / 2)),  down = max(0, down - d (sum z + n d / 2)),  z = (x - mean) / sd

is Page's CUSUM (Biometrika 1954) of the reference k = d / 2, in nats: 2 k times the customary S. It is the likelihood
ratio of a shift by d, so panes of any size add up, and the alarm level hardly depends on traffic. d is ``SHIFT``
standard deviations, less in large panes, whose means are known better (``PANE_SHIFT`` standard errors of a pane), but
never so little that the error of the reference itself looks like a shift (``REFERENCE_SHIFT`` of its standard errors).
Evidence of m observations against a reference of N counts for N / (N + m) of itself, as in a comparison of two samples.
Sums are all that is kept of a pane: batches alarm less often than single samples, and at most about a pane later.
Latency and cost are given as logarithms.

At one observation a pane: .09 false alarms per 1,000, a shift of half a standard deviation found after 47 (measured in
docs/evidence/calibration.md); k = .25, h = 16, the usual choice, takes 10 % longer.

>>> state = Cusum()
>>> for x in range(1100): state = update(state, Sums(1, x % 2, x % 2))
>>> alarm(state)
False
>>> alarm(update(state, Sums(100, 100.0, 100.0)))
True
"""

import math

import msgspec

from app.core.stats.reference import Normal, Sums, forgot_recent, learned, scale

SHIFT = 0.48
PANE_SHIFT = 1.0
REFERENCE_SHIFT = 4.0
LIMIT = 7.4
LARGEST = 1e9
"""No evidence counts for more, so that states stay finite."""


class Cusum(msgspec.Struct, frozen=True, array_like=True):
    """State of one metric. ``up``, ``down``: evidence in nats, 0 at rest; ``n_up``, ``n_down``: observations since that
    was last 0 (about how long ago the change began); ``skipped``: panes whose sums were no numbers.
    """

    normal: Normal = Normal()
    up: float = 0.0
    down: float = 0.0
    n_up: int = 0
    n_down: int = 0
    skipped: int = 0


def update(
    state: Cusum, pane: Sums, *, limit: float = LIMIT, floor: float = 0.0, above: float = 0.0, below: float = 0.0
) -> Cusum:
    """Add a closed pane. Empty panes change nothing; sums that cannot be are counted and left out.

    ``floor``: least standard deviation of one observation. ``limit``: from here on nothing is learned as normal.
    ``above``, ``below``: how far the mean may rise and fall without being called moved (infinite: in any case); a mean
    that swings inside them, as over a day, alarms no more often than one that stands still.
    """
    if not pane.usable:
        return state if pane.n == 0 else msgspec.structs.replace(state, skipped=state.skipped + 1)
    normal = state.normal
    if not normal.ready:
        return msgspec.structs.replace(state, normal=learned(normal, pane))
    reference = normal.reference
    sigma = scale(reference, floor) * math.sqrt(reference.dispersion)
    d, z, n = shift(pane.n, reference.n), (pane.total - pane.n * reference.mean) / sigma, pane.n
    up = _step(state.up + d * (z - n * above / sigma - 0.5 * d * n))
    down = _step(state.down - d * (z + n * below / sigma + 0.5 * d * n))
    n_up, n_down = (state.n_up + pane.n if up else 0), (state.n_down + pane.n if down else 0)
    grown = Cusum(normal, up, down, n_up, n_down, state.skipped)
    kept = forgot_recent(normal) if alarm(grown, limit) else learned(normal, pane)
    return msgspec.structs.replace(grown, normal=kept)


def alarm(state: Cusum, limit: float = LIMIT) -> bool:
    """Whether the mean has moved, up or down."""
    return (state.up >= limit or state.down >= limit) and evidence(state) >= limit  # evidence is never more than both


def level(state: Cusum, limit: float = LIMIT) -> float:
    """Share of the way to an alarm, in [0, 1]; 1 means alarm."""
    return min(1.0, evidence(state) / limit)


def evidence(state: Cusum) -> float:
    """Nats for a shift up or down, whichever is more, less what the error of the reference may explain."""
    n = state.normal.reference.n
    return max(state.up * n / (n + state.n_up), state.down * n / (n + state.n_down)) if n else 0.0


def restarted(state: Cusum) -> Cusum:
    """After an alarm: same reference, no evidence."""
    return Cusum(forgot_recent(state.normal), skipped=state.skipped)


def rebaselined(state: Cusum) -> Cusum:
    """After an accepted change: what comes next is the new normal."""
    return Cusum(skipped=state.skipped)


def shift(n: float, reference_n: float = math.inf) -> float:
    """The shift, in standard deviations of one observation, that panes of ``n`` observations are tuned to find against
    a reference of ``reference_n``.
    """
    return min(SHIFT, max(PANE_SHIFT / math.sqrt(n), REFERENCE_SHIFT / math.sqrt(reference_n)))


def arl_panes(limit: float, samples_per_pane: float = 1.0) -> float:
    """Average panes to a false alarm, both sides, of independent values (Siegmund's approximation, 1985)."""
    d = shift(samples_per_pane) * math.sqrt(samples_per_pane)
    reach = limit + 1.166 * d
    return math.inf if reach > 700.0 else (math.exp(reach) - reach - 1.0) / (d * d)


def limit_for(panes: float, samples_per_pane: float = 1.0) -> float:
    """The level with this average run in panes (to 1e-9), at least 1."""
    low, high = 1.0, 700.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if arl_panes(middle, samples_per_pane) >= panes else (middle, high)
    return high


def _step(value: float) -> float:
    return min(LARGEST, max(0.0, value))
