"""What every gateway does, whatever is behind it."""

import asyncio

import msgspec
import pytest

from agents.actuate import actuate
from app.core.actuation import idempotency_key
from app.core.actuator import Actuator, Rules
from app.core.freeze import Freezes
from app.core.ports import Conflict, Refused, Unavailable
from tests.core.splits import TRIAL, decode_command, logged, split, trial


async def put(rig, one, if_match=None, key=""):
    return await rig.gateway.apply(one, if_match, key or idempotency_key(one, if_match))


async def test_what_was_never_put_is_not_there(rig):
    assert await rig.gateway.read("bot") is None


async def test_a_split_comes_back_as_it_was_put(rig):
    fields = {
        "score_rates": {"trial": 1 / 3},
        "decided_at_s": 1_700_000_000,
        "weights": {"*": {"big": 0.1, "small": 0.9}},
    }
    if "slices" in rig.able:
        fields |= {"holdout_share": 0.05, "baseline": "big", "segment_by": "region", "segments": ("eu",)}
        fields["weights"] = {"*": {"big": 0.1, "small": 0.9}, "eu": {"big": 1.0}}
    rich = trial(3, service="a b/ü%?", **fields)
    ack = await put(rig, rich)
    applied = await rig.gateway.read("a b/ü%?")
    assert applied.split == rich
    assert applied.etag == ack.etag


@pytest.mark.parametrize("more", [{"share": 0.075, "arms": ("small", "big")}, {"share": 0.0, "mirrored": True}])
async def test_several_challengers_and_copies_come_back_as_they_were_put(rig, more):
    if "slices" not in rig.able:
        pytest.skip("a trial in slices is more than it can do")
    one = split(2, trial=msgspec.structs.replace(TRIAL, **more))
    await put(rig, one)
    assert (await rig.gateway.read("bot")).split == one


async def test_the_same_key_acts_once_and_answers_the_same(rig):
    first = await put(rig, split(1), key="k")
    assert await put(rig, split(1), key="k") == first
    assert rig.store.changes == 1


async def test_a_key_with_another_split_is_refused(rig):
    await put(rig, split(1), key="k")
    with pytest.raises(Refused, match="key"):
        await put(rig, split(2), key="k")


async def test_another_state_than_the_one_read_is_a_conflict(rig):
    old = await put(rig, split(1))
    await put(rig, split(2), old.etag)
    with pytest.raises(Conflict):
        await put(rig, split(3), old.etag)
    assert (await rig.gateway.read("bot")).split == split(2)


async def test_a_first_split_where_there_is_one_is_a_conflict(rig):
    await put(rig, split(1))
    with pytest.raises(Conflict):
        await put(rig, split(2))


async def test_replacing_what_is_gone_is_a_conflict(rig):
    ack = await put(rig, split(1))
    rig.store.clear()
    with pytest.raises(Conflict):
        await put(rig, split(2), ack.etag)


async def test_an_older_version_is_ignored_and_the_answer_says_so(rig):
    ack = await put(rig, split(2))
    older = await put(rig, split(1), ack.etag)
    assert (older.status, older.etag) == ("ignored", ack.etag)
    assert (await rig.gateway.read("bot")).split == split(2)


async def test_a_live_split_never_replaces_the_revert_of_its_version(rig):
    ack = await put(rig, split(2, frozen=True))
    assert (await put(rig, trial(2), ack.etag)).status == "ignored"


async def test_a_revert_replaces_the_trial_of_its_version(rig):
    ack = await put(rig, trial(2))
    frozen = split(2, frozen=True)
    assert (await rig.gateway.revert(frozen, ack.etag, "k")).status == "applied"
    assert (await rig.gateway.read("bot")).split == frozen


async def test_a_revert_is_guarded_and_idempotent_too(rig):
    ack = await put(rig, trial(2))
    frozen = split(2, frozen=True)
    with pytest.raises(Conflict):
        await rig.gateway.revert(frozen, "other", "k1")
    first = await rig.gateway.revert(frozen, ack.etag, "k2")
    assert await rig.gateway.revert(frozen, ack.etag, "k2") == first
    assert rig.store.changes == 2


async def test_a_revert_of_a_service_without_a_split_is_its_first_one(rig):
    assert (await rig.gateway.revert(split(2, frozen=True), None, "k")).status == "applied"


async def test_a_revert_that_is_not_frozen_is_refused(rig):
    with pytest.raises(Refused):
        await rig.gateway.revert(split(2), None, "k")


async def test_the_same_split_again_changes_nothing(rig):
    ack = await put(rig, split(2))
    again = await put(rig, split(2), ack.etag)
    assert (again.status, again.etag) == ("unchanged", ack.etag)
    assert rig.store.changes == 1


async def test_a_split_put_back_after_a_change_by_hand_acts_again(rig):
    first = await put(rig, split(2))
    by_hand = split(2, weights={"*": {"small": 1.0}})
    for _ in range(2):
        changed = rig.store.put(by_hand, first.etag)
        first = await put(rig, split(2), changed.etag)
        assert (await rig.gateway.read("bot")).split == split(2)


async def test_a_split_traffic_cannot_be_sent_by_is_refused_and_the_last_good_one_stays(rig):
    ack = await put(rig, split(1))
    with pytest.raises(Refused, match="nobody"):
        await put(rig, split(2, incumbent="nobody"), ack.etag)
    assert (await rig.gateway.read("bot")).split == split(1)


@pytest.mark.parametrize("failure", ["down", "busy", "garbage"])
async def test_without_a_usable_answer_it_is_unavailable_and_nothing_happened(rig, failure):
    rig.break_it(failure)
    with pytest.raises(Unavailable):
        await rig.gateway.read("bot")
    with pytest.raises(Unavailable):
        await put(rig, split(1))
    rig.break_it("")
    assert await rig.gateway.read("bot") is None


async def test_a_busy_gateway_says_how_long_to_wait(rig):
    rig.break_it("busy")
    with pytest.raises(Unavailable) as caught:
        await rig.gateway.read("bot")
    assert caught.value.retry_after_s > 0


async def test_after_a_lost_answer_reading_shows_what_was_done_and_repeating_it_is_harmless(rig):
    rig.break_it("lost-answer")
    with pytest.raises(Unavailable):
        await put(rig, split(1))
    rig.break_it("")
    applied = await rig.gateway.read("bot")
    assert applied.split == split(1)
    assert await put(rig, split(1)) == msgspec.structs.replace(await put(rig, split(1)), etag=applied.etag)
    assert rig.store.changes == 1


async def test_it_plans_in_words_without_asking_anybody(rig):
    rig.break_it("down")
    assert "version: 1 -> 2" in rig.gateway.plan(split(1), split(2)).changes
    assert set(rig.gateway.plan(None, trial(1)).unsupported) <= {"sticky"}
    assert rig.gateway.name


async def test_the_actuator_brings_it_to_the_newest_split_through_every_failure(rig):
    freezes = Freezes(decode_command)
    freezes.complete()
    engine = Actuator(Rules(gateway="g", recheck_s=5, backoff_s=1, backoff_limit_s=4), freezes)
    now = 0.0
    for version, failure in enumerate(("down", "busy", "garbage", "lost-answer", ""), 1):
        engine.fold(logged(trial(version), start=engine.position))
        rig.break_it(failure)
        for _ in range(3):
            await actuate(engine, rig.gateway, now)
            now += 5
    assert (await rig.gateway.read("bot")).split == trial(5)
    rig.store.clear()
    await actuate(engine, rig.gateway, now + 5)
    assert (await rig.gateway.read("bot")).split == trial(5)


async def test_what_one_service_is_refused_does_not_touch_the_others(rig):
    freezes = Freezes(decode_command)
    freezes.complete()
    engine = Actuator(Rules(gateway="g", recheck_s=5, backoff_s=1, backoff_limit_s=4), freezes)
    bad = split(1, service="b", incumbent="nobody")
    engine.fold(logged(split(1, service="a"), bad, split(1, service="c")))
    await actuate(engine, rig.gateway, 0.0)
    assert [(await rig.gateway.read(service)) is not None for service in "abc"] == [True, False, True]
    assert engine.counts["refused"] == 1


async def test_two_actuators_on_one_service_do_no_harm(rig):
    engines = []
    for _ in range(2):
        freezes = Freezes(decode_command)
        freezes.complete()
        engines.append(Actuator(Rules(gateway="g", recheck_s=5, backoff_s=1, backoff_limit_s=4), freezes))
    for version in (1, 2):
        for engine in engines:
            engine.fold(logged(split(version), start=engine.position))
        before = rig.store.changes
        for now in (10.0 * version, 10.0 * version + 5):
            await asyncio.gather(*(actuate(engine, rig.gateway, now) for engine in engines))
        assert (await rig.gateway.read("bot")).split == split(version)
        acted = rig.store.changes - before
        assert acted == 1 if rig.conditional else 1 <= acted <= 2
    assert [engine.counts["refused"] for engine in engines] == [0, 0]


async def test_it_states_what_it_can_do_and_refuses_what_it_cannot(rig):
    assert rig.gateway.capabilities == rig.able
    wanted = trial(1, holdout_share=0.05)
    missing = {"slices", "sticky"} - rig.able
    assert set(rig.gateway.plan(None, wanted).unsupported) == missing
    if missing:
        with pytest.raises(Refused, match="slices"):
            await put(rig, wanted)
        assert await rig.gateway.read("bot") is None
