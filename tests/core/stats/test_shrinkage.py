"""Empirical Bayes over segments: pooled when segments agree, left alone when they differ."""

import numpy as np
import pytest

from app.core.stats.shrinkage import additive, interaction, shrink

pytestmark = pytest.mark.simulation


def table(rng: np.random.Generator, t2: float, s2: float) -> tuple[np.ndarray, np.ndarray]:
    truth = rng.normal(0, 0.2, (6, 1)) + rng.normal(0, 0.3, (1, 5)) + rng.normal(0, np.sqrt(t2), (6, 5))
    return truth, truth + rng.normal(0, np.sqrt(s2), (6, 5))


def test_the_variance_component_is_found_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [interaction(table(rng, 0.01, 0.002)[1], np.full((6, 5), 0.002), np.ones((6, 5), bool)) for _ in range(60)]
    assert np.mean(found) == pytest.approx(0.01, rel=0.25)


@pytest.mark.parametrize("t2", [0.0, 0.002, 0.05])
def test_shrunk_means_are_nearer_the_truth_and_their_variance_says_how_near(t2: float) -> None:
    rng, raw, shrunk, claimed = np.random.default_rng(2), 0.0, 0.0, 0.0
    for _ in range(60):
        truth, seen = table(rng, t2, 0.004)
        means, variances = shrink(seen, np.full((6, 5), 0.004))
        centre = truth.mean(axis=0)
        raw += float(((seen - seen.mean(axis=0) - truth + centre) ** 2).mean())
        shrunk += float(((means - means.mean(axis=0) - truth + centre) ** 2).mean())
        claimed += float(variances.mean())
    assert shrunk < raw
    assert 0.6 < claimed / shrunk < 2.0


def test_a_cell_without_data_gets_the_additive_guess_and_a_wide_doubt() -> None:
    means = np.array([[0.1, 0.5], [0.3, 0.7], [0.2, 0.0]])
    variances = np.full((3, 2), 1e-4)
    variances[2, 1] = np.inf
    found, spread = shrink(means, variances)
    assert found[2, 1] == pytest.approx(0.6, abs=0.01)
    assert np.isfinite(spread).all()


def test_no_data_and_constant_data_do_not_divide_by_zero() -> None:
    nothing, wide = shrink(np.zeros((2, 3)), np.full((2, 3), np.inf))
    assert np.isfinite(nothing).all()
    assert np.isfinite(wide).all()
    same, sure = shrink(np.full((2, 3), 0.4), np.zeros((2, 3)))
    assert same == pytest.approx(0.4)
    assert (sure >= 0).all()
    assert additive(np.ones((2, 2)), np.zeros((2, 2))).tolist() == [[0, 0], [0, 0]]
