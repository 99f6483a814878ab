"""Batch CUSUM of the mean: the published recursion, calibrated, and not fooled by its own reference."""

import math

import numpy as np
import pytest

from app.core.stats import cusum
from app.core.stats.reference import LIMIT_N, Normal, Reference, Sums

KNOWN = Normal(Reference(LIMIT_N, 0.0, float(LIMIT_N - 1), LIMIT_N, float(LIMIT_N - 1)))
"""Mean 0, standard deviation 1."""


def panes(x: np.ndarray) -> list[Sums]:
    return [Sums(len(row), float(row.sum()), float((row * row).sum())) for row in np.atleast_2d(x)]


def test_single_samples_follow_pages_recursion() -> None:
    x, k, up, down = np.random.default_rng(1).normal(0.1, 1.0, 300), cusum.SHIFT / 2, 0.0, 0.0
    state = cusum.Cusum(KNOWN)
    for value in x:
        state = cusum.update(state, Sums(1, float(value), float(value**2)))
        up, down = max(0.0, up + value - k), max(0.0, down - value - k)
        assert state.up == pytest.approx(2 * k * up) and state.down == pytest.approx(2 * k * down)


@pytest.mark.parametrize("n", [1, 10, 100, 1000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_shift_of_half_a_deviation_is_found_up_and_down(n: int, sign: int) -> None:
    rng, state, seen = np.random.default_rng(n), cusum.Cusum(KNOWN), 0
    while not cusum.alarm(state):
        state = cusum.update(state, panes(rng.normal(0.5 * sign, 1.0, n))[0])
        seen += n
    assert seen <= 150 + 2 * n
    assert (state.up > state.down) == (sign > 0)


def test_where_the_change_began_is_remembered() -> None:
    rng, state = np.random.default_rng(3), cusum.Cusum(KNOWN)
    for x in rng.normal(size=500):
        state = cusum.update(state, Sums(1, float(x), float(x * x)))
    state = cusum.Cusum(KNOWN)
    for i in range(40):
        state = cusum.update(state, Sums(1, 1.0, 1.0))
        assert state.n_up == i + 1 and state.n_down == 0


def test_evidence_counts_for_less_against_a_short_reference() -> None:
    short = Normal(Reference(1000, 0.0, 999.0, 1000, 999.0))
    assert cusum.evidence(cusum.Cusum(KNOWN, up=9.0, n_up=500)) == pytest.approx(9.0 * 20_000 / 20_500)
    assert cusum.evidence(cusum.Cusum(short, down=9.0, n_down=500)) == pytest.approx(6.0)


def test_a_change_is_not_learned_as_normal() -> None:
    state, rng = cusum.Cusum(), np.random.default_rng(4)
    for pane in panes(rng.normal(size=(30, 100))):
        state = cusum.update(state, pane)
    for pane in panes(rng.normal(0.5, 1.0, size=(30, 100))):
        state = cusum.update(state, pane)
    assert cusum.alarm(state) and abs(state.normal.reference.mean) < 0.1
    assert not cusum.alarm(cusum.restarted(state)) and cusum.restarted(state).normal.reference == state.normal.reference
    assert cusum.rebaselined(state) == cusum.Cusum()


def test_overdispersed_panes_count_for_less() -> None:
    rng, loud = np.random.default_rng(5), 0
    state = cusum.Cusum()
    for _ in range(300):
        x = rng.normal(size=100) + 0.3 * rng.normal()
        state = cusum.update(state, panes(x)[0])
        loud += cusum.alarm(state)
        state = cusum.restarted(state) if cusum.alarm(state) else state
    assert loud <= 1


def test_the_average_run_is_siegmunds_and_the_level_its_inverse() -> None:
    d, limit = cusum.SHIFT, 7.4
    reach = d * (limit / d + 1.166)  # 2 k (h + 1.166) with k = d / 2 and h = limit / d
    assert cusum.arl_panes(limit) == pytest.approx((math.exp(reach) - reach - 1) / d**2)
    for run in (100.0, 10_000.0, 1e6):
        assert cusum.arl_panes(cusum.limit_for(run, 100), 100) == pytest.approx(run, rel=1e-6)
    assert cusum.limit_for(1.0) == pytest.approx(1.0) and cusum.arl_panes(1e6) == math.inf


@pytest.mark.simulation
def test_the_measured_run_is_near_the_stated_one() -> None:
    rng, alarms, limit = np.random.default_rng(6), 0, cusum.limit_for(500.0)
    state = cusum.Cusum(KNOWN)
    for x in rng.normal(size=20_000).tolist():
        state = cusum.update(state, Sums(1, x, x * x), limit=limit)
        if cusum.alarm(state, limit):
            alarms, state = alarms + 1, cusum.restarted(state)
    assert 380 < 20_000 / alarms < 700


def test_the_shift_looked_for_is_less_in_large_panes_but_not_below_what_the_reference_knows() -> None:
    assert cusum.shift(1) == cusum.SHIFT
    assert cusum.shift(100) == pytest.approx(0.1)
    assert cusum.shift(10_000, 1600) == pytest.approx(0.1)


def test_a_mean_that_stays_inside_what_is_no_move_does_not_alarm_and_one_beyond_does() -> None:
    state = cusum.Cusum()
    for _ in range(60):
        state = cusum.update(state, Sums(100, 0.0, 100.0))
    inside = beyond = plain = state
    for _ in range(60):
        plain = cusum.update(plain, Sums(100, 30.0, 109.0))
        inside = cusum.update(inside, Sums(100, 30.0, 109.0), above=0.3, below=0.3)
        beyond = cusum.update(beyond, Sums(100, 60.0, 136.0), above=0.3, below=0.3)
    assert cusum.alarm(plain) and not cusum.alarm(inside) and inside.up == 0.0 and cusum.alarm(beyond)
    assert not cusum.alarm(cusum.update(state, Sums(100, 9e9, 9e19), above=math.inf))
