"""A planned maximum: looks at equal shares, an early end for what is clear, an end for what is not."""

import random

import msgspec
import pytest

from app.core.cell import Cell, Score
from app.core.document import from_object
from app.core.planned import LOOKS, SHARES, looked
from app.core.queue import Experiment
from app.core.row import Row, new_row
from app.core.stats.obrien_fleming import bounds
from app.core.trial import observe, open_trial
from app.core.verdict import Verdict

PER_MINUTE = 40


def row_with(trial: float, control: float, minutes: int, scored_max: int, seed: int = 1) -> Row:
    """A trial after ``minutes`` in which each slice had ``PER_MINUTE`` answers, right with these chances."""
    rnd = random.Random(seed)
    document = from_object({"service": "chat", "arms": [{"name": "a"}, {"name": "b"}]})
    one = open_trial("t", "b", "a", 0, 1)
    for minute in range(minutes):
        one = observe(one, minute, cell(rnd, trial), cell(rnd, control))
    experiment = Experiment("e", "", "", "a", ("b",), 0, scored_max=scored_max)
    return msgspec.structs.replace(
        new_row("chat", None), document=document, incumbent="a", trial=one, experiments=(experiment,),
        trial_experiment="e",
    )  # fmt: skip


def cell(rnd: random.Random, chance: float) -> Cell:
    right = float(sum(rnd.random() < chance for _ in range(PER_MINUTE)))
    return Cell(n=PER_MINUTE, quality={"judge": Score(PER_MINUTE, right, right)})


@pytest.mark.parametrize(
    ("trial", "control", "minutes", "kind", "benefit"),
    [
        (0.9, 0.8, 60, "hold", True),  # clear long before the planned end
        (0.7, 0.8, 60, "harm", False),
        (0.8, 0.8, 60, "hold", False),
        (0.8, 0.8, 101, "timeout", False),  # the planned maximum is reached
    ],
)
def test_a_look_decides_what_is_clear_and_the_last_one_ends(trial, control, minutes, kind, benefit):
    row, verdict = looked(row_with(trial, control, minutes, 4000), Verdict())
    assert (verdict.kind, verdict.benefit) == (kind, benefit)
    assert row.experiments[0].looks == min(LOOKS, int(LOOKS * minutes * PER_MINUTE / 4000))


def test_nothing_is_looked_at_twice_and_a_crossing_is_remembered():
    row, _ = looked(row_with(0.9, 0.8, 60, 4000), Verdict())
    again, verdict = looked(row, Verdict())
    assert again == row
    assert verdict.benefit


def test_without_a_plan_the_verdict_stays():
    verdict = Verdict()
    assert looked(row_with(0.9, 0.8, 60, 0), verdict)[1] is verdict


def test_the_bounds_fall_to_about_that_of_one_test():
    found = bounds(SHARES, 0.05)
    assert found[0] > 6 and found[-1] == pytest.approx(2.12, abs=0.01)
    assert list(found) == sorted(found, reverse=True)
    assert found[-1] < 1.1 * 1.96


@pytest.mark.simulation
def test_equal_arms_are_rarely_told_apart():
    wrong = 0
    for seed in range(120):
        row, verdict = row_with(0.8, 0.8, 0, 1600, seed), Verdict()
        rnd = random.Random(seed)
        for minute in range(41):
            assert row.trial is not None
            row = msgspec.structs.replace(row, trial=observe(row.trial, minute, cell(rnd, 0.8), cell(rnd, 0.8)))
            row, verdict = looked(row, Verdict())
            if verdict.kind == "harm" or verdict.benefit:
                wrong += 1
                break
    assert wrong <= 13  # 6 expected at 5 %; more than 13 of 120 has a chance of 0.3 %
