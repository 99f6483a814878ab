"""Batch e-detector: E is an e-value, so the average run is bounded."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from app.core.stats import e_detector
from app.core.stats.e_detector import ODDS, EDetector
from app.core.stats.reference import Normal, Reference

rates = st.floats(0.001, 0.95)


def e_values(n: int, p: float, odds: float) -> np.ndarray:
    """E of every count from 0 to n, from one update of a state at rest: M + 1 = 1 + E."""
    i = ODDS.index(odds)
    return np.array([math.exp(e_detector.update(EDetector(), float(k), n, rate=p).logs[i]) - 1 for k in range(n + 1)])


@settings(max_examples=25)
@given(st.integers(1, 60), rates, st.sampled_from(ODDS))
def test_the_mean_of_e_is_one_at_the_promised_rate_and_less_below(n: int, p: float, odds: float) -> None:
    values, k = e_values(n, p, odds), np.arange(n + 1)
    assert values @ binom.pmf(k, n, p) == pytest.approx(1.0, rel=1e-6)
    assert values @ binom.pmf(k, n, 0.7 * p) <= 1.0


@settings(max_examples=25)
@given(rates, st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=2, max_size=6), st.sampled_from(ODDS))
def test_it_stays_one_for_any_values_between_0_and_1(p: float, values: list[tuple[float, float]], odds: float) -> None:
    x = np.array([v for v, _ in values])
    weights = np.array([w for _, w in values])
    weights /= weights.sum()
    x *= min(1.0, p / max(1e-12, float(weights @ x)))  # a mean of at most p
    i = ODDS.index(odds)
    e = [math.exp(e_detector.update(EDetector(), float(v), 1, rate=p).logs[i]) - 1 for v in x]
    assert float(weights @ np.array(e)) <= 1.0 + 1e-9


def test_panes_build_the_recursion_of_the_paper() -> None:
    counts, p = [(3, 20), (0, 5), (9, 30), (2, 2)], 0.1
    m, state = [0.0] * len(ODDS), EDetector()
    for bad, n in counts:
        q = [o * p / (1 - p + o * p) for o in ODDS]
        ratios = [(a / p) ** bad * ((1 - a) / (1 - p)) ** (n - bad) for a in q]
        m = [(old + 1) * e for old, e in zip(m, ratios, strict=True)]
        state = e_detector.update(state, bad, n, rate=p)
        assert math.exp(e_detector.log_level(state)) == pytest.approx(sum(m) / len(m))


@pytest.mark.simulation
def test_the_average_run_in_panes_is_at_least_the_level() -> None:
    limit, alarms, panes = 200.0, 0, 12_000
    state = EDetector()
    for bad in np.random.default_rng(2).binomial(20, 0.1, size=panes).tolist():
        state = e_detector.update(state, bad, 20, rate=0.1, limit=limit)
        if e_detector.alarm(state, limit):
            alarms, state = alarms + 1, e_detector.restarted(state)
    assert panes / max(1, alarms) >= limit


def test_a_learned_rate_is_taken_on_the_safe_side_more_so_for_higher_levels() -> None:
    normal = Normal(Reference(1000, 100.0, 100.0, 1000, 100.0))
    assert 0.1 < e_detector.expected_rate(normal, 1e2) < e_detector.expected_rate(normal, 1e6) < 0.13
    never = Normal(Reference(1000, 0.0, 0.0, 1000, 0.0))
    always = Normal(Reference(1000, 1000.0, 1000.0, 1000, 1000.0))
    assert 0.0 < e_detector.expected_rate(never) < e_detector.expected_rate(always) < 1.0


def test_a_fall_of_quality_is_found_and_a_rise_is_not_an_alarm() -> None:
    state = EDetector(Normal(Reference(5000, 500.0, 500.0, 5000, 500.0)))
    fallen = better = state
    for _ in range(10):
        fallen, better = e_detector.update(fallen, 20.0, 100), e_detector.update(better, 1.0, 100)
    assert e_detector.alarm(fallen) and e_detector.level(fallen) == 1.0
    assert e_detector.level(better) < 0.2
    assert e_detector.rebaselined(fallen) == EDetector()


def test_a_rate_may_rise_by_what_is_idle() -> None:
    state = EDetector()
    for _ in range(60):
        state = e_detector.update(state, 10, 100)
    plain = idle = state
    for _ in range(40):
        plain, idle = e_detector.update(plain, 15, 100), e_detector.update(idle, 15, 100, idle=0.05)
    assert e_detector.alarm(plain) and not e_detector.alarm(idle)
