"""Writes tests/golden/assign.json: what every implementation of ``assign`` in any language must reproduce.

``python tests/golden/write_assign.py`` from the root of the project. Changing a vector moves live traffic:
do it only with a new salt and a note in the changelog.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402  (the path is set just above)

from app.core.assign import (  # noqa: E402  (the path is set just above)
    GROUP_SALT,
    HOLDOUT_SALT,
    MAIN_SALT,
    assign,
    expected_shares,
    hash01,
    session_group,
)
from app.core.split import ArmDefinition, Split, TrialSlice  # noqa: E402  (the path is set just above)

FILE = ROOT / "tests" / "golden" / "assign.json"
IDENTITIES = ("", "0", "session-1", "user@example.org", "größe-ß", "会話-42", "😀", "a" * 200)
MANY = tuple(f"session-{i}" for i in range(60))


def _split(weights: dict[str, dict[str, float]], trial: TrialSlice | None, holdout: float) -> Split:
    return Split(
        service="chat",
        version=7,
        decision_id="d" * 32,
        incumbent="large",
        baseline="frozen",
        arms=tuple(ArmDefinition(name=name, model=name) for name in ("large", "small", "tiny", "frozen")),
        weights=weights,
        trial=trial,
        holdout_share=holdout,
        segment_by="tenant",
        segments=("acme",),
    )


TRIAL = TrialSlice("3f0c9a52d1e84b67a9c04e1f5b2d7788", "small", "large", 0.25, 0.25)
SPLITS = {
    "incumbent only": _split({"*": {"large": 1.0}}, None, 0.05),
    "trial at 25 %": _split({"*": {"large": 1.0}}, TRIAL, 0.05),
    "trial at 100 %": _split({"*": {"large": 1.0}}, msgspec.structs.replace(TRIAL, share=1.0, control_share=0.0), 0.05),
    "weights by segment": _split(
        {"*": {"large": 0.5, "small": 0.3, "tiny": 0.2}, "acme": {"tiny": 0.9, "large": 0.1}}, None, 0.1
    ),
    "no weights": _split({}, None, 0.0),
    "three challengers": _split(
        {"*": {"large": 1.0}},
        msgspec.structs.replace(TRIAL, share=0.45, control_share=0.15, arms=("small", "tiny", "frozen")),
        0.05,
    ),
    "mirrored": _split({"*": {"large": 1.0}}, msgspec.structs.replace(TRIAL, share=0.0, mirrored=True), 0.05),
}


def _drawn(split: Split, identity: str, segment: str) -> list[Any]:
    """Slice, arm, session group and, of a request that is mirrored, the arm that gets the copy."""
    drawn = assign(split, identity, segment)
    return [drawn.slice, drawn.arm, drawn.session_group, *((drawn.mirror,) if drawn.mirror else ())]


def _case(name: str, split: Split) -> dict[str, Any]:
    return {
        "name": name,
        "split": msgspec.to_builtins(split),
        "assignments": {
            segment: {identity: _drawn(split, identity, segment) for identity in MANY}
            for segment in ("*", "acme", "other")
        },
        "expected_shares": {
            segment: {f"{slice_} {arm}": share for (slice_, arm), share in expected_shares(split, segment).items()}
            for segment in ("*", "acme")
        },
    }


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    salts = ("", HOLDOUT_SALT, MAIN_SALT, GROUP_SALT, TRIAL.id)
    return {
        "salts": {"holdout": HOLDOUT_SALT, "main": MAIN_SALT, "group": GROUP_SALT},
        "hash01": [[salt, identity, hash01(salt, identity)] for salt in salts for identity in IDENTITIES],
        "session_group": {identity: session_group(identity) for identity in IDENTITIES},
        "cases": [_case(name, split) for name, split in SPLITS.items()],
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1, ensure_ascii=True) + "\n")
