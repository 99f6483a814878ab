"""The A/B rule: valid at every look, for any number of challengers."""

import numpy as np
import pytest

from app.core.stats import ab
from app.core.stats.ab import Experiment, Rule
from app.core.stats.confidence import half_width
from app.core.stats.reference import Sums


def good(n: int, k: float) -> Sums:
    return Sums(n, float(k), float(k))


def test_the_difference_its_variance_and_pairs_are_those_of_two_means() -> None:
    estimate, variance, n = ab.pairs_of(good(1000, 800), good(250, 210), Rule(bounded=False))
    p, q = 0.8, 0.84
    assert estimate == pytest.approx(q - p) and n == pytest.approx(400)
    assert variance / n == pytest.approx(p * (1 - p) / 999 + q * (1 - q) / 249)


def test_one_challenger_is_decided_exactly_when_its_interval_leaves_zero() -> None:
    for gain in range(0, 200, 5):
        state = ab.update(Experiment(), good(2000, 1600), (good(2000, 1600 + gain),))
        (found,) = ab.compared(state)
        assert found.low is not None and found.decided == (found.low > 0)
        assert ab.alarm(state) == found.decided


def test_intervals_are_wider_with_more_challengers() -> None:
    rule, arm = Rule(), good(2000, 1650)
    state = ab.update(Experiment(), good(2000, 1600), (arm, arm, arm))
    estimate, variance, n = ab.pairs_of(good(2000, 1600), arm)
    first = ab.compared(state)[0]
    assert first.high is not None
    assert first.high - first.estimate == pytest.approx(half_width(n, variance, rule.alpha / 3, rule.n_star))
    assert estimate == first.estimate


def test_a_decision_stays_although_the_difference_shrinks() -> None:
    decided = ab.update(Experiment(), good(2000, 1500), (good(2000, 1700),))
    later = ab.update(decided, good(4000, 3400), (good(4000, 3220),))
    assert ab.alarm(decided) and ab.alarm(later) and later.p_values == decided.p_values


def test_the_winner_is_the_best_that_is_certainly_better() -> None:
    state = ab.update(
        Experiment(), good(4000, 3200), (good(4000, 3380), good(4000, 3500), good(4000, 3210), good(4000, 2800))
    )
    assert [c.decided for c in ab.compared(state)] == [True, True, False, True]
    assert ab.winner(state) == 1
    assert ab.winner(ab.update(Experiment(), good(4000, 3200), (good(4000, 2800),))) is None
    assert ab.discoveries(state) == (True, True, False, True)


def test_nothing_is_said_before_every_arm_has_enough() -> None:
    state = ab.update(Experiment(), good(5000, 0), (good(99, 99),))
    (found,) = ab.compared(state)
    assert (found.low, found.high, found.p_value, found.n) == (None, None, 1.0, 0.0)


def test_equal_values_are_not_certainty_when_values_are_bounded() -> None:
    state = ab.update(Experiment(), good(100, 100), (good(100, 100),))
    (found,) = ab.compared(state)
    assert found.high is not None and found.high > 0.01


def test_the_number_of_challengers_is_fixed() -> None:
    state = ab.update(Experiment(), good(10, 5), (good(10, 5),))
    with pytest.raises(ValueError, match="1 challengers, this look has 2"):
        ab.update(state, good(1, 1), (good(1, 1), good(1, 1)))


def test_order_of_looks_does_not_change_the_sums() -> None:
    looks = [(good(100, 80), (good(100, 83),)), (good(300, 250), (good(280, 210),))]
    a, b = Experiment(), Experiment()
    for look in looks:
        a = ab.update(a, *look)
    for look in reversed(looks):
        b = ab.update(b, *look)
    assert (a.control, a.challengers) == (b.control, b.challengers)


@pytest.mark.simulation
def test_without_a_difference_watching_seldom_finds_one() -> None:
    rng, found = np.random.default_rng(1), 0
    for _ in range(80):
        state = Experiment()
        for counts in rng.binomial(200, 0.8, size=(60, 4)).tolist():
            control, *arms = (good(200, k) for k in counts)
            state = ab.update(state, control, tuple(arms))
        found += ab.alarm(state)
    assert found / 80 <= 0.05
