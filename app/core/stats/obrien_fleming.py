"""O'Brien-Fleming bounds by spending: planned looks and a planned maximum, at about the price of one fixed test.

Until a share t of the planned information is in, the error spent is alpha*(t) = 4 (1 - Phi(z_{alpha/4} / sqrt(t))),
half of it on either side (Lan and DeMets, Biometrika 1983); the bound at each look is the one that spends exactly that,
given the looks before (recursive integration of Armitage, McPherson, Rowe, JRSS A 1969). Looks may fall at other shares
than planned: what counts is when they happened, not what they showed. Use the confidence sequence where no maximum is
planned.

>>> [round(z, 2) for z in bounds((0.2, 0.4, 0.6, 0.8, 1.0))]
[4.88, 3.36, 2.68, 2.29, 2.03]
"""

import math
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.core.stats import normal

Array = NDArray[np.float64]
_POINTS = 401
_HIGHEST = 8.0
"""No bound above: P(|z| > 8) is 1e-15, less than anything a look may spend."""
_LEAST_STEP = 1e-6
LOOKS = 100
"""Most looks of one plan."""


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """``n_max``: observations (per arm, or pairs) at which the test ends; ``alpha``: two-sided error of all looks."""

    n_max: float
    alpha: float = 0.05


class Looks(msgspec.Struct, frozen=True, array_like=True):
    """State: shares of information at the looks so far, whether one of them crossed its bound, and the newest z.

    ``skipped``: looks without new information, beyond the last one, or with a z that is no number.
    """

    shares: tuple[float, ...] = ()
    crossed: bool = False
    z: float = 0.0
    bound: float = math.inf
    skipped: int = 0


def update(state: Looks, plan: Plan, n: float, z: float) -> Looks:
    """Look after ``n`` observations at a difference of ``z`` standard errors; the look at ``n_max`` is the last."""
    share = min(1.0, n / plan.n_max) if math.isfinite(n) else 0.0
    last = state.shares[-1] if state.shares else 0.0
    if math.isnan(z) or share < last + _LEAST_STEP or len(state.shares) >= LOOKS:
        return msgspec.structs.replace(state, skipped=state.skipped + 1)
    shares = (*state.shares, share)
    bound = bounds(shares, plan.alpha)[-1]
    return Looks(shares, state.crossed or abs(z) >= bound, max(-1e9, min(1e9, z)), bound, state.skipped)


def alarm(state: Looks) -> bool:
    """Whether a difference is certain."""
    return state.crossed


def spent(share: float, alpha: float = 0.05) -> float:
    """Error that may be spent until this share (0 to 1) of the planned information."""
    if share <= 0.0:
        return 0.0
    return 4.0 * normal.tail(normal.quantile(1.0 - alpha / 4.0) / math.sqrt(min(1.0, share)))


@lru_cache(maxsize=256)
def bounds(shares: tuple[float, ...], alpha: float = 0.05) -> tuple[float, ...]:
    """The bound on |z| at each look. ``ValueError`` unless shares rise within (0, 1] and 0 < alpha < 1."""
    if not 0.0 < alpha < 1.0 or list(shares) != sorted(set(shares)) or not all(0.0 < t <= 1.0 for t in shares):
        raise ValueError(f"looks need rising shares within (0, 1] and 0 < alpha < 1, got {shares} and {alpha}")
    found: list[float] = []
    grid, density = np.zeros(1), np.ones(1)  # the score process starts at 0; density holds integration weights
    before = used = 0.0
    for share in shares:
        step, allowed = math.sqrt(share - before), spent(share, alpha)
        bound = _bound(grid, density, step, math.sqrt(share), allowed - used)
        found.append(bound)
        grid, density = _advanced(grid, density, step, bound * math.sqrt(share))
        before, used = share, max(used, allowed)
    return tuple(found)


def _bound(grid: Array, density: Array, step: float, root: float, allowed: float) -> float:
    low, high = 0.0, _HIGHEST
    while high - low > 1e-7:
        middle = 0.5 * (low + high)
        leaving = 2.0 * float(density @ _tails((middle * root - grid) / step))  # the density is symmetric
        low, high = (middle, high) if leaving > allowed else (low, middle)
    return high


def _advanced(grid: Array, density: Array, step: float, edge: float) -> tuple[Array, Array]:
    """Density of the score among the paths that stay inside, times Simpson's weights."""
    points = np.linspace(-edge, edge, _POINTS)
    weights = np.full(_POINTS, 2.0)
    weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
    weights *= (points[1] - points[0]) / 3.0
    moved = np.exp(-0.5 * ((points[:, None] - grid[None, :]) / step) ** 2) / (step * math.sqrt(2.0 * math.pi))
    return points, weights * (moved @ density)


def _tails(z: Array) -> Array:
    return np.array([normal.tail(float(value)) for value in z])
