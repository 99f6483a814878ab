"""A command that is produced twice is one command (its repeat is the same CloudEvent at another offset)."""

from app.core import facts
from app.core.commands import COMMAND
from app.core.merge import ORDERS_KEPT, Merge
from app.core.ports import Point
from tests.core.engine import world
from tests.core.engine.world import BASE_S, Store


def order(id_: str, offset: int, service: str = "s0", name: str = "pause") -> bytes:
    event = world.command(id_, service, name)
    return facts.encode(facts.ControlFact("llm.commands-0", offset, service, COMMAND, id_, BASE_S, event.data))


def merge_of(store: Store, point: Point | None, writer: str) -> Merge:
    return Merge(
        0, point, dict(store.services), dict(store.windows),
        writer=writer, lateness_s=0, silent_s=10**6, to_record=world.to_record,
    )  # fmt: skip


def fold(merge: Merge, *values: bytes) -> None:
    log = [(merge.position + i, value) for i, value in enumerate(values)]
    merge.fold(world.batch("facts-0", log, log[-1][0] + 1))


def said(merge: Merge, store: Store) -> int:
    """Decisions in all so far, by distinct id."""
    cut = merge.cut()
    for phase in cut.phases:
        for record in phase:
            store.put(record)
    merge.acked(cut)
    return len({id_ for id_, _ in store.outputs})


def test_a_command_produced_twice_is_obeyed_once() -> None:
    store = Store()
    merge = merge_of(store, None, "w1")
    fold(merge, order("a", 0), order("a", 1))
    assert said(merge, store) == 1
    assert merge.counts["repeated_commands"] == 1


def test_also_when_another_owner_reads_the_repeat() -> None:
    store = Store()
    first = merge_of(store, None, "w1")
    fold(first, order("a", 0))
    assert said(first, store) == 1
    second = merge_of(store, first.point, "w2")
    fold(second, order("a", 1))
    assert said(second, store) == 1


def test_the_same_order_given_again_is_another_command() -> None:
    store = Store()
    merge = merge_of(store, None, "w1")
    fold(merge, order("a", 0), order("b", 1))
    assert said(merge, store) == 2


def test_an_id_used_for_two_orders_by_two_producers_is_two_commands() -> None:
    store = Store()
    merge = merge_of(store, None, "w1")
    fold(merge, order("1", 0, name="pause"), order("1", 1, name="resume"))
    assert said(merge, store) == 2


def test_what_is_remembered_of_commands_is_bounded() -> None:
    store = Store()
    merge = merge_of(store, None, "w1")
    fold(merge, *(order(f"c{i}", i) for i in range(3 * ORDERS_KEPT)))
    assert said(merge, store) == 3 * ORDERS_KEPT
    assert all(len(kept.orders) == ORDERS_KEPT for name, kept in merge._rows.values.items() if name == "s0")
