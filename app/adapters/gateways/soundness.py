"""Is a split something traffic can be sent by? A gateway refuses one that is not, and keeps the last good one."""

from collections.abc import Iterator

from app.core.split import Split

MAX_ARMS = 64
MAX_SEGMENTS = 64
TOLERANCE = 1e-6
"""Rounding that is forgiven in the sum of weights."""


def unsound(split: Split) -> str:
    """What is wrong with ``split``, all of it in words; empty when nothing is."""
    return "; ".join(_faults(split))


def _faults(split: Split) -> Iterator[str]:
    names = [arm.name for arm in split.arms]
    if not 1 <= len(names) <= MAX_ARMS:
        yield f"arms: there are {len(names)}, there must be 1 to {MAX_ARMS}"
    if len(set(names)) < len(names):
        yield "arms: two have the same name"
    if not split.service or split.version < 0:
        yield "service must not be empty and version not negative"
    for place, arm in _references(split):
        if arm not in names:
            yield f"{place}: {arm!r} is not among the arms"
    if split.trial is not None and split.trial.share + split.trial.control_share > 1 + TOLERANCE:
        yield "trial: share and control_share exceed 1 together"
    if split.trial is not None and split.trial.mirrored and (split.trial.share or split.trial.arms):
        yield "trial: a mirrored one has one arm and the share 0"
    yield from _weight_faults(split)


def _references(split: Split) -> Iterator[tuple[str, str]]:
    yield "incumbent", split.incumbent
    if split.baseline or split.holdout_share > 0:
        yield "baseline", split.baseline or split.incumbent
    if split.trial is not None:
        yield "trial.arm", split.trial.arm
        yield from (("trial.arms", arm) for arm in split.trial.arms)
        yield "trial.control_arm", split.trial.control_arm
    for segment, weights in split.weights.items():
        for arm in weights:
            yield f"weights[{segment}]", arm


def _weight_faults(split: Split) -> Iterator[str]:
    if len(split.weights) > MAX_SEGMENTS:
        yield f"weights: more than {MAX_SEGMENTS} segments"
    for segment, weights in split.weights.items():
        if any(weight < 0 for weight in weights.values()):
            yield f"weights[{segment}]: one is negative"
        elif abs(sum(weights.values()) - 1) > TOLERANCE:
            yield f"weights[{segment}]: they sum to {sum(weights.values()):g}, not 1"
