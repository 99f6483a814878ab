"""Variance of a mean whose observations come in sessions: between session groups (Liang and Zeger, 1986).

The sessions of a service are hashed into 64 groups, independently of every draw of arms, so groups are independent of
each other whatever goes on inside one. With z_g and n_g the sum and number of group g and m the mean of all,

    V = G / (G - 1) sum_g (z_g - m n_g)^2 / sum_g n_g

is the variance of one observation that the error of the mean behaves as. Pure; units are those of the observations.
"""

import math

import msgspec

from app.core.cell import SESSION_GROUPS

FEWEST = 16
"""Groups with observations below which nothing is said of the variance between them."""


class Grouped(msgspec.Struct, frozen=True, array_like=True):
    """Sums by session group: ``n`` observations and their total ``z``; both empty or 64 long."""

    n: tuple[float, ...] = ()
    z: tuple[float, ...] = ()

    def added(self, n: dict[int, float], z: dict[int, float]) -> "Grouped":
        """These sums with those of more requests, by group."""
        if not n and not z:
            return self
        return Grouped(_added(self.n, n), _added(self.z, z))

    @property
    def total(self) -> float:
        """Observations in groups."""
        return sum(self.n)

    def variance(self, mean: float) -> float:
        """V above around ``mean``; infinite with fewer than ``FEWEST`` groups."""
        seen = [(n, z) for n, z in zip(self.n, self.z, strict=True) if n or z]
        if len(seen) < FEWEST or self.total <= 0:
            return math.inf
        squares = sum((z - mean * n) ** 2 for n, z in seen)
        return squares * len(seen) / (len(seen) - 1) / self.total


def design_effect(single: float, grouped: Grouped, mean: float, share: float) -> float:
    """How many times the variance of independent observations (``single``) the real one is; at least 1.

    ``share``: part of all observations that belong to a session; the rest are independent.
    """
    if share <= 0.0:
        return 1.0
    between = grouped.variance(mean) if grouped.n else math.inf
    if single <= 0.0 or not math.isfinite(between):
        return 1.0 if between == 0.0 else math.inf
    return max(1.0, min(1.0, share) * between / single + max(0.0, 1.0 - share))


def _added(old: tuple[float, ...], more: dict[int, float]) -> tuple[float, ...]:
    sums = list(old or (0.0,) * SESSION_GROUPS)
    for group in sorted(more):
        sums[group % SESSION_GROUPS] += more[group]
    return tuple(sums)
