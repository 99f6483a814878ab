"""Rings of pane values: bounded, cut by an alert, and the same answer as River's detector gives."""

import numpy as np
import pytest
from river.drift import ADWIN

from app.core.analyze import rings
from app.core.analyze.named import UnknownDetectorError
from app.core.analyze.rings import SIZE, Ring, pushed, scaled, watched

RNG = np.random.default_rng(1)


def run(values: list[float], name: str = rings.DEFAULT) -> tuple[Ring, list[int]]:
    ring, places = Ring(), []
    for i, value in enumerate(values):
        ring, alert = watched(pushed(ring, value), name)
        if alert is not None:
            places.append(i)
    return ring, places


def test_a_ring_keeps_the_newest_and_counts_all() -> None:
    ring = Ring()
    for i in range(300):
        ring = pushed(ring, float(i))
    assert ring.values == tuple(float(i) for i in range(300 - SIZE, 300)) and ring.seen == 300
    assert pushed(ring, float("nan")).skipped == 1 and pushed(ring, float("inf")).values == ring.values


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_a_step_alarms_once_whatever_its_unit(unit: float) -> None:
    values = [*RNG.normal(5.0, 1.0, 100), *RNG.normal(8.0, 1.0, 100)]
    ring, places = run([unit * float(v) for v in values])
    assert len(places) == 1 and 100 < places[0] <= 130
    assert ring.alerts == 1 and len(ring.values) < SIZE


def test_values_without_a_change_do_not_alarm() -> None:
    assert run(RNG.normal(0.9, 0.02, 300).tolist())[1] == []
    assert run([0.3] * 200)[1] == []


def test_the_answer_is_rivers_over_the_ring() -> None:
    values = (*RNG.normal(0, 1, 60).tolist(), *RNG.normal(3, 1, 68).tolist())
    model, last = ADWIN(), None
    for i, value in enumerate(scaled(values)):
        model.update(value)
        last = i if model.drift_detected else last
    ring, alert = watched(Ring(values, seen=1000))
    assert alert is not None and last is not None
    assert alert.at == 1000 - SIZE + last and ring.values == values[last:]


def test_noise_has_one_size_and_a_constant_none() -> None:
    assert np.std(scaled(tuple(RNG.normal(300.0, 0.5, 128).tolist()))) == pytest.approx(rings.UNITS, rel=0.2)
    assert set(scaled((7.0,) * 20)) == {0.0} and scaled((7.0,)) == [0.0] and scaled(()) == []


def test_detectors_that_score_are_run_too_and_thresholds_are_theirs() -> None:
    ring = Ring((*RNG.normal(0, 1, 100).tolist(), 30.0), seen=101)
    cut, alert = watched(ring, "mad")
    assert alert is not None and alert.score > 10 and cut.values == (30.0,)
    assert watched(ring, "mad", threshold=1e5) == (ring, None)


def test_a_name_nobody_has_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(UnknownDetectorError, match=r"river\.drift\.ADWIN"):
        watched(pushed(Ring(), 1.0), "river.drift.Nothing")


def test_the_newest_value_is_scored_against_the_rest() -> None:
    ring = Ring((*RNG.normal(0, 1, 100).tolist(), 30.0), seen=101)
    assert rings.newest_score(ring, "mad") > 10 and rings.newest_score(ring, "zscore", floor=100.0) < 1
    assert rings.newest_score(Ring((1.0, 2.0, 3.0))) == 0.0
