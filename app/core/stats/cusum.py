"""Batch CUSUM: has the mean of a metric moved? Once per closed pane, from its sums.

    up = max(0, up + sum z - k n),  down = max(0, down - sum z - k n),  z = (x - mean) / sd of the reference

(Page, Biometrika 1954, on batches; the alarm comes when either reaches h.) Sums are all that is kept of a pane, so the
path inside it is not seen: batches alarm less often than single samples and at most one pane later. Latency and cost
are given as logarithms. z is in standard deviations, k and h too.

With k = .24 and h = 15.3: .09 false alarms per 1,000 samples, a shift of half a standard deviation found after 47
samples (docs/evidence/calibration.md; ``arl`` by Siegmund, 1985). The usual k = .25, h = 16 is 10 % slower.

>>> state = Cusum()
>>> for x in range(1100): state = update(state, Sums(1, x % 2, x % 2))
>>> alarm(state)
False
>>> alarm(update(state, Sums(40, 40.0, 40.0)))
True
"""

import math

import msgspec

from app.core.stats.reference import Normal, Sums, forgot_recent, learned, scale

K = 0.24
H = 15.3
FLOOR = 0.0
LARGEST = 1e9
"""No evidence counts for more, so that states stay finite."""


class Cusum(msgspec.Struct, frozen=True, array_like=True):
    """State of one metric. ``up`` and ``down``: evidence in standard deviations, 0 at rest; ``n``: observations since
    the later of both was last 0 (how long ago the change may have begun); ``skipped``: panes that were not numbers.
    """

    normal: Normal = Normal()
    up: float = 0.0
    down: float = 0.0
    n_up: int = 0
    n_down: int = 0
    skipped: int = 0


def update(state: Cusum, pane: Sums, *, k: float = K, h: float = H, floor: float = FLOOR) -> Cusum:
    """Add a closed pane. Empty panes change nothing; sums that are not finite are counted and left out.

    ``floor``: least standard deviation of one observation. ``h``: from here on nothing is learned as normal.
    """
    if not pane.usable:
        return msgspec.structs.replace(state, skipped=state.skipped + 1) if pane.n > 0 else state
    normal = state.normal
    if not normal.ready:
        return msgspec.structs.replace(state, normal=learned(normal, pane))
    reference = normal.reference
    sigma = scale(reference, floor) * math.sqrt(reference.dispersion)
    z = (pane.total - pane.n * reference.mean) / sigma
    up, down = _step(state.up + z - k * pane.n), _step(state.down - z - k * pane.n)
    return Cusum(
        normal=learned(normal, pane) if max(up, down) < h else forgot_recent(normal),
        up=up,
        down=down,
        n_up=state.n_up + pane.n if up > 0.0 else 0,
        n_down=state.n_down + pane.n if down > 0.0 else 0,
        skipped=state.skipped,
    )


def alarm(state: Cusum, h: float = H) -> bool:
    """Whether the mean has moved, up or down."""
    return max(state.up, state.down) >= h


def level(state: Cusum, h: float = H) -> float:
    """Share of the way to an alarm, in [0, 1]; 1 means alarm."""
    return min(1.0, max(state.up, state.down) / h)


def restarted(state: Cusum) -> Cusum:
    """After an alarm: same reference, no evidence."""
    return Cusum(forgot_recent(state.normal), skipped=state.skipped)


def rebaselined(state: Cusum) -> Cusum:
    """After an accepted change: what comes next is the new normal."""
    return Cusum(skipped=state.skipped)


def arl(h: float, k: float = K) -> float:
    """Average run length to a false alarm in independent samples, both sides (Siegmund's approximation, 1985)."""
    reach = 2.0 * k * (h + 1.166)
    return math.inf if reach > 700.0 else (math.exp(reach) - reach - 1.0) / (4.0 * k * k)


def limit_for(arl_samples: float, k: float = K) -> float:
    """The h with this average run length in samples (relative error of h below 1e-9); at least 1."""
    low, high = 1.0, 400.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if arl(middle, k) >= arl_samples else (middle, high)
    return high


def _step(value: float) -> float:
    return min(LARGEST, max(0.0, value))
