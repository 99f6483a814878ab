"""Detectors by name: ``own``, ``zscore``, ``iqr``, ``mad``, and the drift and anomaly classes of River."""

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import isclass, signature
from math import isfinite, nan
from types import MappingProxyType
from typing import Any

from app.core.analyze.rolling import InterquartileRange, MedianDeviation, ZScore
from app.core.analyze.scored import NOTHING, Detector, Scored
from app.core.analyze.scorer import Scorer

OWN: Mapping[str, Callable[..., Detector]] = MappingProxyType(
    {"own": Scorer.new, "zscore": ZScore, "iqr": InterquartileRange, "mad": MedianDeviation}
)
DRIFT = ("river.drift.", "river.drift.binary.")
ANOMALY = "river.anomaly."
Z_SCALED = {"StandardAbsoluteDeviation": 4.0}
"""Scores of these are standard deviations, not probabilities."""
PROBABLE = 0.99
"""Score from which a point is an alert, of all others."""


class UnknownDetectorError(ValueError):
    """No detector has this name; the message lists what there is."""


def detector(name: str, threshold: float | None = None) -> Detector:
    """The detector called ``name``, fresh. ``threshold``: the score from which a point is an alert, ``None`` for the
    detector's own. ``UnknownDetectorError`` when there is none; ``ValueError`` when it takes no threshold.
    """
    if name in OWN:
        return OWN[name]() if threshold is None else OWN[name](threshold)
    module, _, cls = name.rpartition(".")
    if f"{module}." in DRIFT:
        if threshold is not None:
            raise ValueError(f"{name} says yes or no and takes no threshold: leave --threshold out")
        return RiverDrift(_instance(name, module, cls, "update", "drift_detected"))
    if f"{module}." == ANOMALY:
        chosen = Z_SCALED.get(cls, PROBABLE) if threshold is None else threshold
        return RiverAnomaly(_instance(name, module, cls, "score_one", "learn_one"), chosen)
    raise UnknownDetectorError(_unknown(name))


class RiverDrift:
    """A drift detector of River: the score is 1 at the point where it says drift, else 0."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def step(self, time_s: float, value: float) -> Scored:
        """1 and an alert when ``value`` made the detector say drift (it learns and decides in one)."""
        del time_s
        if not isfinite(value):
            return NOTHING
        self._model.update(value)
        drift = bool(self._model.drift_detected)
        return Scored(float(drift), drift)


class RiverAnomaly:
    """An anomaly detector of River on one feature, itself also the target where one is asked for. Scores are River's:
    many saturate at 1. What expects features in 0-1 gets them scaled by the extremes seen so far.
    """

    def __init__(self, model: Any, threshold: float) -> None:
        self._model = model
        self.threshold = threshold
        self._with_target = "y" in signature(model.score_one).parameters
        self._scaler: Any = None
        if type(model).__name__ == "HalfSpaceTrees":
            self._scaler = import_module("river.preprocessing").MinMaxScaler()

    def step(self, time_s: float, value: float) -> Scored:
        """River's score of ``value``, which is learned after."""
        del time_s
        if not isfinite(value):
            return NOTHING
        features = {"value": value}
        if self._scaler is not None:
            self._scaler.learn_one(features)
            features = self._scaler.transform_one(features)
        target = (value,) if self._with_target else ()
        try:
            score = float(self._model.score_one(features, *target))
        except ZeroDivisionError:  # River's PredictiveAnomalyDetection on equal points: it cannot say anything yet
            score = nan
        self._model.learn_one(features, *target)
        if not isfinite(score):
            return NOTHING
        return Scored(score, score >= self.threshold)


def _instance(name: str, module: str, cls: str, *verbs: str) -> Any:
    found = getattr(import_module(module), cls, None)
    if not isclass(found) or not all(hasattr(found, verb) for verb in verbs):
        raise UnknownDetectorError(_unknown(name))
    try:
        parameters = signature(found).parameters
        return found(**({"seed": 1} if "seed" in parameters else {}))
    except TypeError as error:
        raise UnknownDetectorError(f"{name} cannot stand alone ({error}): {_unknown(name)}") from error


def _unknown(name: str) -> str:
    return (
        f"no detector is called {name}: there are {', '.join(OWN)}, and the classes of river.drift and river.anomaly, "
        "as in river.drift.ADWIN or river.anomaly.GaussianScorer"
    )
