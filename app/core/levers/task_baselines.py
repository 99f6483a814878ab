"""Where parameters start from, by kind of task (requirements/004, parameter tuning), and how far they may go."""

from collections.abc import Mapping

import msgspec

from app.core.document.strategy import Task

Parameters = Mapping[str, float]

BASELINES: Mapping[Task, Parameters] = {
    "classification": {"temperature": 0.1, "top_p": 0.9, "max_tokens": 50},
    "generation": {"temperature": 0.8, "top_p": 0.95, "max_tokens": 500, "presence_penalty": 0.6},
    "extraction": {"temperature": 0.0, "top_p": 0.9, "max_tokens": 200},
}


class Range(msgspec.Struct, frozen=True):
    """Least and greatest value of a parameter, and the first step of its search."""

    low: float
    high: float
    step: float


RANGES: Mapping[str, Range] = {
    "temperature": Range(0.0, 1.5, 0.2),
    "top_p": Range(0.5, 1.0, 0.05),
    "top_k": Range(1, 200, 20),
    "max_tokens": Range(16, 32_000, 100),
    "presence_penalty": Range(-1.0, 1.5, 0.3),
    "frequency_penalty": Range(-1.0, 1.5, 0.3),
}
WHOLE = frozenset(("max_tokens", "top_k"))


def bounded(name: str, value: float) -> float:
    """``value`` inside the range of parameter ``name``; whole where the parameter is; three decimals otherwise."""
    allowed = RANGES[name]
    kept = min(allowed.high, max(allowed.low, value))
    return round(kept) if name in WHOLE else round(kept, 3)
