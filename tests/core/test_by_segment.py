"""Simpson's paradox: an arm that wins on the whole and loses in a part does not take over there."""

import msgspec
import pytest

from app.core.by_segment import Pair, differences, harmed, stratified
from app.core.stats.reference import Sums


def right(n, share):
    return Sums(n, n * share, n * share)


REVERSED = {  # better in each part, worse on the whole: the trial got the hard requests
    "easy": Pair(right(870, 0.93), right(2700, 0.87)),
    "hard": Pair(right(2630, 0.73), right(800, 0.69)),
}


def test_the_difference_within_segments_does_not_follow_their_mix():
    trial, control = (sum((getattr(p, side) for p in REVERSED.values()), Sums()) for side in ("trial", "control"))
    assert trial.total / trial.n < control.total / control.n
    found = differences(REVERSED, 0.05)
    inside = stratified(found)
    assert inside is not None and 0.04 < inside < 0.06
    assert harmed(found, 0.05) == ()


def test_certain_harm_in_one_segment_is_named():
    by = {"question": Pair(right(4000, 0.9), right(4000, 0.8)), "complaint": Pair(right(2000, 0.5), right(2000, 0.8))}
    found = differences(by, 0.05)
    assert harmed(found, 0.05) == ("complaint",)
    assert harmed(found, 0.35) == ()
    assert found["question"].low is not None and found["question"].low > 0


@pytest.mark.parametrize("by", [{}, {"a": Pair()}, {"a": Pair(right(5, 1.0), Sums())}])
def test_nothing_known_harms_nothing(by):
    assert harmed(differences(by, 0.05), 0.0) == ()
    assert stratified({}) is None


def test_it_is_kept_as_bytes():
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(REVERSED), type=dict[str, Pair]) == REVERSED
