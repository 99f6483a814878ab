"""The within-minute contrast: against closed forms, against regression, whatever the order of the groups."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cell import SESSION_GROUPS
from app.core.stats.within_minute import (
    BLOCK_GROUPS,
    BLOCK_N,
    Contrast,
    Sample,
    Side,
    add,
    close,
    difference,
    observe,
    ratio,
    variance_of,
)

pytestmark = pytest.mark.simulation

Minutes = list[tuple[Sample, Sample]]


def sample(values: "np.ndarray", groups: "np.ndarray | None" = None) -> Sample:
    kept = [] if groups is None else sorted(set(groups.tolist()))
    by_group = tuple((g, int((groups == g).sum()), float(values[groups == g].sum())) for g in kept)
    return Sample(len(values), float(values.sum()), float((values * values).sum()), by_group)


def fed(minutes: Minutes) -> Contrast:
    contrast = Contrast()
    for trial, control in minutes:
        contrast = observe(contrast, trial, control)
    return contrast


def test_it_is_the_least_squares_effect_with_a_level_for_every_minute() -> None:
    rng = np.random.default_rng(1)
    minutes, rows, y = [], [], []
    for t in range(12):
        sides = [rng.normal(5 * t + 0.7 * side, 1, int(rng.integers(BLOCK_N, 60))) for side in (1, 0)]
        minutes.append((sample(sides[0]), sample(sides[1])))
        for side, values in zip((1, 0), sides, strict=True):
            for value in values:
                rows.append([float(side)] + [float(t == m) for m in range(12)])
                y.append(value)
    (effect, *_), residual, *_ = np.linalg.lstsq(np.array(rows), np.array(y), rcond=None)
    found = difference(fed(minutes))
    assert found.estimate == pytest.approx(effect)
    design = np.array(rows)
    wanted = residual[0] / (len(y) - 13) * np.linalg.inv(design.T @ design)[0, 0]
    assert found.variance / found.n == pytest.approx(wanted, rel=0.05)


def test_what_moves_both_slices_together_cancels() -> None:
    rng = np.random.default_rng(2)
    noise = [(rng.normal(0, 1, 20 + 30 * (t % 2)), rng.normal(0, 1, 40)) for t in range(40)]
    flat = difference(fed([(sample(a), sample(b)) for a, b in noise]))
    steep = difference(fed([(sample(a + t), sample(b + t)) for t, (a, b) in enumerate(noise)]))
    assert steep.estimate == pytest.approx(flat.estimate)
    assert steep.variance == pytest.approx(flat.variance)


def test_thin_minutes_are_joined_so_that_none_is_lost() -> None:
    one, nothing = Sample(1, 0.5, 0.25), Sample()
    thin = fed([(one, nothing) if t % 2 else (nothing, one) for t in range(2 * BLOCK_N)])
    assert thin.trial.n == thin.control.n == BLOCK_N
    assert difference(thin).n == BLOCK_N / 2


def test_a_block_ends_with_its_step_and_one_sided_blocks_say_nothing() -> None:
    contrast = close(fed([(Sample(5, 1.0, 1.0), Sample(5, 2.0, 2.0))]))
    assert (contrast.trial.n, contrast.open_trial) == (5, Sample())
    alone = close(fed([(Sample(50, 1.0, 1.0), Sample())]))
    assert alone == Contrast()
    assert difference(alone).n == 0


def test_equal_values_are_not_taken_for_certainty() -> None:
    perfect = Sample(100, 100.0, 100.0)
    found = difference(fed([(perfect, perfect)]), bounded=True)
    assert found.estimate == 0
    assert found.variance == pytest.approx(1 / 100, rel=0.05)
    assert difference(fed([(perfect, perfect)]), floor=0.01).variance == pytest.approx(0.01)


def test_a_ratio_is_relative_to_the_control_and_needs_a_positive_one() -> None:
    rng = np.random.default_rng(3)
    minutes = [(sample(rng.gamma(4, 3 + t, 50)), sample(rng.gamma(4, 2.5 + t / 1.2, 50))) for t in range(30)]
    found = ratio(fed(minutes))
    assert found.estimate == pytest.approx(0.2, abs=0.06)
    zero = Sample(50, 0.0, 0.0)
    assert ratio(fed([(zero, zero)])).n == 0


def test_the_ratios_error_is_what_repeated_samples_show() -> None:
    rng = np.random.default_rng(4)
    found = [ratio(fed([(sample(rng.gamma(4, 3, 60)), sample(rng.gamma(4, 2, 40)))] * 1)) for _ in range(800)]
    claimed = np.mean([f.variance / f.n for f in found])
    assert np.var([f.estimate for f in found]) == pytest.approx(claimed, rel=0.15)


@pytest.mark.parametrize("size", [1, 5, 20])
def test_sessions_widen_the_error_as_much_as_they_should(size: int) -> None:
    rng, ratios = np.random.default_rng(size), []
    for _ in range(100):
        minutes = []
        for _ in range(4):
            sides = []
            for _ in range(2):
                sessions = 120 // size
                groups = np.repeat(rng.integers(SESSION_GROUPS, size=sessions), size)
                values = np.repeat(rng.normal(size=sessions), size) * 0.7 + 0.7 * rng.normal(size=120)
                sides.append(sample(values, groups))
            minutes.append((sides[0], sides[1]))
        found = difference(fed(minutes))
        ratios.append(found.estimate / math.sqrt(found.variance / found.n))
    assert np.std(ratios) == pytest.approx(1, abs=0.2)


def test_sticky_blocks_wait_for_enough_session_groups() -> None:
    few = Sample(BLOCK_N, 1.0, 1.0, tuple((g, 2, 0.1) for g in range(BLOCK_GROUPS - 1)))
    assert fed([(few, few)]).trial.n == 0
    many = Sample(BLOCK_N, 1.0, 1.0, tuple((g, 2, 0.1) for g in range(BLOCK_GROUPS)))
    assert fed([(many, many)]).trial.n == BLOCK_N


def test_a_block_of_one_session_says_nothing() -> None:
    one = Sample(50, 10.0, 10.0, ((3, 50, 10.0),))
    assert difference(fed([(one, one)])).n == 0


def test_variance_needs_two_observations() -> None:
    assert variance_of(Side()) == math.inf
    assert variance_of(Side(1, 1.0, 1.0, 1)) == math.inf


groups = st.dictionaries(st.integers(0, 63), st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=12).map(
    lambda found: tuple((g, n, float(total)) for g, (n, total) in sorted(found.items()))
)
samples = st.builds(
    lambda n, total, gs: Sample(n + sum(g[1] for g in gs), float(total), float(total * total), gs),
    st.integers(0, 40), st.integers(0, 40), groups,
)  # fmt: skip


@settings(max_examples=25)
@given(samples, samples, samples)
def test_samples_add_up_in_any_order(a: Sample, b: Sample, c: Sample) -> None:
    assert add(add(a, b), c) == add(a, add(b, c)) == add(c, add(b, a))


@settings(max_examples=25)
@given(st.lists(st.tuples(samples, samples), max_size=12))
def test_any_input_gives_a_finite_or_an_empty_answer_and_survives_storage(minutes: Minutes) -> None:
    contrast = fed(minutes)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(contrast), type=Contrast)
    assert stored == contrast
    for found in (difference(stored), difference(stored, bounded=True), ratio(stored, floor=1e-4)):
        assert math.isfinite(found.estimate)
        assert found.variance >= 0
        assert found.n >= 0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_sticky_sessions_that_never_differ_are_as_sure_as_requests_that_never_do(value):
    """A service without a single error could never end a trial: no session group had a score to tell apart."""
    grouped = plain = Contrast()
    for _ in range(40):
        groups = tuple((group, 4, 4 * value) for group in range(10))
        grouped = observe(
            grouped, Sample(40, 40 * value, 40 * value, groups), Sample(40, 40 * value, 40 * value, groups)
        )
        plain = observe(plain, Sample(40, 40 * value, 40 * value), Sample(40, 40 * value, 40 * value))
    assert difference(grouped, bounded=True) == difference(plain, bounded=True)
    assert difference(grouped, bounded=True).variance < 0.01


def test_sessions_of_one_group_still_say_nothing():
    alone = ((7, 40, 0.0),)
    contrast = observe(Contrast(), Sample(40, 0.0, 0.0, alone), Sample(40, 0.0, 0.0, alone))
    assert difference(contrast, bounded=True).n == 0.0
