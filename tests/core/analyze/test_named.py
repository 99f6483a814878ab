import math
from random import Random

import pytest

from app.core.analyze.named import OWN, UnknownDetectorError, detector

RIVER = [
    "river.drift.ADWIN",
    "river.drift.KSWIN",
    "river.drift.PageHinkley",
    "river.drift.binary.DDM",
    "river.anomaly.GaussianScorer",
    "river.anomaly.HalfSpaceTrees",
    "river.anomaly.StandardAbsoluteDeviation",
]


def scores(name, values):
    chosen = detector(name)
    return [chosen.step(60.0 * i, x) for i, x in enumerate(values)]


@pytest.mark.parametrize("name", [*OWN, *RIVER])
def test_every_detector_answers_every_point_with_a_finite_score_and_repeats_itself(name):
    random = Random(1)
    values = [*(random.random() for _ in range(150)), math.nan, math.inf, *(random.random() for _ in range(50))]
    first = scores(name, values)
    assert all(math.isfinite(one.score) for one in first)
    assert [first[i] for i in (150, 151)] == [(0.0, False)] * 2
    assert scores(name, values) == first


@pytest.mark.parametrize("name", [*OWN, "river.drift.ADWIN", "river.drift.PageHinkley", "river.anomaly.GaussianScorer"])
def test_every_detector_finds_a_large_shift(name):
    random = Random(2)
    values = [random.gauss(0.0, 1.0) for _ in range(400)] + [random.gauss(60.0, 1.0) for _ in range(100)]
    assert any(one.alert for one in scores(name, values)[400:])


def test_a_threshold_replaces_the_detectors_own():
    random = Random(3)
    values = [random.gauss(0.0, 1.0) for _ in range(500)]
    for name in [*OWN, "river.anomaly.GaussianScorer"]:
        assert not any(detector(name, 1e9).step(0.0, x).alert for x in values)
        low = detector(name, 0.1)
        assert any(low.step(0.0, x).alert for x in values)


@pytest.mark.parametrize(
    "name",
    ["", "Own", "river", "river.drift.", "river.drift.Nothing", "river.drift.binary", "river.anomaly.base.AnomalyDetector", "river.linear_model.LinearRegression", "os.system", "river.drift.datasets", "river.drift.DriftRetrainingClassifier", "river.anomaly.ThresholdFilter"],
)  # fmt: skip
def test_an_unknown_name_is_told_what_there_is(name):
    with pytest.raises(UnknownDetectorError, match=r"there are own, zscore, iqr, mad, .*river\.drift\.ADWIN"):
        detector(name)


def test_a_drift_detector_takes_no_threshold():
    with pytest.raises(ValueError, match="leave --threshold out"):
        detector("river.drift.ADWIN", 3.0)
