"""Windows that began together share their sums while they last: nobody can tell it from the outside."""

import random

import pytest

from app.core.cell import Cell, CellKey, Late, Score, Summary, Unpriced, Waste, add_cell, copy_cell
from app.core.kept import KeptWindows, decode_windows, encode_windows
from app.core.pane import ClosedPane
from app.core.windows import Windows, roll


def cell(draw: random.Random) -> Cell:
    n = draw.randrange(1, 40)
    found = Cell(n=n, errors=draw.randrange(n), latency_ms=draw.random() * 1e4, latency_ms_max=draw.random() * 1e3)
    found.cost_n, found.cost_usd, found.input_tokens = n, draw.random(), draw.randrange(9999)
    found.quality = {c: Score(n, draw.random(), draw.random()) for c in ("judge", "user") if draw.random() < 0.6}
    found.unpriced = Unpriced(1, 2, 3) if draw.random() < 0.3 else None
    found.waste = Waste(retries=1, retries_usd=draw.random()) if draw.random() < 0.3 else None
    found.models = sorted(draw.sample(["a\x1f", "b\x1f", "c\x1f1"], draw.randrange(3)))
    return found


def pane(draw: random.Random, number: int) -> ClosedPane:
    found = ClosedPane(number, draw.random() < 0.9, draw.randrange(1, 5), Late(n=draw.randrange(3)), {}, {})
    for arm in draw.sample(["large", "small", "lite"], draw.randrange(1, 4)):
        found.arms[arm, "*"] = Summary(Cell(), {draw.randrange(900): draw.randrange(1, 300) for _ in range(9)})
        for name in draw.sample(["main", "trial", "control", "shadow"], draw.randrange(1, 4)):
            one = found.cells[CellKey(arm, "*", name, 1)] = cell(draw)
            if name != "shadow":
                add_cell(found.arms[arm, "*"].cell, one)
    return found


def apart(windows: Windows) -> Windows:
    """The same, nothing shared: as after a restart."""
    return decode_windows(encode_windows(KeptWindows(0, windows))).windows


@pytest.mark.parametrize("seed", range(3))
def test_sharing_changes_neither_what_is_said_nor_what_is_kept(seed: int):
    draw = random.Random(seed)
    together, separate = Windows(), Windows()
    number = draw.randrange(60)
    for _ in range(40):
        number += draw.choice([1, 1, 1, 2, 7])
        closed = pane(draw, number)
        together, said = roll(together, "s", closed, closed.end_s)
        separate, heard = roll(apart(separate), "s", closed, closed.end_s)
        assert said == heard
        assert encode_windows(KeptWindows(0, together)) == encode_windows(KeptWindows(0, separate))


def test_windows_that_began_together_hold_one_list_of_sums():
    windows, _ = roll(Windows(), "s", pane(random.Random(1), 60), 61 * 60)
    five, quarter, hour = windows.open
    assert five.arms is quarter.arms is hour.arms


def test_a_copy_equals_the_sum_with_an_empty_cell_and_shares_nothing_that_is_added_to():
    draw = random.Random(4)
    for _ in range(50):
        one, empty = cell(draw), Cell()
        add_cell(empty, one)
        copy, before = copy_cell(one), copy_cell(one)
        assert copy == empty
        add_cell(copy, cell(draw))
        assert one == before
