"""What is normal: learned, delayed, bounded, and wider where panes scatter more than their observations."""

import numpy as np
import pytest

from app.core.stats.reference import (
    LIMIT_N,
    READY_N,
    READY_PANES,
    Normal,
    Reference,
    Sums,
    forgot_recent,
    learned,
    scale,
    with_pane,
)


def fed(normal: Normal, x: np.ndarray, n: int) -> Normal:
    for row in x.reshape(-1, n):
        normal = learned(normal, Sums(n, float(row.sum()), float((row * row).sum())))
    return normal


def test_mean_and_variance_are_those_of_the_observations() -> None:
    x = np.random.default_rng(1).normal(3.0, 2.0, READY_N)
    reference = fed(Normal(), x, 100).reference
    assert reference.mean == pytest.approx(x.mean())
    assert reference.variance == pytest.approx(x.var(ddof=1))


def test_it_is_ready_with_enough_observations_in_enough_panes() -> None:
    assert not fed(Normal(), np.ones(READY_N - 1), 1).ready
    assert fed(Normal(), np.ones(READY_N), 1).ready
    assert not fed(Normal(), np.ones(9 * 10_000), 10_000).ready
    assert fed(Normal(), np.ones(READY_PANES * 10_000), 10_000).ready


def test_a_block_waits_until_the_next_one_is_full_too() -> None:
    before = fed(Normal(), np.zeros(1000), 10)
    one = fed(before, np.full(1000, 5.0), 10)
    assert one.reference == before.reference and one.waiting.n == 1000
    assert forgot_recent(one) == before
    assert fed(one, np.zeros(1000), 10).reference.mean == 2.5


def test_it_stands_still_once_it_is_large_enough() -> None:
    full = fed(Normal(), np.zeros(LIMIT_N + 2000), 50)
    assert full.reference.n == LIMIT_N
    assert fed(full, np.ones(5000), 50).reference == full.reference


def test_panes_that_move_together_are_overdispersed_and_independent_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    plain = rng.normal(size=(40, 50))
    moving = plain + 0.3 * rng.normal(size=(40, 1))
    assert fed(Normal(), plain.ravel(), 50).reference.dispersion == 1.0
    assert 3.0 < fed(Normal(), moving.ravel(), 50).reference.dispersion < 9.0


def test_single_observations_cannot_be_overdispersed() -> None:
    assert fed(Normal(), np.random.default_rng(3).normal(size=READY_N), 1).reference.dispersion == 1.0


@pytest.mark.parametrize(
    ("pane", "usable"),
    [(Sums(3, 1.0, 2.0), True), (Sums(), False), (Sums(2, 0.0, -1.0), False), (Sums(-1, 0.0, 1.0), False),
     (Sums(2, float("nan"), 1.0), False), (Sums(2, 1.0, float("inf")), False), (Sums(2, 1e200, 1.0), False)],
)  # fmt: skip
def test_sums_that_cannot_be_are_not_used(pane: Sums, usable: bool) -> None:
    assert pane.usable is usable


def test_the_scale_has_a_floor_and_is_never_zero() -> None:
    constant = Reference(1000, 3000.0, 9000.0, 10, 9000.0)
    assert scale(constant) == pytest.approx(3e-9)
    assert scale(constant, floor=0.5) == 0.5
    assert scale(Reference()) > 0.0
    assert with_pane(Reference(), Sums(4, 8.0, 20.0)).between == 16.0
