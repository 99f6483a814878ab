"""Pane series against their own ring: what the CUSUM does, and what the detector of the document adds."""

import math
from itertools import count
from random import Random

import pytest

from app.core.analyze.ring_watch import RingWatch, packed, step_ring, unpacked
from app.core.analyze.series import Moved


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
