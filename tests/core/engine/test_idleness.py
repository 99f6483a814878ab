"""Sources that stop: what idle ones may claim (I5), how long silent ones hold a close (O4, O9), clocks that lie (I2)."""

from typing import Any

import msgspec

from app.core import facts
from app.core.events import ResponseEvent
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.ports import Record
from tests.core.engine import world
from tests.core.engine.world import BASE_S


def fold_of(*events: ResponseEvent, append_s: int = 1 << 40, **more: object) -> Fold:
    fold = world.make_fold("a-0", **more)(None)
    log = [(i, world.encode(event)) for i, event in enumerate(events)]
    fold.fold(world.batch("a-0", log, len(log), append_s * 1000))
    return fold


def sent(fold: Fold) -> list[facts.Partials]:
    cut = fold.cut()
    fold.acked(cut)
    return [facts.decode(r.value or b"") for r in cut.phases[0] if r.role == "facts"]


def partials(fold: Fold) -> list[facts.Partial]:
    return [item for record in sent(fold) for item in record.items]


def merge_with(silent_s: int, said: list[dict[str, Any]]) -> Merge:
    def keep(output: Any) -> Record:
        said.append(msgspec.json.decode(output.data))
        return Record(output.role, None, output.data)

    return Merge(0, None, {}, {}, writer="w", lateness_s=0, silent_s=silent_s, to_record=keep)


def tell(
    merge: Merge,
    source: str,
    log_s: int,
    *,
    watermark: int | None = None,
    idle: int | None = None,
    items: list[facts.Partial] | None = None,
) -> None:
    at = merge.position
    value = facts.encode(facts.Partials(source, watermark, idle, {"a": 2}, items or []))
    merge.fold(world.batch("facts-0", [(at, value)], at + 1, log_s * 1000))


def test_an_open_pane_is_not_sent_before_it_closes() -> None:
    fold = fold_of(world.response("e", BASE_S, "s0", "m"))
    assert partials(fold) == []


def test_a_source_that_claims_to_be_idle_first_sends_what_it_holds() -> None:
    fold = fold_of(world.response("e", BASE_S, "s0", "m"))
    fold.set_idle(BASE_S + 500)
    records = sent(fold)
    assert [(item.service, item.full) for record in records for item in record.items] == [("s0", True)]
    assert all(record.idle == BASE_S + 500 for record in records)
    assert partials(fold) == []


def test_what_comes_after_an_idle_claim_is_sent_again_in_full() -> None:
    fold = fold_of(world.response("e", BASE_S, "s0", "m"))
    fold.set_idle(BASE_S + 500)
    partials(fold)
    later = [
        (1, world.encode(world.response("f", BASE_S + 1, "s0", "m"))),
        (2, world.encode(world.response("g", BASE_S + 400, "s0", "m"))),
    ]
    fold.fold(world.batch("a-0", later, 3))
    [final] = partials(fold)
    assert (final.hwm, final.full, final.cells[0].cell.n) == (1, True, 2)


def beats(merge: Merge, source: str, from_s: int, to_s: int, watermark: int) -> None:
    """Marks of ``source`` every two seconds of log time, its watermark moving with them; ``to_s`` is not included."""
    for log_s in range(from_s, to_s, 2):
        tell(merge, source, log_s, watermark=watermark + (log_s - from_s) // 10)


def test_a_source_knows_after_a_restart_that_its_events_followed_the_clock_though_nothing_is_read_again() -> None:
    fold = fold_of(
        world.response("e", BASE_S, "s0", "m"), world.response("f", BASE_S + 600, "s0", "m"), append_s=BASE_S + 601
    )
    late = [(2, world.encode(world.response("late", BASE_S, "s0", "m")))]
    fold.fold(world.batch("a-0", late, 3, (BASE_S + 900) * 1000))
    sent(fold)
    again = world.make_fold("a-0")(fold.point)
    assert (fold.appended_s, again.appended_s) == (BASE_S + 601, BASE_S + 601)


def test_idleness_moves_the_group_but_a_source_without_a_mark_holds_it() -> None:
    merge = merge_with(10**6, [])
    tell(merge, "a-0", 1, watermark=BASE_S + 600)
    assert merge.closed == facts.NEVER
    tell(merge, "a-1", 2, idle=BASE_S + 300)
    assert merge.closed == (BASE_S + 300) // 60 - 1


def test_a_silent_source_holds_every_close_and_after_its_time_closes_are_incomplete() -> None:
    said: list[dict[str, Any]] = []
    merge = merge_with(900, said)
    [partial] = partials(fold_of(world.response("e", BASE_S, "s0", "m"), world.response("t", BASE_S + 600, "s9", "z")))[
        :1
    ]
    tell(merge, "a-0", 1_000, watermark=BASE_S + 600, items=[partial])
    beats(merge, "a-0", 1_002, 1_900, BASE_S + 601)
    assert said == []
    assert merge.silent(120_000) == ["a-1"]
    beats(merge, "a-0", 1_900, 1_920, BASE_S + 690)
    assert {row["complete"] for row in said} == {False}
    assert sum(row["count"] for row in said if row["arm"] == "m" and row["window_s"] == 60) == 1


def test_a_source_whose_marks_come_but_never_move_is_silent_too() -> None:
    merge = merge_with(900, [])
    tell(merge, "a-1", 1_000, watermark=BASE_S)
    for log_s in range(1_000, 1_920, 2):
        tell(merge, "a-0", log_s, watermark=BASE_S + log_s)
        tell(merge, "a-1", log_s, watermark=BASE_S)
    assert merge.silent(120_000) == ["a-1"]
    assert merge.closed == (BASE_S + 1_918) // 60 - 1


def test_an_outage_of_all_leaves_nobody_behind() -> None:
    merge = merge_with(900, [])
    for source in ("a-0", "a-1"):
        tell(merge, source, 1_000, watermark=BASE_S)
    tell(merge, "a-0", 100_000, watermark=BASE_S + 90_000)
    assert merge.silent(120_000) == []
    assert merge.closed == BASE_S // 60 - 1
    tell(merge, "a-1", 100_001, watermark=BASE_S + 90_000)
    assert merge.closed == (BASE_S + 90_000) // 60 - 1


def test_before_the_first_event_anywhere_nobody_is_silent() -> None:
    merge = merge_with(900, [])
    for log_s in range(1_000, 5_000, 2):
        tell(merge, "a-0", log_s)
    assert merge.silent(0) == []
    tell(merge, "a-0", 5_000, watermark=BASE_S + 600)
    beats(merge, "a-0", 5_002, 5_800, BASE_S + 601)
    assert merge.closed == facts.NEVER
    beats(merge, "a-0", 5_800, 5_910, BASE_S + 700)
    assert merge.closed > facts.NEVER


def test_a_topic_taken_out_of_the_settings_stops_marking_closes_incomplete() -> None:
    said: list[dict[str, Any]] = []
    merge = merge_with(900, said)
    value = facts.encode(facts.Partials("gone-0", BASE_S, None, {"gone": 1}, []))
    merge.fold(world.batch("facts-0", [(0, value)], 1, 1_000_000))
    beats(merge, "a-0", 2_000, 3_000, BASE_S)
    tell(merge, "a-1", 3_000, watermark=BASE_S)
    assert [name for name in merge.silent(0) if name.startswith("gone")] == []


def test_an_event_from_the_future_counts_at_the_broker_s_clock_plus_the_allowed_lead() -> None:
    fold = fold_of(world.response("e", BASE_S + 86_400, "s0", "m"), append_s=BASE_S)
    assert fold.watermark == BASE_S + 30


def test_a_time_that_is_none_is_dead_lettered_with_its_place() -> None:
    event = msgspec.structs.replace(world.response("e", BASE_S, "s0", "m"), time="yesterday")
    fold = fold_of(event)
    [record] = [r for r in fold.cut().phases[0] if r.role == "dead_letters"]
    headers = dict(record.headers)
    assert (headers["reason"], headers["source_topic"], headers["source_offset"]) == (b"bad_time", b"a", b"0")


def test_a_name_that_no_service_may_have_is_dead_lettered() -> None:
    fold = fold_of(world.response("e", BASE_S, "*", "m"), world.response("f", BASE_S, "s0", "\x00m"))
    assert fold.counts["rejected_bad_service_name"] == 1
    assert fold.counts["rejected_bad_arm_name"] == 1


def test_cells_beyond_the_bound_share_one_and_are_counted() -> None:
    fold = fold_of(*(world.response(f"e{i}", BASE_S, "s0", f"m{i}") for i in range(600)))
    fold.set_idle(BASE_S)
    [partial] = partials(fold)
    assert len(partial.cells) == 513
    assert fold.counts["overflow_cells"] == 88
    assert sum(c.cell.n for c in partial.cells) == 600


def test_a_cut_that_was_not_acked_poisons_the_engine() -> None:
    fold = fold_of(world.response("e", BASE_S, "s0", "m"))
    fold.cut()
    try:
        fold.cut()
    except RuntimeError as error:
        assert "rebuild" in str(error)
    else:
        raise AssertionError("a second cut was allowed")
