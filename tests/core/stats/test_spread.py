"""CUSUM of the variance."""

import math

import numpy as np
import pytest

from app.core.stats import spread
from app.core.stats.reference import Normal, Reference, Sums

KNOWN = Normal(Reference(20_000, 0.0, 19_999.0, 20_000, 19_999.0))


def test_the_evidence_is_the_likelihood_ratio_of_twice_the_variance() -> None:
    x, total, state = np.random.default_rng(1).normal(0.0, 1.3, 200), 0.0, spread.Spread(KNOWN)
    for value in x:
        state = spread.update(state, Sums(1, float(value), float(value**2)))
        total = max(0.0, total + value**2 / 4 - math.log(2) / 2)
        assert state.evidence == pytest.approx(total)


@pytest.mark.parametrize("n", [1, 10, 50])
def test_twice_the_variance_is_found_within_a_hundred_samples(n: int) -> None:
    delays = []
    for seed in range(15):
        rng, state, seen = np.random.default_rng(seed), spread.Spread(KNOWN), 0
        while not spread.alarm(state):
            x = rng.normal(0.0, math.sqrt(2), n)
            state, seen = spread.update(state, Sums(n, float(x.sum()), float((x * x).sum()))), seen + n
        delays.append(seen)
    assert np.median(delays) <= 100


def test_less_scatter_is_no_alarm() -> None:
    state = spread.Spread(KNOWN)
    for _ in range(200):
        state = spread.update(state, Sums(50, 0.0, 1.0))
    assert state.evidence == 0.0


def test_levels_rise_with_the_run_asked_for_and_restarts_forget() -> None:
    assert 1.0 == spread.limit_for(1.0) < spread.limit_for(1e3) < spread.limit_for(1e5)
    loud = spread.update(spread.Spread(KNOWN), Sums(100, 0.0, 500.0))
    assert spread.alarm(loud) and spread.level(loud) == 1.0
    assert spread.restarted(loud) == spread.Spread(KNOWN) and spread.rebaselined(loud) == spread.Spread()
