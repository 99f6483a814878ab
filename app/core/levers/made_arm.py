"""Arms a lever makes: their names, and the key by which a definition that had its trial is known again."""

import hashlib
from typing import Any

import msgspec

from app.core.document import Arm

MARK = "~"
"""Between the name of the arm something was made from and what was made of it: ``large~compression-5f0c``."""
PROMPT = "prompt"
"""The feature of an arm that holds the text of its prompt, so that a split says all a gateway needs."""


def made(parent: Arm, idea: str, **changed: Any) -> Arm:
    """``parent`` with some fields changed, under a name that says the idea and is a function of the definition."""
    arm = msgspec.structs.replace(parent, **changed)
    root = parent.name.partition(MARK)[0][:120]
    return msgspec.structs.replace(arm, name=f"{root}{MARK}{idea}-{key_of(arm)[:6]}")


def key_of(arm: Arm) -> str:
    """What makes two definitions the same, whatever they are called: 16 hex digits."""
    told = msgspec.json.encode(msgspec.structs.replace(arm, name="-"), order="deterministic")
    return hashlib.sha256(told).hexdigest()[:16]


def prompt_version(text: str) -> str:
    """The version of a prompt: the hash of its text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Made(msgspec.Struct, frozen=True, array_like=True):
    """An arm of a row that no person declared: its name, the declared arm it descends from, and its key."""

    name: str
    root: str
    key: str
