"""A quota per producer and minute: who is over it is dead-lettered, the same events again after any crash."""

import random
from collections import Counter

import pytest

from app.core import facts
from app.core.batch import Batch
from app.core.events import ResponseEvent
from app.core.fold import Fold
from app.core.ports import Record
from app.core.quota import MAX_PRODUCERS, OTHERS, Quota, Spent
from tests.core.engine import world

BASE_S = 1_762_683_300 // 60 * 60


def event(number: int, source: str, second: int = 0) -> bytes:
    return world.encode(
        ResponseEvent(
            id=f"e{number}",
            source=source,
            type="response",
            time=world.response("x", BASE_S + second, "s0", "a").time,
            data=world.response("x", BASE_S, "s0", "a").data,
        )
    )


def folded(*values: bytes, quota: Quota, headers: list[tuple[tuple[str, bytes], ...]] | None = None) -> Fold:
    fold = world.make_fold("llm.responses-0", quota=quota)(None)
    offsets = list(range(len(values)))
    fold.fold(
        Batch(
            "llm.responses-0",
            list(values),
            offsets,
            start=0,
            end=len(values),
            segments=[(len(values), 1 << 52)],
            headers=list(headers) if headers else None,
        )
    )
    return fold


def letters(fold: Fold) -> list[dict[str, bytes]]:
    return [dict(r.headers) for phase in fold.cut().phases for r in phase if r.role == "dead_letters"]


def test_events_over_the_quota_are_dead_lettered_and_counted_and_the_others_are_not():
    values = [event(n, "/greedy") for n in range(5)] + [event(9, "/modest")]
    fold = folded(*values, quota=Quota(3))
    assert fold.counts == {"counted": 4, "rejected": 2, "rejected_over_quota": 2}
    found = letters(fold)
    assert [(one["reason"], one["source_offset"]) for one in found] == [(b"over_quota", b"3"), (b"over_quota", b"4")]
    assert found[0]["error"] == b"'/greedy' has had its 3 events of a minute in llm.responses-0"


def test_each_minute_has_its_own_quota_and_a_repeat_costs_nothing():
    values = [event(1, "/p"), event(1, "/p"), event(1, "/p"), event(2, "/p"), event(3, "/p", 60), event(4, "/p", 61)]
    assert folded(*values, quota=Quota(2)).counts == {"counted": 4, "duplicates": 2}


def test_a_header_may_name_the_producer():
    values = [event(n, f"/{n}") for n in range(4)]
    headers = [(("tenant", b"a"),), (("tenant", b"a"),), (("tenant", b"b"),), ()]
    assert folded(*values, quota=Quota(1, "tenant"), headers=headers).counts["rejected_over_quota"] == 1


def test_producers_without_end_share_a_quota():
    spent = Spent()
    for number in range(MAX_PRODUCERS + 50):
        spent.take(str(number))
    assert len(spent) == MAX_PRODUCERS + 1
    assert spent[OTHERS] == 50


def test_without_a_quota_nothing_is_counted_of_producers():
    fold = world.make_fold("llm.responses-0")(None)
    assert fold._quota is None
    assert fold._spent == {}


def test_what_is_counted_of_a_pane_goes_with_it():
    fold = folded(event(1, "/p"), event(2, "/p", 600), quota=Quota(9))
    fold.cut()
    assert set(fold._spent) == {(BASE_S + 600) // 60}


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(12))
def test_crashes_and_zombies_refuse_the_same_events(seed: int):
    rnd = random.Random(seed)
    log = [
        (n, event(n, rnd.choice(("/greedy", "/greedy", "/a", "/b")), n // 2 + rnd.randrange(20))) for n in range(400)
    ]
    log.append((400, event(400, "/tail", 4000)))

    def outcome(crashes: float) -> tuple[dict[tuple[str, int], int], dict[bytes, Record]]:
        landed, _ = world.stage1(
            random.Random(seed), "llm.responses-0", log, crashes=crashes, quota=Quota(20), topology={"llm.responses": 1}
        )
        count: dict[tuple[str, int], int] = Counter()
        for records in landed.facts.values():
            for value in records:
                fact = facts.decode(value)
                assert isinstance(fact, facts.Partials)
                for partial in fact.items:
                    count[partial.service, partial.pane] = sum(c.cell.n for c in partial.cells)
        return dict(count), {dict(r.headers)["source_offset"]: r for r in landed.dead}

    whole, torn = outcome(0.0), outcome(0.15)
    assert torn == whole
    assert len(whole[1]) > 20
