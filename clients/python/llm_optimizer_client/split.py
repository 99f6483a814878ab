"""The split of a service and the draw from it: a function of the identity, the same in every language.

u(salt, id) = first 8 bytes of SHA-256(salt + id), big-endian, / 2^64. In this order: holdout by its share; then trial
and control by one draw with the trial's id (of several challengers the one with the largest u(trial id/arm, id)); then
the first arm, in the order of ``arms``, whose cumulative weight exceeds u(main, id) * sum of the weights. The
optimizer's ``tests/golden/assign.json`` holds vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

HOLDOUT_SALT = "llm-optimizer/holdout/"
MAIN_SALT = "llm-optimizer/main/"
GROUP_SALT = "llm-optimizer/group/"
GROUPS = 64


def hash01(salt: str, identity: str) -> float:
    """A number in [0, 1] that looks uniform."""
    digest = hashlib.sha256((salt + identity).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def session_group(identity: str) -> int:
    """Session group 0-63 of an identity, independent of every draw."""
    return min(int(hash01(GROUP_SALT, identity) * GROUPS), GROUPS - 1)


class _Trial(NamedTuple):
    id: str
    challengers: list[str]
    control_arm: str
    share: float
    control_share: float
    mirrored: bool


class Split:
    """Desired state of one service, as requests need it. ValueError: the document is none."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        try:
            self.service = str(document["service"])
            self.version = int(document["version"])
            self.arms: dict[str, Mapping[str, Any]] = {str(arm["name"]): arm for arm in document["arms"]}
            self.incumbent = str(document["incumbent"])
            self.baseline = str(document.get("baseline") or self.incumbent)
            self.holdout_share = float(document.get("holdout_share", 0.0))
            self.sticky = bool(document.get("sticky", True))
            self.segment_by = str(document.get("segment_by", ""))
            self.segments = tuple(document.get("segments", ()))
            weights = {name: self._positive(given) for name, given in document["weights"].items()}
            self._weights = {
                name: (given, sum(weight for _, weight in given)) for name, given in weights.items() if given
            }
            self._trial = _trial(document.get("trial"))
            self._servers = {name: tuple(self.arms[other] for other in self.order(name)) for name in self.arms}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a split: {error!r}") from error
        named = [self.incumbent, self.baseline]
        if self._trial is not None:
            named += [*self._trial.challengers, self._trial.control_arm]
        if missing := [name for name in named if name not in self.arms]:
            raise ValueError(f"not a split: {missing} are not among its arms")

    def _positive(self, given: Mapping[str, float]) -> list[tuple[str, float]]:
        return [(name, float(given[name])) for name in self.arms if given.get(name, 0.0) > 0]

    def segment(self, parts: Mapping[str, str]) -> str:
        """The segment of a request. ``parts``: tenant, task_type, region."""
        if not self.segment_by:
            return "*"
        value = parts.get(self.segment_by, "")
        return value if value in self.segments else "other"

    def draw(self, identity: str, segment: str = "*") -> tuple[str, str]:
        """Slice and arm of one identity."""
        if self.holdout_share and hash01(HOLDOUT_SALT, identity) < self.holdout_share:
            return "holdout", self.baseline
        if self._trial is not None:
            trial, v = self._trial, hash01(self._trial.id, identity)
            if v < trial.share:
                return "trial", max(trial.challengers, key=lambda arm: hash01(f"{trial.id}/{arm}", identity))
            if v < trial.share + trial.control_share:
                return "control", trial.control_arm
        weights, total = self._weights.get(segment) or self._weights.get("*") or ([(self.incumbent, 1.0)], 1.0)
        if len(weights) == 1:
            return "main", weights[0][0]
        point, reached = hash01(MAIN_SALT, identity) * total, 0.0
        for arm, weight in weights:
            reached += weight
            if point < reached:
                return "main", arm
        return "main", weights[-1][0]

    def mirror(self, slice_: str) -> str:
        """The arm that is to get a copy of a request of this slice, which serves nobody; empty: none."""
        trial = self._trial
        return trial.challengers[0] if trial is not None and trial.mirrored and slice_ == "control" else ""

    def servers(self, arm: str) -> tuple[Mapping[str, Any], ...]:
        """The arms of ``order``, with their definitions."""
        return self._servers[arm]

    def order(self, arm: str) -> list[str]:
        """Who may answer for ``arm``: itself, the fallbacks it names, the incumbent, then all others."""
        features = self.arms.get(arm, {}).get("features") or {}
        named = [name for name in features.get("fallbacks", ()) if isinstance(name, str)]
        return [name for name in dict.fromkeys([arm, *named, self.incumbent, *self.arms]) if name in self.arms]


def _trial(given: Mapping[str, Any] | None) -> _Trial | None:
    if given is None:
        return None
    return _Trial(
        id=str(given["id"]),
        challengers=[str(arm) for arm in given.get("arms") or [given["arm"]]],
        control_arm=str(given["control_arm"]),
        share=float(given["share"]),
        control_share=float(given["control_share"]),
        mirrored=bool(given.get("mirrored", False)),
    )
