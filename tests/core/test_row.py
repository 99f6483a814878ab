"""A row stored by an earlier version is read by this one: fields are appended at the end and nowhere else."""

from pathlib import Path

import msgspec
import pytest

from app.core.row import BROADCAST, Row, new_row

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("row-*.msgpack"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_stored_row_is_read_back(path: Path) -> None:
    row = msgspec.msgpack.decode(path.read_bytes(), type=Row)
    assert row.service == "chat"
    assert row.document.arm_names == ("big", "small", "tiny")
    assert row.admitted == ("big", "small")
    assert row.trial is not None
    assert row.trial.arm == "tiny"
    assert row.split is not None
    assert row.split.version == row.version == row.history[-1].version
    assert row.savings.n > 0
    assert set(row.weights["*"]) == {"big", "small"}


def test_there_is_a_golden_row() -> None:
    assert GOLDEN


def test_standing_orders_hold_for_services_seen_later() -> None:
    standing = msgspec.structs.replace(new_row(BROADCAST, None), frozen=True, paused=True)
    row = new_row("chat", standing)
    assert (row.frozen, row.paused, row.document.mode) == (True, True, "observe")
