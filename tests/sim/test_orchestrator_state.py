"""The reference Orchestrator without its network."""

from collections import Counter

import pytest

from app.core.assign import assign, expected_shares
from app.core.events import SegmentParts
from app.core.ids import receipt_of
from app.core.ports import Conflict, Refused
from app.core.split import TrialSlice
from app.sim.orchestrator_state import OrchestratorState, RouteRequest
from tests.core.splits import split, trial


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def state(clock):
    return OrchestratorState(clock=clock)


def ask(unique: str = "r1", **parts: str) -> RouteRequest:
    return RouteRequest(service="bot", request_id=unique, **parts)


def test_a_service_without_a_split_is_not_routed(state):
    assert state.route(ask()) is None
    assert state.serving("bot") is None


def test_a_request_goes_where_the_split_draws_it_and_carries_its_receipt(state):
    wanted = trial(7, holdout_share=0.1, baseline="big", score_rates={"trial": 0.5})
    state.apply(wanted)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(2_000):
        routed = state.route(ask(f"r{number}", tenant="acme", region="eu"))
        drawn = assign(wanted, f"r{number}")
        assert (routed.slice, routed.arm, routed.session_group) == (drawn.slice, drawn.arm, drawn.session_group)
        receipt = receipt_of(routed.request_id)
        assert receipt is not None
        assert (receipt.service, receipt.arm, receipt.slice, receipt.version) == ("bot", drawn.arm, drawn.slice, 7)
        assert receipt.segment == SegmentParts("acme", "", "eu")
        assert routed.score_rate == (0.5 if drawn.slice == "trial" else None)
        seen[routed.slice, routed.arm] += 1
    for key, share in expected_shares(wanted).items():
        assert abs(seen[key] / 2_000 - share) < 0.02
    assert state.routed == 2_000


def test_it_says_how_to_call_the_arm(state):
    state.apply(split(1))
    routed = state.route(ask())
    assert (routed.model, routed.parameters, routed.version) == ("big-1", {"temperature": 0.7}, 1)


def test_a_session_stays_where_it_is_when_the_split_is_sticky(state):
    halves = {"*": {"big": 0.5, "small": 0.5}}
    state.apply(split(1, weights=halves))
    assert len({state.route(ask(f"r{n}", session_id="s")).arm for n in range(50)}) == 1
    state.apply(split(2, sticky=False, weights=halves))
    assert len({state.route(ask(f"r{n}", session_id="s")).arm for n in range(50)}) == 2


def test_segments_have_their_own_weights(state):
    weights = {"*": {"big": 1.0}, "eu": {"small": 1.0}}
    state.apply(split(1, segment_by="region", segments=("eu",), weights=weights))
    assert state.route(ask(region="eu")).arm == "small"
    assert state.route(ask(region="us")).arm == "big"


def test_a_request_id_with_a_dot_is_refused(state):
    state.apply(split(1))
    with pytest.raises(ValueError, match="dot"):
        state.route(ask("a.b"))


def test_a_bad_split_leaves_traffic_on_the_last_good_one(state):
    state.apply(split(1))
    with pytest.raises(Refused):
        state.apply(split(2, incumbent="nobody"))
    assert state.serving("bot") == split(1)


def test_an_older_split_leaves_traffic_where_it_is(state):
    state.apply(split(2))
    assert state.apply(split(1)).status == "ignored"
    assert state.serving("bot") == split(2)


def test_a_stale_gateway_takes_a_split_and_serves_it_later(state, clock):
    state.apply(split(1))
    state.faults.stale_s = 60
    assert state.apply(split(2)).status == "applied"
    assert state.read("bot").split == split(2)
    clock.now = 59
    assert state.serving("bot") == split(1)
    clock.now = 60
    assert state.serving("bot") == split(2)


def test_lost_state_means_no_route_until_the_split_comes_back(state):
    state.apply(split(1))
    state.lose_state()
    assert state.read("bot") is None
    assert state.route(ask()) is None
    state.apply(split(1))
    assert state.route(ask()).version == 1


def test_a_rollback_by_hand_takes_back_the_open_trial(state):
    state.apply(trial(3))
    state.rollback("bot")
    assert state.serving("bot") == split(3, frozen=True)
    with pytest.raises(Conflict, match="no open trial"):
        state.rollback("bot")
    with pytest.raises(KeyError):
        state.rollback("nobody")


def test_a_removed_service_is_no_longer_routed(state):
    state.apply(split(1))
    assert state.remove("bot")
    assert state.route(ask()) is None
    assert not state.remove("bot")


def test_it_mirrors_the_control_slice_of_a_mirrored_trial():
    state = OrchestratorState()
    state.apply(split(1, trial=TrialSlice("t", "small", "big", 0.0, 0.5, mirrored=True)))
    routed = [one for number in range(200) if (one := state.route(ask(f"r{number}"))) is not None]
    assert {one.arm for one in routed} == {"big"}
    copies = [one.mirror for one in routed if one.slice == "control" and one.mirror is not None]
    assert 60 < len(copies) < 140
    assert {(copy.arm, copy.slice) for copy in copies} == {("small", "shadow")}
    assert {receipt.slice for copy in copies if (receipt := receipt_of(copy.request_id))} == {"shadow"}
    assert all(one.mirror is None for one in routed if one.slice == "main")
