import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.analyze.rolling import FLOOR, WINDOW, InterquartileRange, MedianDeviation, ZScore
from app.core.analyze.scored import NOTHING
from app.core.stats.robust import LIMITS, WARM, score_of

RULES = [ZScore, InterquartileRange, MedianDeviation]


def sd(window):
    mean = math.fsum(window) / len(window)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in window) / (len(window) - 1))


@pytest.mark.parametrize("rule", RULES)
@given(
    values=st.lists(st.integers(-50, 50) | st.floats(-100, 100), min_size=WARM + 1, max_size=90),
    window=st.integers(40, 60),
)
@settings(max_examples=10, deadline=None)
def test_scores_are_those_of_the_rule_on_the_window(rule, values, window):
    detector = rule(window=window)
    for i, value in enumerate(values):
        score = detector.step(0.0, float(value)).score
        before = tuple(map(float, values[max(0, i - window) : i]))
        if len(before) < WARM:
            assert score == 0.0
        elif sd(before) > 1e-3:
            assert score == pytest.approx(
                score_of(detector.rule, before, value, floor=FLOOR * sd(before)), rel=1e-6, abs=1e-6
            )


@pytest.mark.parametrize("rule", RULES)
def test_an_outlier_alerts_and_a_constant_does_not(rule):
    random = Random(3)
    detector = rule()
    assert sum(detector.step(0.0, 4.2).alert for _ in range(200)) == 0
    detector = rule()
    for _ in range(200):
        detector.step(0.0, random.gauss(0.0, 1.0))
    assert detector.step(0.0, 12.0).alert
    assert detector.threshold == LIMITS[detector.rule]


@pytest.mark.parametrize("rule", RULES)
def test_equal_points_do_not_make_the_next_one_infinitely_strange(rule):
    detector = rule()
    for i in range(500):
        detector.step(0.0, float(i % 50 == 0))
    assert detector.step(0.0, 1.0).score < 100.0


@pytest.mark.parametrize("rule", RULES)
def test_a_huge_value_is_forgotten_with_its_window(rule):
    random = Random(4)
    detector = rule()
    for i in range(2 * WINDOW + 1):
        assert math.isfinite(detector.step(0.0, 1e308 if i == 100 else random.gauss(0.0, 1.0)).score)
    assert detector.step(0.0, 12.0).alert


@pytest.mark.parametrize("rule", RULES)
def test_what_is_not_finite_scores_nothing_and_is_not_kept(rule):
    detector = rule()
    assert [detector.step(0.0, x) for x in (math.nan, math.inf)] == [NOTHING] * 2
    assert len(detector._newest) == 0
