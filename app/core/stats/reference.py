"""What is normal: mean and spread of a metric, learned from closed panes before anything is called a change.

The first ``READY_N`` observations in at least ``READY_PANES`` panes make the reference. While nothing alarms it grows
to ``LIMIT_N`` and ``LIMIT_PANES``, but each block of observations waits until a whole further block has passed without
an alarm, so that the beginning of a change is not learned as normal. Then it stands still: slow drift must not carry it
along.

Panes whose means scatter more than their observations explain (sessions, a mix that moves) are *overdispersed*: when
that is certain at 1 % (chi-squared, Wilson and Hilferty, 1931), sums are scaled down by the square root of the factor.

>>> normal = Normal()
>>> for x in range(1000): normal = learned(normal, Sums(1, x % 2, x % 2))
>>> normal.ready, normal.reference.mean
(True, 0.5)
"""

import math
from functools import lru_cache

import msgspec

READY_N = 1000
READY_PANES = 10
BLOCK_N = 1000
LIMIT_N = 20_000
LIMIT_PANES = 200
BIGGEST = 1e100
"""Sums beyond are taken for damage: their squares would not be numbers."""

_Z_99 = 2.326


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Number, sum and sum of squares of the observations of one pane, or of many; addition is associative."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def sound(self) -> bool:
        """Whether these can be sums of observations: finite, not absurd (``BIGGEST``), squares not negative."""
        return self.n >= 0 and abs(self.total) <= BIGGEST and 0.0 <= self.squares <= BIGGEST

    @property
    def usable(self) -> bool:
        """Whether the pane is sound and holds observations."""
        return self.n > 0 and self.sound


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """Sums over panes; ``between`` = sum over panes of total^2 / n."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0
    panes: int = 0
    between: float = 0.0

    def __add__(self, other: "Reference") -> "Reference":
        return Reference(
            self.n + other.n,
            self.total + other.total,
            self.squares + other.squares,
            self.panes + other.panes,
            self.between + other.between,
        )

    @property
    def mean(self) -> float:
        """Mean of the observations; 0 without any."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Variance of one observation; 0 below two."""
        return max(0.0, self.squares - self.total * self.mean) / (self.n - 1) if self.n > 1 else 0.0

    @property
    def dispersion(self) -> float:
        """Factor >= 1 by which the variance of pane sums exceeds that of independent observations."""
        n, df = self.n, self.panes - 1
        if df < READY_PANES - 1 or n <= 1 or n == df + 1:
            return 1.0
        expected = self.total * (self.total / n)
        variance = (self.squares - expected) / (n - 1)
        if variance <= 0.0:
            return 1.0
        factor = (self.between - expected) / (df * variance)
        return factor if factor > _certain(df) else 1.0


class Normal(msgspec.Struct, frozen=True, array_like=True):
    """State: the reference, the block that waits, and the block being filled."""

    reference: Reference = Reference()
    waiting: Reference = Reference()
    filling: Reference = Reference()

    @property
    def ready(self) -> bool:
        """Whether there is enough to compare with."""
        return self.reference.n >= READY_N and self.reference.panes >= READY_PANES


@lru_cache(maxsize=1024)
def _certain(df: int) -> float:
    """From which factor on overdispersion is certain at 1 %."""
    return (1.0 - 2.0 / (9.0 * df) + _Z_99 * math.sqrt(2.0 / (9.0 * df))) ** 3


def with_pane(reference: Reference, pane: Sums) -> Reference:
    """``reference`` with one usable pane more."""
    n, total = pane.n, pane.total
    return Reference(
        reference.n + n,
        reference.total + total,
        reference.squares + pane.squares,
        reference.panes + 1,
        reference.between + total * total / n,
    )


def learned(normal: Normal, pane: Sums) -> Normal:
    """Add a usable pane in which nothing alarmed."""
    reference = normal.reference
    if not normal.ready:
        return Normal(with_pane(reference, pane))
    if reference.n >= LIMIT_N and reference.panes >= LIMIT_PANES:
        return normal
    filling = with_pane(normal.filling, pane)
    if filling.n < BLOCK_N or filling.panes < READY_PANES:
        return Normal(normal.reference, normal.waiting, filling)
    return Normal(normal.reference + normal.waiting, filling)


def forgot_recent(normal: Normal) -> Normal:
    """The reference without the blocks that wait: after an alarm they are not normal."""
    return Normal(normal.reference)


def scale(reference: Reference, floor: float = 0.0) -> float:
    """Standard deviation of one observation, not below ``floor`` nor below 1e-9 of the mean, so never 0."""
    return max(math.sqrt(reference.variance), floor, 1e-9 * abs(reference.mean), 1e-12)
