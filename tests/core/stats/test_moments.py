"""Posterior of an arm's mean reward."""

import numpy as np
import pytest

from app.core.cell import Cell, Score
from app.core.stats.moments import ArmSums, add, means_of, overall, posterior, sums_of
from app.core.stats.reward import Objective, composite

OBJECTIVE = Objective(cost_max_usd=0.02, latency_max_ms=10_000)


def sums(n: int, quality: float, cost: float, seed: int = 1) -> ArmSums:
    rng = np.random.default_rng(seed)
    q, c, ms = rng.random(n) < quality, rng.gamma(2, cost / 2, n), rng.lognormal(6, 0.5, n)
    logs = np.log(ms)
    parts = n, 0, ms.sum(), logs.sum(), (logs**2).sum(), n, c.sum(), (c * c).sum(), n, q.sum(), q.sum()
    return ArmSums(*map(float, parts))


def test_an_arm_without_evidence_is_the_prior_with_the_doubt_of_one_observation() -> None:
    prior = overall(sums(500, 0.8, 0.004))
    blank, known = posterior(ArmSums(), prior, OBJECTIVE), posterior(sums(500, 0.8, 0.004), prior, OBJECTIVE)
    assert blank.mean == pytest.approx(known.mean, abs=0.01)
    assert blank.variance > 100 * known.variance


def test_the_posterior_error_is_what_repeated_samples_show() -> None:
    prior = overall(sums(5000, 0.8, 0.004))
    found = [posterior(sums(300, 0.8, 0.004, seed), prior, OBJECTIVE) for seed in range(400)]
    assert np.var([p.mean for p in found]) == pytest.approx(np.mean([p.variance for p in found]), rel=0.2)


def test_an_arm_that_only_fails_earns_no_quality_however_cheap_and_fast() -> None:
    assert composite(OBJECTIVE, 0.9, 0.0, 10.0, error_rate=1.0) < composite(OBJECTIVE, 0.5, 0.01, 2000.0)


def test_without_any_score_quality_is_a_constant_for_all() -> None:
    unscored = ArmSums(n=50.0, latency_ms=50_000.0, log_latency=345.0, log_latency_sq=2400.0)
    prior = overall(unscored)
    assert means_of(ArmSums(), prior).quality == means_of(unscored, prior).quality == 0.5
    assert posterior(ArmSums(), prior, OBJECTIVE).variance < 0.01


def test_a_cell_becomes_sums_of_the_wanted_channel() -> None:
    cell = Cell(n=3, cost_n=2, cost_usd=0.5, quality={"judge": Score(2, 1.5, 1.25), "user": Score(1, 0.0, 0.0)})
    assert sums_of(cell, "judge").quality == 1.5
    assert sums_of(cell, "user").scores == 1
    assert sums_of(cell, "implicit").scores == 0
    assert add(sums_of(cell, "judge"), sums_of(cell, "judge")).cost_n == 4
