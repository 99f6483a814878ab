"""Splits, batches and commands for tests of actuation and gateways."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.core import split as splits
from app.core.batch import Batch, Headers
from app.core.commands import COMMAND
from app.core.events import ControlEvent, Event, Rejected
from app.core.split import ArmDefinition, Split, TrialSlice

ARMS = (
    ArmDefinition(name="big", model="big-1", parameters={"temperature": 0.7}),
    ArmDefinition(name="small", model="small-1"),
)
TRIAL = TrialSlice(id="t1", arm="small", control_arm="big", share=0.05, control_share=0.05)


def split(version: int = 1, *, service: str = "bot", **changes: Any) -> Split:
    """A sound split; by default the incumbent has everything."""
    fields: dict[str, Any] = {
        "service": service,
        "version": version,
        "decision_id": f"d{version}",
        "incumbent": "big",
        "arms": ARMS,
        "weights": {"*": {"big": 1.0}},
    }
    return Split(**{**fields, **changes})


def trial(version: int = 1, **changes: Any) -> Split:
    """A split with an open trial."""
    return split(version, trial=TRIAL, **changes)


def batch(values: Sequence[bytes | None], *, at_ms: int = 1_000, start: int = 0, keys: Sequence[bytes] = ()) -> Batch:
    """Consecutive records, all appended at ``at_ms``."""
    offsets = list(range(start, start + len(values)))
    end = start + len(values)
    return Batch("t-0", list(values), offsets, start=start, end=end, segments=[(end, at_ms)], keys=list(keys) or None)


def logged(*items: Split, at_ms: int = 1_000, start: int = 0) -> Batch:
    """The records of these splits."""
    return batch([splits.encode(item) for item in items], at_ms=at_ms, start=start)


def command(verb: str, service: str = "*", args: Any = None) -> bytes:
    """The data of a command; ``decode_command`` is the codec that reads it."""
    return msgspec.json.encode({"service": service, "command": verb, "args": {} if args is None else args})


def decode_command(value: bytes | None, headers: Headers) -> Event:
    """The codec's part in these tests: the record's value is the command's data."""
    try:
        service = msgspec.json.decode(value or b"")["service"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return Rejected("unreadable", "not a command")
    return ControlEvent("id", "/cli", COMMAND, service, value or b"")
