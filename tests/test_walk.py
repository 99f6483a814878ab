"""One event from Kafka bytes to a decision: the files it enters, in order, are the ones ``docs/walk.md`` names."""

import re
import sys
from pathlib import Path
from types import FrameType

from app.adapters.codec import encode_output, make_decode
from app.core import commands, facts
from app.core.batch import Batch
from app.core.commands import COMMAND, Command, Configure
from app.core.document import from_object
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.ports import Record

ROOT = Path(__file__).parents[1]
EVENT = (
    b'{"specversion":"1.0","id":"e%d","source":"/gateway","type":"io.llm-platform.response.completed",'
    b'"time":"2026-01-31T09:%02d:00Z","data":{"service":"chat","model":"large","latency_ms":900,"cost_usd":0.01}}'
)


class Trail:
    """The project's files in the order in which a call first enters them."""

    def __init__(self) -> None:
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            path = Path(frame.f_code.co_filename)
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
            if (
                name.startswith(("app/", "agents/"))
                and name not in self.files
                and not frame.f_code.co_name.startswith("<")
            ):
                self.files.append(name)


def walked() -> tuple[list[str], list[Record]]:
    """The files one event enters, from its bytes to the decision it causes, and the records that come out."""
    fold = Fold(
        "llm.responses-0", None, decode=make_decode(), lateness_s=0, ahead_s=0, topology={"llm.responses": 1},
        facts_partitions=1, partition_of=lambda _: 0,
    )  # fmt: skip
    merge = Merge(0, None, {}, {}, writer="w", lateness_s=0, silent_s=900, to_record=encode_output)
    document = from_object({"service": "chat", "mode": "auto", "arms": [{"name": "large"}, {"name": "small"}]})
    order = commands.to_json(Command(service="chat", command="configure", args=Configure(document)))
    _merge(merge, facts.encode(facts.ControlFact("llm.commands-0", 0, "chat", COMMAND, "c", 1, order)))
    merge.acked(merge.cut())
    trail = Trail()
    sys.setprofile(trail)
    try:
        _fold(fold, EVENT % (1, 15))
        _fold(fold, EVENT % (2, 16))  # a minute later: the first event's pane closes
        for record in fold.cut().phases[0]:
            _merge(merge, record.value or b"")
        said = merge.cut().phases[0]
    finally:
        sys.setprofile(None)
    return trail.files, list(said)


def _fold(fold: Fold, value: bytes) -> None:
    at = fold.position
    fold.fold(Batch("llm.responses-0", [value], [at], start=at, end=at + 1, segments=[(at + 1, 1 << 52)]))


def _merge(merge: Merge, value: bytes) -> None:
    at = merge.position
    merge.fold(Batch("facts-0", [value], [at], start=at, end=at + 1, segments=[(at + 1, 1_000)]))


def documented() -> list[str]:
    return re.findall(r"^\d+\. `([^`]+)`", (ROOT / "docs" / "walk.md").read_text(), re.MULTILINE)


def test_the_walk_ends_in_a_decision() -> None:
    _, said = walked()
    kinds = [dict(record.headers)["ce_type"].decode().rpartition(".")[2] for record in said]
    assert "decided" in kinds
    assert "split" in kinds


def test_the_files_on_the_way_are_the_documented_ones_in_that_order() -> None:
    files, _ = walked()
    stops = documented()
    assert [name for name in files if name in stops] == stops
