import numpy as np
import pytest

from app.core.backtest.ope import constant, estimates, propensities
from app.core.backtest.play import Played
from app.core.backtest.score import estimated
from app.core.backtest.table import Table, objective_of, rewards
from tests.core.backtest.worlds import logged, table


def shares_of(full: Table, skewed: bool) -> np.ndarray:
    """A log that prefers arm 0 where the segment is 0, arm 2 elsewhere."""
    even = np.full((full.requests, 3), 1 / 3)
    if not skewed:
        return even
    return np.where((full.segment == 0)[:, None], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7])


@pytest.mark.simulation
@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("arm", range(3))
def test_intervals_cover_the_truth_of_a_fixed_arm(skewed, arm):
    missed = {"inverse_propensity": 0, "doubly_robust": 0}
    for seed in range(60):
        full = table(n=600, seed=seed, segments=2, best_by_segment=0.15)
        log = logged(full, shares_of(full, skewed), seed=100 + seed)
        found = constant(log, log.quality, np.arange(600))[arm]
        truth = full.quality[:, arm].mean()
        for road in missed:
            estimate = getattr(found, road)
            missed[road] += not estimate.low <= truth <= estimate.high
    assert max(missed.values()) <= 8  # 5 % of 60 is 3; 9 or more has probability < .5 %


def test_replay_is_misled_by_an_uneven_log_and_the_others_are_not():
    errors = []
    for seed in range(20):
        full = table((0.5, 0.5, 0.5), n=2000, seed=seed, segments=2, best_by_segment=0.4)
        log = logged(full, shares_of(full, True), seed=seed)
        found = constant(log, log.quality, np.arange(2000))[0]
        truth = full.quality[:, 0].mean()
        errors.append(
            [found.replay.value - truth, found.inverse_propensity.value - truth, found.doubly_robust.value - truth]
        )
    replay, inverse, robust = np.abs(np.mean(errors, axis=0))
    assert replay > 0.1
    assert inverse < 0.02
    assert robust < 0.02


def test_a_good_model_narrows_the_doubly_robust_interval():
    full = table((0.05, 0.5, 0.95), n=2000)
    log = logged(full, shares_of(full, False))
    chosen = np.random.default_rng(1).integers(3, size=2000)
    found = estimates(log, log.quality, Played(np.arange(2000), chosen))
    width = found.doubly_robust.high - found.doubly_robust.low
    assert width < found.inverse_propensity.high - found.inverse_propensity.low


def test_on_a_full_table_all_three_roads_are_the_mean():
    full = table(n=500)
    found = estimates(full, full.quality, Played(np.arange(500), np.ones(500, int)))
    for estimate in (found.replay, found.inverse_propensity, found.doubly_robust):
        assert estimate.value == pytest.approx(full.quality[:, 1].mean())
        assert estimate.n == 500


def test_given_propensities_are_used_and_others_are_shares_by_segment():
    full = table(n=4000, segments=2)
    log = logged(full, shares_of(full, True))
    found = propensities(log)
    assert found[full.segment == 0].mean(axis=0) == pytest.approx([0.7, 0.2, 0.1], abs=0.04)
    given = Table(log.arms, log.quality, log.cost, None, log.segment, log.segments, propensity=np.full(4000, 0.25))
    assert (propensities(given)[log.called] == 0.25).all()


def test_what_was_never_matched_is_not_a_number_but_the_model_still_speaks():
    full = table(n=50)
    log = logged(full, np.tile([0.5, 0.5, 0.0], (50, 1)))
    found = constant(log, log.quality, np.arange(50))[2]
    assert np.isnan(found.replay.value)
    assert np.isnan(found.inverse_propensity.low)
    assert found.replay.n == 0
    assert np.isfinite(found.doubly_robust.value)


def test_the_result_of_a_log_is_near_that_of_the_full_table():
    full = table(n=4000)
    log = logged(full, shares_of(full, False))
    objective = objective_of(full)
    found = estimated("x", log, objective, Played(np.arange(4000), np.full(4000, 2)))
    means = rewards(full, objective).mean(axis=0)
    assert found.reward.doubly_robust.low < means[2] < found.reward.doubly_robust.high
    assert found.best_fixed.arm == "arm2"
    assert found.random_reward_mean == pytest.approx(means.mean(), abs=0.03)
    assert found.cost_usd == pytest.approx(full.cost[:, 2].sum(), rel=0.05)
    assert found.logged
