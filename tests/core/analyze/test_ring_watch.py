"""Pane series against their own ring: what the CUSUM does, and what the detector of the document adds."""

import math
from itertools import count
from random import Random

import pytest

from app.core.analyze.ring_watch import LIMIT_N, RingWatch, enough, packed, step_ring, step_sums, unpacked
from app.core.analyze.series import Moved
from app.core.analyze.thresholds import Budget, tuned


def run(values: list[float], limit: float, look: str = "") -> tuple[RingWatch, list[Moved]]:
    """``look`` is asked at every fifteenth value."""
    watch, moves = RingWatch(), list[Moved]()
    for i, x in zip(count(1), values, strict=False):
        watch, moved = step_ring(watch, x, limit, 60 * i, look=look if i % 15 == 0 else "")
        moves.append(moved)
    return watch, moves


def noise(n: int, level: float = 5.0, sd: float = 0.05) -> list[float]:
    rnd = Random(1)
    return [rnd.gauss(level, sd) for _ in range(n)]


def test_a_step_is_told_and_its_end_too() -> None:
    _, moves = run([*noise(60), *noise(20, 5.3), *noise(40)], 10.0)
    assert moves[:60] == [""] * 60
    assert moves.index("raised") < 64 and 85 <= moves.index("cleared") < 110


def jumped(limit: float, look: str) -> RingWatch:
    """A level that rose before a long while: the CUSUM's reference has taken half of it in, the ring has both."""
    values = [*noise(60), *noise(60, 5.3)]
    ring = RingWatch(packed(tuple(values)))
    return step_ring(ring, 5.3, limit, 60, look=look)[0]


@pytest.mark.parametrize("name", ["river.drift.ADWIN", "river.drift.PageHinkley", "river.drift.KSWIN"])
def test_the_named_detector_sees_what_the_reference_has_taken_in(name: str) -> None:
    assert jumped(10.0, "").out is None
    out = jumped(10.0, name).out
    assert out is not None and out.value == pytest.approx(5.3, abs=0.02) and out.usual == pytest.approx(5.0, abs=0.1)


def test_a_word_of_it_without_evidence_or_inside_what_is_no_move_is_no_alarm() -> None:
    assert jumped(1e6, "river.drift.ADWIN").out is None
    ring = RingWatch(packed((*noise(60), *noise(60, 5.3))))
    assert step_ring(ring, 5.3, 10.0, 60, look="river.drift.ADWIN", above=0.4, below=0.4)[0].out is None


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_what_cannot_be_is_left_out_or_bounded(x: float) -> None:
    watch, _ = run(noise(60), 10.0)
    after, _ = step_ring(watch, x, math.inf, 60 * 61, look="")
    assert all(math.isfinite(value) for value in unpacked(after)) and math.isfinite(after.up + after.down)
    again, _ = step_ring(step_ring(watch, 5.3, 1e-9, 60 * 61, look="")[0], x, 10.0, 60 * 62, look="")
    assert again.out is not None and math.isfinite(again.out.value)


LIMIT = tuned(Budget(alarms_per_week=1.0, series=32), LIMIT_N).cusum


def alarms(panes: int, busy: int, quiet: int, least: float, sigma: float = 1.2) -> int:
    """Of mean lengths, lognormal, in which nothing happens: hours of ``busy`` answers a pane, then of ``quiet`` ones."""
    rnd, watch, raised = Random(7), RingWatch(), 0
    for minute in range(panes):
        n = busy if minute % 360 < 180 else quiet
        total = sum(rnd.lognormvariate(5.0, sigma) for _ in range(n))
        watch, moved = step_sums(
            watch, n, total, n, least, LIMIT, 60 * minute, look="", above=math.log1p(0.125), below=math.log1p(0.125)
        )  # fmt: skip
        raised += moved == "raised"
    return raised


@pytest.mark.simulation
def test_quiet_hours_after_busy_ones_are_no_change_once_values_stand_for_enough() -> None:
    assert alarms(4_000, 60, 3, least=1) >= 3
    assert alarms(4_000, 60, 3, least=enough(0.25)) == 0


def test_panes_with_few_answers_wait_for_each_other_and_a_change_is_still_seen() -> None:
    watch, moves, least = RingWatch(), list[Moved](), enough(0.25)
    rnd = Random(3)
    for minute in range(500):
        tokens = 200.0 if minute < 400 else 300.0
        total = sum(rnd.expovariate(1.0 / tokens) for _ in range(10))
        watch, moved = step_sums(watch, 10, total, 10, least, LIMIT, 60 * minute, look="", above=0.11, below=0.11)
        moves.append(moved)
    assert len(unpacked(watch)) <= 500 * 10 // least
    assert moves[:400] == [""] * 400
    assert "raised" in moves[400:]


def test_a_look_that_falls_into_a_wait_is_made_up_for() -> None:
    watch = RingWatch(packed((*noise(60), *noise(60, 5.3))))
    due, _ = step_sums(watch, 10, 10 * math.exp(5.3), 10, 20, 10.0, 60, look="river.drift.ADWIN")
    assert due.due and due.out is None
    out = step_sums(due, 10, 10 * math.exp(5.3), 10, 20, 10.0, 120, look="", name="river.drift.ADWIN")[0].out
    assert out is not None
