"""Which slice and arm a request gets: a function of its identity and the split, the same in every language (DESIGN 9).

u(salt, id) = first 8 bytes of SHA-256(salt + id), big-endian, / 2^64, a 64-bit float. Then, in this order:
1. holdout (the baseline) if u(HOLDOUT_SALT, id) < holdout share;
2. with a trial, v = u(trial id, id): trial if v < share, control if v < share + control share. Several challengers:
   the arm of ``trial.arms`` with the largest u(trial id + "/" + arm, id), the first of equals;
3. main: the first arm, in the order of ``split.arms``, whose cumulative weight exceeds u(MAIN_SALT, id) * sum of
   the weights.

Salts differ, so the draws are independent; the holdout's never changes, so it is the same requests for ever; growing a
trial only adds requests to it, and a challenger that is dropped leaves the requests of the others where they are. Of a
mirrored trial every request of the control slice is also sent to ``trial.arm``, under slice shadow. Draw with the
request id as it is *before* a receipt is attached to it.
``tests/golden/assign.json`` holds vectors for other languages.
"""

import hashlib

import msgspec

from app.core.cell import SESSION_GROUPS
from app.core.document import EVERYWHERE, segment_name
from app.core.events import SegmentParts, SliceName
from app.core.split import Split, TrialSlice

HOLDOUT_SALT = "llm-optimizer/holdout/"
MAIN_SALT = "llm-optimizer/main/"
GROUP_SALT = "llm-optimizer/group/"


class Assignment(msgspec.Struct, frozen=True, gc=False):
    """Where one request goes. ``session_group`` in [0, 64) clusters sticky comparisons. ``mirror``: the arm that gets a
    copy which serves nobody; "" for none.
    """

    slice: SliceName
    arm: str
    session_group: int
    mirror: str = ""


def hash01(salt: str, identity: str) -> float:
    """A number in [0, 1] that looks uniform; 1.0 itself has probability 2^-54 (rounding) and is handled."""
    return int.from_bytes(hashlib.sha256((salt + identity).encode()).digest()[:8], "big") / 2**64


def session_group(identity: str) -> int:
    """Session group 0-63 of an identity, independent of every draw of arms."""
    return min(int(hash01(GROUP_SALT, identity) * SESSION_GROUPS), SESSION_GROUPS - 1)


def identity_of(request_id: str, session_id: str | None, *, sticky: bool) -> str:
    """What is hashed: the session where the split is sticky and there is one, else the request."""
    return session_id if sticky and session_id else request_id


def segment_for(split: Split, parts: SegmentParts) -> str:
    """The segment of a request under a split, for gateways."""
    return segment_name(split.segment_by, split.segments, parts)


def assign(split: Split, identity: str, segment: str = EVERYWHERE) -> Assignment:
    """Slice, arm and session group of one identity."""
    slice_, arm = _draw(split, identity, segment)
    trial = split.trial
    mirror = trial.arm if trial is not None and trial.mirrored and slice_ == "control" else ""
    return Assignment(slice_, arm, session_group(identity), mirror)


def _draw(split: Split, identity: str, segment: str) -> tuple[SliceName, str]:
    if hash01(HOLDOUT_SALT, identity) < split.holdout_share:
        return "holdout", split.baseline or split.incumbent
    trial = split.trial
    if trial is not None:
        v = hash01(trial.id, identity)
        if v < trial.share:
            return "trial", _challenger(trial, identity)
        if v < trial.share + trial.control_share:
            return "control", trial.control_arm
    return "main", _main_arm(split, identity, segment)


def _challenger(trial: TrialSlice, identity: str) -> str:
    """Rendezvous hashing: equal shares, and whoever leaves takes only his own requests along."""
    if not trial.arms:
        return trial.arm
    return max(trial.arms, key=lambda arm: hash01(f"{trial.id}/{arm}", identity))


def _main_arm(split: Split, identity: str, segment: str) -> str:
    weights = _weights(split, segment)
    point = hash01(MAIN_SALT, identity) * sum(weight for _, weight in weights)
    reached = 0.0
    for arm, weight in weights:
        reached += weight
        if point < reached:
            return arm
    return weights[-1][0]


def _weights(split: Split, segment: str) -> list[tuple[str, float]]:
    """Positive weights of a segment in arm order; without any the incumbent has it all."""
    weights = split.weights.get(segment) or split.weights.get(EVERYWHERE) or {}
    positive = [(arm.name, weight) for arm in split.arms if (weight := weights.get(arm.name, 0.0)) > 0]
    return positive or [(split.incumbent, 1.0)]


def expected_shares(split: Split, segment: str = EVERYWHERE) -> dict[tuple[SliceName, str], float]:
    """Share of a segment's requests by (slice, arm) when the split is followed: what telemetry is checked against.

    Zero shares are left out; the rest sums to 1.
    """
    outside = 1.0 - split.holdout_share
    share = split.trial.share if split.trial else 0.0
    control = min(split.trial.control_share, 1.0 - share) if split.trial else 0.0
    weights = _weights(split, segment)
    total = sum(weight for _, weight in weights)
    shares: dict[tuple[SliceName, str], float] = {("holdout", split.baseline or split.incumbent): split.holdout_share}
    if split.trial is not None:
        challengers = split.trial.challengers
        for arm in challengers:
            shares["trial", arm] = outside * share / len(challengers)
        shares["control", split.trial.control_arm] = outside * control
    for arm, weight in weights:
        shares["main", arm] = outside * (1.0 - share - control) * weight / total
    return {key: value for key, value in shares.items() if value > 0}
