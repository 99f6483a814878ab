"""Windows share sums with each other and with panes: nobody can tell it from the outside."""

import random

import msgspec
import pytest

from app.core.cell import Cell, CellKey, Late, Score, Summary, Unpriced, Waste, add_cell, copy_cell
from app.core.events import rfc3339
from app.core.kept import KeptWindows, decode_windows, encode_windows
from app.core.outputs import Output
from app.core.pane import ClosedPane
from app.core.windows import Window, Windows, roll


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


def of(windows: Windows) -> list[int]:
    """Answers that each open window holds."""
    return [sum(sums.cell.n for sums in window.arms) for window in windows.open]


def test_a_window_gives_its_sums_to_the_next_larger_one_when_it_ends():
    draw, windows, n = random.Random(1), Windows(), list[int]()
    for number in range(60, 66):
        closed = pane(draw, number)
        n.append(sum(summary.cell.n for summary in closed.arms.values()))
        windows, _ = roll(windows, "s", closed, closed.end_s)
        if number == 63:
            assert of(windows) == [sum(n), 0, 0]
    assert of(windows) == [n[-1], sum(n[:-1]), 0]


@pytest.mark.parametrize("seed", range(3))
def test_windows_say_the_sums_of_their_minutes(seed: int):
    draw, windows = random.Random(seed), Windows()
    expected, found = dict[tuple[int, str, str], list[float]](), dict[tuple[int, str, str], list[float]]()
    for number in range(120, 240, draw.choice([1, 2])):
        closed = pane(draw, number)
        windows, said = roll(windows, "s", closed, closed.end_s)
        _count(found, said)
        for size_s in (60, 300, 900, 3600):
            for key, one in closed.cells.items():
                if key.slice != "shadow":
                    start = rfc3339(closed.start_s - closed.start_s % size_s)
                    sums = expected.setdefault((size_s, start, key.arm), [0, 0.0])
                    sums[0], sums[1] = sums[0] + one.n, sums[1] + one.cost_usd
    _count(found, roll(windows, "s", None, 240 * 60)[1])
    assert found.keys() == expected.keys()
    assert all(sums == pytest.approx(found[key]) for key, sums in expected.items())


def _count(found: dict[tuple[int, str, str], list[float]], said: list[Output]) -> None:
    for output in said:
        row = msgspec.json.decode(output.data)
        if row["arm"] != "*" and row["slice"] == "*":
            found[row["window_s"], row["window_start"], row["arm"]] = [row["count"], row["cost_usd"]]


def test_windows_of_former_releases_hold_every_pane_and_are_given_nothing():
    draw = random.Random(2)
    first, second = pane(draw, 60), pane(draw, 61)
    nested, _ = roll(Windows(), "s", first, first.end_s)
    sums = nested.open[0].arms
    former = Windows([Window(size, 3600, sums) for size in (300, 900, 3600)])
    former, _ = roll(former, "s", second, second.end_s)
    answers = sum(summary.cell.n for closed in (first, second) for summary in closed.arms.values())
    assert of(former) == [answers] * 3
    ended, _ = roll(former, "s", None, 3900)
    assert of(ended) == [answers] * 2
    assert [w.nested for w in roll(ended, "s", pane(draw, 65), 66 * 60)[0].open] == [True, False, False]


def test_a_copy_equals_the_sum_with_an_empty_cell_and_shares_nothing_that_is_added_to():
    draw = random.Random(4)
    for _ in range(50):
        one, empty = cell(draw), Cell()
        add_cell(empty, one)
        copy, before = copy_cell(one), copy_cell(one)
        assert copy == empty
        add_cell(copy, cell(draw))
        assert one == before
