"""Recovered: an engine stands where its last owner stood."""

from app.core.ports import Point
from tests.core.engine import world
from tests.core.engine.test_idleness import beats, merge_with

BASE_S = 1_762_683_300 // 60 * 60


def test_ingest_has_recovered_once_it_has_read_what_was_sent_before():
    make = world.make_fold("llm.responses-0")
    first = make(None)
    assert first.recovered
    log = [(n, world.encode(world.response(f"e{n}", BASE_S + n, "s0", "a"))) for n in range(10)]
    first.fold(world.batch("llm.responses-0", log, 10))
    cut = first.cut()
    assert cut.point.offset == 0
    again = make(cut.point)
    again.fold(world.batch("llm.responses-0", log[:9], 9))
    stands = [again.recovered]
    again.fold(world.batch("llm.responses-0", log[9:], 10))
    assert [*stands, again.recovered] == [False, True]
    assert again.open_panes == 1


def test_optimize_has_recovered_once_it_has_read_the_facts_its_rows_know():
    merge = merge_with(900, [])
    assert merge.recovered
    merge.fold(world.batch("f-0", [(0, world.control_fact(0, "s0", "pause"))], 1))
    assert merge.modes == {"paused": 1}
    rows: dict[bytes, bytes] = {}
    windows: dict[bytes, bytes] = {}
    for phase in merge.cut().phases:
        for record in phase:
            if record.role in ("services", "windows") and record.key is not None and record.value is not None:
                (rows if record.role == "services" else windows)[record.key] = record.value
    from app.core.merge import Merge

    again = Merge(0, Point(0, ""), rows, windows, writer="w2", lateness_s=30, silent_s=900, to_record=world.to_record)
    stands = [again.recovered]
    again.fold(world.batch("f-0", [(0, world.control_fact(0, "s0", "pause"))], 1))
    assert [*stands, again.recovered] == [False, True]


def test_the_group_watermark_is_the_slowest_sources():
    merge = merge_with(900, [])
    beats(merge, "t-0", 0, 3, BASE_S)
    assert merge.watermark <= BASE_S
