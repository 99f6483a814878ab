"""Rings of pane values: the state of every detector that River or the scorer brings, and nothing is pickled.

At each close the newest value of a metric of an arm joins its ring of at most ``SIZE`` values, and the detector, made
anew, is run over the ring: about 30 us for ADWIN (Bifet and Gavalda, 2007). An alert cuts the ring there, so that one
change alarms once and what follows is judged on its own. Panes, not requests, are the unit: one value a minute.

Drift detectors on real values see them centred and in tenths of their own noise (the mean distance of neighbours, as on
Shewhart's charts for single values): milliseconds, dollars and shares then mean the same to their fixed settings.

Limits: ADWIN looks at every 32nd value while the ring fills; KSWIN costs milliseconds a ring.

>>> ring = Ring()
>>> for x in [0.0] * 64 + [9.0] * 64: ring, alert = watched(pushed(ring, x), "river.drift.ADWIN")
>>> ring.alerts
1
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from importlib import import_module
from inspect import signature
from itertools import pairwise
from statistics import fmean, median
from typing import Any

import msgspec

from app.core.analyze.named import detector
from app.core.stats.robust import Rule, score_of

SIZE = 128
DEFAULT = "river.drift.ADWIN"
"""With its own default, delta = .002."""
DRIFT = "river.drift."
BINARY = "river.drift.binary."
UNITS = 10.0
"""One standard deviation of noise as drift detectors see it: far from 1, for which bounded ones make allowance."""
PANE_S = 60.0


class Ring(msgspec.Struct, frozen=True, array_like=True):
    """``values``, newest last; ``seen``: values ever taken; ``alerts``: cuts so far; ``skipped``: not finite.

    ``seen`` - ``len(values)`` is the number of the oldest value kept.
    """

    values: tuple[float, ...] = ()
    seen: int = 0
    alerts: int = 0
    skipped: int = 0


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """``at``: number of the value (from 0) at which the detector called ``detector`` spoke; ``score`` of that value."""

    detector: str
    at: int
    score: float


def pushed(ring: Ring, value: float) -> Ring:
    """Add the value of a closed pane; beyond ``SIZE`` the oldest goes. What is not finite is counted and left out."""
    if not math.isfinite(value):
        return msgspec.structs.replace(ring, skipped=ring.skipped + 1)
    return msgspec.structs.replace(ring, values=(*ring.values, float(value))[-SIZE:], seen=ring.seen + 1)


def watched(ring: Ring, name: str = DEFAULT, threshold: float | None = None) -> tuple[Ring, Alert | None]:
    """Run the detector called ``name`` (``analyze.named``) over the ring. On an alert, the ring from its last one on.

    ``threshold``: score from which a value is an alert, for detectors that give scores. Errors as in ``analyze.named``.
    """
    found = _drift(ring, name) if name.startswith(DRIFT) and threshold is None else _scored(ring, name, threshold)
    if found is None:
        return ring, None
    at, score = found
    cut = msgspec.structs.replace(ring, values=ring.values[at:], alerts=ring.alerts + 1)
    return cut, Alert(name, ring.seen - len(ring.values) + at, score)


def scaled(values: tuple[float, ...]) -> list[float]:
    """The values from their median on, ``UNITS`` to a standard deviation of noise (1.128: mean range of two)."""
    if len(values) < 2:
        return [0.0] * len(values)
    centre = median(values)
    noise = fmean(abs(b - a) for a, b in pairwise(values)) / 1.128
    unit = max(noise, 1e-6 * abs(centre), 1e-12) / UNITS
    return [(value - centre) / unit for value in values]


def _drift(ring: Ring, name: str) -> tuple[int, float] | None:
    """Place of the last alert and its score; drift detectors have a loop of their own, for speed."""
    model, found = _drift_class(name)(), None
    for i, value in enumerate(ring.values if name.startswith(BINARY) else scaled(ring.values)):
        model.update(value)
        if model.drift_detected:
            found = (i, 1.0)
    return found


def _scored(ring: Ring, name: str, threshold: float | None) -> tuple[int, float] | None:
    """As ``_drift``; times are those of the panes, so that rules with a time of day see one."""
    model, first, found = detector(name, threshold), ring.seen - len(ring.values), None
    for i, value in enumerate(ring.values):
        scored = model.step(PANE_S * (first + i), value)
        if scored.alert:
            found = (i, scored.score)
    return found


@lru_cache(maxsize=64)
def _drift_class(name: str) -> Callable[[], Any]:
    detector(name)  # says what is wrong with a name
    module, _, cls = name.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), cls)
    return partial(found, seed=1) if "seed" in signature(found).parameters else found


def newest_score(ring: Ring, rule: Rule = "mad", *, floor: float = 0.0, warm: int = 30) -> float:
    """How strange the newest value is against the rest (``stats.robust``); 0 while there are fewer than ``warm``."""
    if len(ring.values) <= max(2, warm):
        return 0.0
    return score_of(rule, ring.values[:-1], ring.values[-1], floor=floor)
