"""O'Brien-Fleming spending: the published bounds, any looks, and the error it promises."""

import numpy as np
import pytest

from app.core.stats import obrien_fleming as of
from app.core.stats.obrien_fleming import Looks, Plan

PUBLISHED = {  # two-sided .05, equally spaced (Jennison and Turnbull, 2000; gsDesign)
    1: (1.960,),
    2: (2.963, 1.969),
    3: (3.710, 2.511, 1.993),
    4: (4.333, 2.963, 2.359, 2.014),
    5: (4.877, 3.357, 2.680, 2.290, 2.031),
}


@pytest.mark.parametrize("looks", PUBLISHED)
def test_bounds_are_the_published_ones(looks: int) -> None:
    shares = tuple((i + 1) / looks for i in range(looks))
    assert of.bounds(shares) == pytest.approx(PUBLISHED[looks], abs=6e-4)


def test_all_of_the_error_is_spent_at_the_end_and_none_at_the_start() -> None:
    assert of.spent(0.0) == 0.0 and of.spent(1.0, 0.03) == pytest.approx(0.03)
    assert of.spent(0.05) < 1e-10 and of.spent(0.3) < of.spent(0.6)


def test_looks_may_fall_anywhere() -> None:
    rng, shares = np.random.default_rng(1), (0.17, 0.31, 0.64, 0.66, 1.0)
    steps = rng.normal(size=(40_000, 5)) * np.sqrt(np.diff((0.0, *shares)))
    z = np.cumsum(steps, axis=1) / np.sqrt(shares)
    assert (np.abs(z) >= of.bounds(shares)).any(axis=1).mean() == pytest.approx(0.05, abs=0.004)


def test_a_look_without_new_information_is_skipped() -> None:
    plan = Plan(1000.0)
    state = of.update(Looks(), plan, 400.0, 1.0)
    assert of.update(state, plan, 400.0, 9.0).skipped == 1 and not of.alarm(of.update(state, plan, 300.0, 9.0))
    over = of.update(of.update(state, plan, 1500.0, 1.0), plan, 2000.0, 9.0)
    assert over.shares == (0.4, 1.0) and not of.alarm(over) and over.skipped == 1


def test_what_crossed_once_stays_crossed() -> None:
    plan = Plan(1000.0)
    state = of.update(of.update(Looks(), plan, 500.0, -4.0), plan, 900.0, 0.0)
    assert of.alarm(state) and state.z == 0.0


@pytest.mark.parametrize("shares", [(0.5, 0.4), (0.5, 0.5), (0.0, 1.0), (0.5, 1.1)])
def test_looks_that_cannot_be_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rising shares"):
        of.bounds(shares)
