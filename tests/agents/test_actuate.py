"""The loop: read, decide, act, tell."""

from collections.abc import Callable

import msgspec
import pytest

from app.adapters.gateways.memory import MemoryGateway
from app.core.actuation import Apply, Nothing
from app.core.actuator import Actuator
from app.core.freeze import Freezes
from app.core.outputs import ACCEPTED, FAILED, FINDING
from app.core.ports import Ack, Applied, Conflict, Refused
from tests.agents.world import RULES, World, header, told, types
from tests.core.splits import batch, decode_command, logged, split, trial


async def test_a_new_split_reaches_the_gateway_and_is_told_once():
    world = World()
    world.publish(split(1))
    assert await world.tick() == 1
    assert world.held() == split(1)
    (accepted,) = world.write()
    assert types([accepted]) == [ACCEPTED]
    assert (accepted.role, accepted.key, header(accepted, "ce_source")) == (
        "optimizations",
        b"bot",
        "/llm-optimizer/actuate",
    )
    assert told(accepted)["decision_id"] == "d1"
    await world.drive(30)
    assert world.write() == []


async def test_nothing_is_done_before_every_command_is_known():
    world = World()
    world.freezes.known = False
    world.publish(split(1))
    assert await world.tick() == 0
    assert world.held() is None


async def test_only_the_newest_of_several_splits_is_applied():
    world = World()
    world.publish(split(1), split(3), split(2))
    await world.tick()
    assert world.held() == split(3)
    assert world.gateway.store.changes == 1


async def test_an_older_split_that_comes_later_is_ignored():
    world = World()
    world.publish(split(3))
    await world.tick()
    world.publish(split(2))
    await world.drive(20)
    assert world.held() == split(3)
    assert world.gateway.store.changes == 1


async def test_killed_between_apply_and_outcome_it_applies_once_and_tells_it_with_the_same_bytes():
    world = World()
    world.publish(split(1))
    await world.tick()
    (lost,) = world.engine.cut().phases[0]
    world.restart()
    await world.tick()
    (said,) = world.write()
    assert said == lost
    assert world.gateway.store.changes == 1


async def test_an_answer_lost_after_the_act_is_found_by_reading():
    world = World()
    world.publish(split(1))
    world.gateway.failure = "lost-answer"
    await world.tick()
    assert world.write() == []
    world.gateway.failure = ""
    await world.tick(1)
    assert types(world.write()) == [ACCEPTED]
    assert world.gateway.store.changes == 1


async def test_after_an_outage_of_minutes_only_the_newest_split_is_applied():
    world = World()
    world.gateway.failure = "down"
    for version in range(1, 6):
        world.publish(trial(version))
        await world.drive(40)
    assert world.write() == []
    world.gateway.failure = ""
    await world.drive(10)
    assert world.held() == trial(5)
    assert world.gateway.store.changes == 1
    (accepted,) = world.write()
    assert told(accepted)["version"] == 5


async def test_calls_get_rarer_while_the_gateway_is_down():
    world = World()
    world.publish(split(1))
    world.gateway.failure = "down"
    await world.drive(40)
    assert world.engine.counts["unavailable"] == 3 + 40 // 8


async def test_a_gateway_that_asks_for_a_pause_gets_it():
    world = World()
    world.publish(split(1))
    world.gateway.failure = "busy"
    await world.tick()
    world.gateway.failure = ""
    assert await world.tick(1.9) == 0
    assert await world.tick(0.1) == 1


async def test_a_split_not_taken_by_the_deadline_is_told_once_and_still_tried():
    world = World()
    world.publish(split(1))
    world.gateway.failure = "down"
    await world.drive(58)
    assert world.write() == []
    await world.drive(200)
    (failed,) = world.write()
    assert types([failed]) == [FAILED]
    assert "60 s" in told(failed)["error"]
    world.gateway.failure = ""
    await world.drive(9)
    assert types(world.write()) == [ACCEPTED]


async def test_an_outage_after_the_split_was_taken_is_no_failure_of_it():
    world = World()
    world.publish(split(1))
    await world.tick()
    world.gateway.failure = "down"
    await world.drive(200)
    assert types(world.write()) == [ACCEPTED]


class Refusing(MemoryGateway):
    def __init__(self, refuses: str = "model big-1 is not allowed") -> None:
        super().__init__()
        self.refuses = refuses
        self.before: Callable[[], None] = lambda: None

    async def apply(self, split, if_match, idempotency_key):
        self.before()
        if self.refuses:
            raise Refused(self.refuses)
        return await super().apply(split, if_match, idempotency_key)


async def test_a_refusal_is_told_at_once_with_its_reason_and_a_newer_split_does_not_wait():
    world = World(gateway=Refusing())
    world.publish(split(1))
    await world.tick()
    await world.drive(60)
    (failed,) = world.write()
    assert types([failed]) == [FAILED]
    assert "model big-1 is not allowed" in told(failed)["error"]
    world.gateway.refuses = ""
    world.publish(split(2))
    await world.tick()
    assert world.held() == split(2)


async def test_a_split_refused_while_a_newer_one_arrived_does_not_speak_for_the_newer():
    world = World(gateway=Refusing())
    world.publish(split(1))
    world.gateway.before = lambda: world.publish(split(2))
    await world.tick()
    world.gateway.before = lambda: None
    (failed,) = world.write()
    assert told(failed)["version"] == 1
    world.gateway.refuses = ""
    await world.tick()
    assert world.held() == split(2)
    assert [told(record)["version"] for record in world.write()] == [2]


async def test_an_apply_overtaken_by_a_newer_split_is_followed_at_once():
    world = World(gateway=Refusing(""))
    world.publish(split(1))
    world.gateway.before = lambda: world.publish(split(2))
    await world.tick()
    world.gateway.before = lambda: None
    await world.tick()
    assert world.held() == split(2)
    assert [told(record)["version"] for record in world.write()] == [1, 2]


async def test_what_the_gateway_cannot_do_is_a_refusal():
    world = World(gateway=MemoryGateway(capabilities=frozenset(("weights",))))
    world.publish(trial(1))
    await world.tick()
    (failed,) = world.write()
    assert "slices" in told(failed)["error"]
    assert world.held() is None


async def test_a_gateway_without_stickiness_is_used_all_the_same():
    world = World(gateway=MemoryGateway(capabilities=frozenset(("weights", "slices"))))
    world.publish(trial(1))
    await world.tick()
    assert world.held() == trial(1)


async def test_one_bad_service_does_not_hold_up_the_others():
    class Partly(MemoryGateway):
        async def read(self, service):
            if service == "s3":
                raise Refused("s3 is not yours")
            return await super().read(service)

    world = World(gateway=Partly())
    world.publish(*(split(1, service=f"s{k}") for k in range(20)))
    await world.tick()
    assert world.gateway.store.services() == tuple(sorted(f"s{k}" for k in range(20) if k != 3))
    assert sorted(types(world.write())) == [ACCEPTED] * 19 + [FAILED]


async def test_a_gateway_that_lost_its_state_gets_it_back():
    world = World()
    world.publish(trial(4))
    await world.tick()
    world.gateway.store.clear()
    await world.tick(5)
    assert world.held() == trial(4)


async def test_two_actuators_after_a_rebalance_act_once():
    world = World()
    world.publish(split(1))
    first = world.engine
    world.restart()
    read = await world.gateway.read("bot")
    other = first.decide("bot", read, 0.0)
    await world.tick()
    assert isinstance(other, Apply)
    with pytest.raises(Conflict, match="has a split already"):
        await world.gateway.apply(other.split, other.if_match, "another key")
    assert world.gateway.store.changes == 1


class TestFreeze:
    async def test_it_reverts_an_open_trial_without_the_optimizer_at_the_next_look(self):
        world = World()
        world.publish(trial(2))
        await world.tick()
        world.command("freeze", "bot")
        await world.tick()
        assert world.held() == split(2, frozen=True)
        assert [told(record)["version"] for record in world.write()] == [2, 2]

    async def test_from_then_on_only_reverts_reach_the_gateway(self):
        world = World()
        world.publish(split(2))
        await world.tick()
        world.command("freeze")
        world.publish(trial(3))
        await world.drive(20)
        assert world.held() == split(2)
        world.publish(split(4, frozen=True))
        await world.drive(6)
        assert world.held() == split(4, frozen=True)

    async def test_hold_keeps_the_open_trial(self):
        world = World()
        world.publish(trial(2))
        await world.tick()
        world.command("freeze", "bot", hold=True)
        world.publish(split(3))
        await world.drive(20)
        assert world.held() == trial(2)

    async def test_it_survives_a_restart(self):
        world = World()
        world.publish(split(2))
        await world.tick()
        world.command("freeze")
        world.publish(trial(3))
        world.restart()
        await world.drive(20)
        assert world.held() == split(2)

    async def test_resume_lets_the_newest_split_through(self):
        world = World()
        world.publish(split(2))
        await world.tick()
        world.command("freeze")
        world.publish(trial(3))
        await world.drive(10)
        world.command("resume")
        await world.tick()
        assert world.held() == trial(3)

    async def test_of_two_services_only_the_named_one_is_frozen(self):
        world = World()
        world.command("freeze", "a")
        world.publish(split(1, service="a"), split(1, service="b"))
        await world.drive(10)
        assert (world.held("a"), world.held("b")) == (None, split(1, service="b"))

    async def test_a_gateway_that_lost_its_state_gets_back_what_it_had_not_what_came_since(self):
        world = World()
        world.publish(trial(2))
        await world.tick()
        world.command("freeze", "bot")
        world.publish(trial(3))
        await world.drive(6)
        world.gateway.store.clear()
        await world.drive(6)
        assert world.held() == split(2, frozen=True)

    @pytest.mark.parametrize("restarted", [False, True])
    async def test_what_it_had_is_known_from_the_answer_and_after_a_restart_from_reading(self, restarted):
        world = World()
        world.publish(trial(2))
        await world.tick()
        if restarted:
            world.restart()
            await world.tick()
        world.command("freeze", "bot")
        world.publish(trial(3))
        world.gateway.store.clear()
        await world.tick()
        assert world.held() == split(2, frozen=True)


class TestChangedByHand:
    def by_hand(self, world):
        held = world.gateway.store.read("bot")
        changed = msgspec.structs.replace(held.split, weights={"*": {"small": 1.0}})
        world.gateway.store.put(changed, held.etag)
        return changed

    async def test_it_is_put_back_and_told_as_a_finding(self):
        world = World()
        world.publish(split(2))
        await world.tick()
        world.write()
        self.by_hand(world)
        await world.drive(6)
        assert world.held() == split(2)
        (finding,) = world.write()
        assert (finding.role, types([finding])) == ("anomalies", [FINDING])
        assert told(finding)["detail"].startswith("weights: ")

    async def test_the_same_change_twice_is_put_back_twice_and_told_twice(self):
        world = World()
        world.publish(split(2))
        await world.tick()
        world.write()
        for _ in range(2):
            self.by_hand(world)
            await world.drive(6)
            assert world.held() == split(2)
        assert len({header(record, "ce_id") for record in world.write()}) == 2

    async def test_by_setting_the_service_is_frozen_as_it_is_until_resume(self):
        world = World(msgspec.structs.replace(RULES, on_drift="freeze"))
        world.publish(split(2))
        await world.tick()
        world.write()
        changed = self.by_hand(world)
        await world.drive(6)
        assert sorted(types(world.write())) == sorted([FINDING, FAILED])
        world.publish(split(3))
        await world.drive(20)
        assert world.held() == changed
        assert world.write() == []
        world.command("resume", "bot")
        await world.tick()
        assert world.held() == split(3)

    async def test_resume_without_a_newer_split_puts_the_old_one_back(self):
        world = World(msgspec.structs.replace(RULES, on_drift="freeze"))
        world.publish(split(2))
        await world.tick()
        self.by_hand(world)
        await world.drive(6)
        world.command("resume")
        await world.tick()
        assert world.held() == split(2)
        changed = self.by_hand(world)
        await world.drive(6)
        assert world.held() == changed

    async def test_a_revert_goes_through_even_then(self):
        world = World(msgspec.structs.replace(RULES, on_drift="freeze"))
        world.publish(split(2))
        await world.tick()
        self.by_hand(world)
        await world.drive(6)
        world.publish(split(3, frozen=True))
        await world.tick()
        assert world.held() == split(3, frozen=True)

    async def test_a_version_the_log_does_not_know_is_told_after_the_deadline(self):
        world = World()
        world.gateway.store.put(split(99))
        world.publish(split(2))
        await world.drive(59)
        assert world.write() == []
        await world.drive(60)
        (failed,) = world.write()
        assert "version 99" in told(failed)["error"]


async def test_versions_that_only_move_weights_are_applied_and_not_told_again():
    world = World()
    for version in range(1, 5):
        world.publish(split(version, decision_id="d1"))
        await world.drive(60)
        assert world.held() == split(version, decision_id="d1")
    assert types(world.write()) == [ACCEPTED]


async def test_moving_weights_do_not_put_off_the_deadline_of_their_decision():
    world = World()
    world.gateway.failure = "down"
    for version in range(1, 9):
        world.publish(split(version, decision_id="d1"))
        await world.drive(20)
    assert types(world.write()) == [FAILED]


class Forgetful(MemoryGateway):
    async def apply(self, split, if_match, idempotency_key):
        return Ack("applied", "e")


async def test_a_gateway_that_says_yes_and_does_not_keep_it_is_told_after_the_deadline():
    world = World(gateway=Forgetful())
    world.publish(split(1))
    await world.drive(100)
    assert types(world.write()) == [ACCEPTED, FAILED]


class TestTheLog:
    def test_bad_records_are_counted_and_change_nothing(self):
        engine = Actuator(RULES, Freezes(decode_command))
        bad = [b"{", b"[]", b'{"service": "bot"}', b'{"service": "\xff"}', b'{"x":' + b"[" * 50_000]
        engine.fold(batch(bad))
        assert (engine.counts["unreadable"], engine.rollouts, engine.position) == (5, {}, 5)

    def test_services_beyond_the_bound_are_counted(self):
        engine = Actuator(msgspec.structs.replace(RULES, max_services=2), Freezes(decode_command))
        engine.fold(logged(*(split(1, service=f"s{k}") for k in range(5))))
        assert (len(engine.rollouts), engine.counts["over_limit"]) == (2, 3)

    def test_a_tombstone_forgets_the_service(self):
        engine = Actuator(RULES, Freezes(decode_command))
        engine.fold(logged(split(1)))
        engine.fold(batch([None], start=1, keys=[b"bot"]))
        assert engine.rollouts == {}

    async def test_a_service_forgotten_in_the_middle_of_a_look_is_left_alone(self):
        world = World()
        world.publish(split(1))
        world.engine.due(0.0, 10)
        world.engine.rollouts.clear()
        assert world.engine.decide("bot", Applied(split(1), "e"), 0.0) == Nothing("held")
        world.engine.took("bot", split(1), Ack("applied", "e"), 0.0)
        world.engine.failed("bot", Refused("no"), 0.0)
        assert world.write() == []

    def test_what_exceeds_the_queue_of_outcomes_is_counted_and_said_later(self, monkeypatch):
        monkeypatch.setattr("app.core.actuator.MAX_PENDING", 1)
        world = World()
        world.publish(split(1, service="a"), split(1, service="b"))
        for service in "ab":
            world.engine.decide(service, Applied(split(1, service=service), "e"), 0.0)
        assert world.engine.counts["left_out"] == 1
        assert len(world.write()) == 1
        world.engine.decide("b", Applied(split(1, service="b"), "e"), 5.0)
        assert len(world.write()) == 1

    def test_only_acked_records_are_forgotten(self):
        world = World()
        world.publish(split(1, service="a"), split(1, service="b"))
        world.engine.decide("a", Applied(split(1, service="a"), "e"), 0.0)
        cut = world.engine.cut()
        world.engine.decide("b", Applied(split(1, service="b"), "e"), 0.0)
        world.engine.acked(cut)
        (left,) = world.write()
        assert left.key == b"b"

    def test_it_never_asks_for_a_commit_beyond_its_start(self):
        world = World()
        before = world.engine.point
        world.publish(split(1))
        assert world.engine.cut().point == before
        world.engine.committed(before)


@pytest.mark.parametrize(
    ("able", "wanted", "missing"),
    [
        (("weights",), trial(2), "slices"),
        (("single_challenger",), trial(2, holdout_share=0.05), "slices"),
        ((), split(2, weights={"*": {"big": 0.5, "small": 0.5}}), "weights"),
    ],
)
async def test_what_a_gateway_cannot_do_is_refused_by_name_and_the_last_split_stays(able, wanted, missing):
    world = World(gateway=MemoryGateway(capabilities=frozenset(able)))
    world.publish(split(1))
    await world.tick()
    world.publish(wanted)
    await world.tick()
    accepted, refused = world.write()
    assert types([accepted, refused]) == [ACCEPTED, FAILED]
    assert told(refused)["error"] == f"refused: this gateway cannot do: {missing}"
    assert world.held() == split(1)


async def test_a_gateway_with_one_challenger_takes_a_trial_without_a_holdout():
    world = World(gateway=MemoryGateway(capabilities=frozenset(("single_challenger",))))
    world.publish(trial(2))
    await world.tick()
    assert types(world.write()) == [ACCEPTED]
