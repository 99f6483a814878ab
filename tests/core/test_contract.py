"""The contract of every detector, test and sum, and of every scorer that is called by name."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.core.analyze import named
from tests.core import checks
from tests.core.subjects import DETECTORS, SUMS, TESTS

OF_DETECTORS = (
    checks.check_inputs_stay_as_they_are,
    checks.check_a_snapshot_goes_on_as_the_original,
    checks.check_twice_is_the_same,
    checks.check_ordinary_is_no_alarm_and_change_is_one,
    checks.check_noise_is_no_information,
    checks.check_a_constant_is_no_alarm,
    checks.check_hostile_input_is_survived,
)
OF_TESTS = (
    checks.check_p_is_small_exactly_where_there_is_a_difference,
    checks.check_answers_repeat_and_leave_inputs_alone,
    checks.check_refusals_are_clear,
    checks.check_hostile_questions_are_survived,
)
OF_SUMS = (checks.check_order_and_brackets_do_not_matter, checks.check_nothing_adds_nothing)


def title(value: Any) -> str:
    return str(getattr(value, "name", "") or value.__name__.removeprefix("check_"))


@pytest.mark.parametrize("check", OF_DETECTORS, ids=title)
@pytest.mark.parametrize("subject", DETECTORS, ids=title)
def test_every_detector_keeps_the_contract(subject: checks.Detector, check: Callable[[checks.Detector], None]) -> None:
    check(subject)


@pytest.mark.parametrize("check", OF_TESTS, ids=title)
@pytest.mark.parametrize("subject", TESTS, ids=title)
def test_every_test_keeps_the_contract(subject: checks.Test, check: Callable[[checks.Test], None]) -> None:
    check(subject)


@pytest.mark.parametrize("check", OF_SUMS, ids=title)
@pytest.mark.parametrize("subject", SUMS, ids=title)
def test_every_sum_keeps_the_contract(subject: checks.Merged, check: Callable[[checks.Merged], None]) -> None:
    check(subject)


@pytest.mark.parametrize("name", [*named.OWN, "river.drift.ADWIN"])
def test_every_scorer_by_name_is_finite_repeatable_and_silent_on_a_constant(name: str) -> None:
    values = [
        *np.random.default_rng(1).normal(size=60).tolist(),
        float("nan"),
        float("inf"),
        1e300,
        -1e300,
        0.0,
        1e-320,
    ]
    first, second, constant = named.detector(name), named.detector(name), named.detector(name)
    for i, value in enumerate(values):
        scored = first.step(60.0 * i, value)
        assert np.isfinite(scored.score) and scored == second.step(60.0 * i, value)
    assert not any(constant.step(60.0 * i, 0.7).alert for i in range(200))
