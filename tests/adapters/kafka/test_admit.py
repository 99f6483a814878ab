"""Rule L1 and rule L10: what is folded, dropped, asked for again."""

from faust.types import TP

from app.adapters.kafka.admit import ReadOffsets, Resync, admit
from tests.adapters.kafka.worlds import batch


def test_a_batch_that_continues_is_folded():
    assert admit(10, batch(10, 5)) == "fold"


def test_a_batch_that_was_folded_before_is_dropped():
    assert admit(15, batch(10, 5)) == "drop"


def test_a_batch_after_a_hole_asks_for_a_seek():
    assert admit(9, batch(10, 5)) == "seek"


def test_an_overlap_is_trimmed_to_what_is_new():
    overlapping = batch(10, 5)
    assert admit(12, overlapping) == "fold"
    assert (overlapping.start, overlapping.first, len(overlapping.values)) == (12, 12, 3)


def test_a_batch_of_only_control_records_moves_the_position_without_records():
    empty = batch(10, 0)
    empty.end = 12
    assert admit(10, empty) == "fold"


def test_a_hole_is_asked_for_again_only_after_a_second():
    resync = Resync()
    assert resync.due("t-0", 9, now_s=0.0)
    assert not resync.due("t-0", 9, now_s=0.9)
    assert resync.due("t-0", 9, now_s=1.1)
    assert resync.count == 2


def test_another_hole_is_asked_for_at_once():
    resync = Resync()
    resync.due("t-0", 9, now_s=0.0)
    assert resync.due("t-0", 11, now_s=0.1)


def test_read_offsets_of_lane_topics_are_never_seen_and_others_are():
    offsets = ReadOffsets(frozenset({"hot"}))
    offsets[TP("hot", 0)] = 7
    offsets[TP("cold", 0)] = 7
    assert offsets[TP("hot", 0)] is None
    assert offsets[TP("cold", 0)] == 7
    assert offsets[TP("cold", 1)] is None
