import urllib.error
import urllib.request

import pytest

from app.core.events import SegmentParts
from app.core.split import ArmDefinition, Split
from app.sim.orchestrator_server import OrchestratorServer

SPLIT = Split(
    service="chat",
    version=3,
    decision_id="d",
    incumbent="a",
    arms=(ArmDefinition(name="a", model="a-1"),),
    weights={"*": {"a": 1.0}},
    score_rates={"main": 0.25},
)


@pytest.fixture(scope="module")
def gateway():
    with OrchestratorServer() as serving:
        yield serving


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_traffic_and_the_network_see_the_same_state(gateway):
    assert gateway.router.route("chat", "r-1", "", SegmentParts()) is None
    assert gateway.held("chat") is None
    gateway.state.apply(SPLIT)
    assert status(f"{gateway.url}/api/v1/configurations/chat") == 200
    assert gateway.held("chat") == SPLIT
    routed = gateway.router.route("chat", "r-1", "s-1", SegmentParts(task_type="faq"))
    assert routed is not None
    assert (routed.arm, routed.slice, routed.version, routed.score_rate) == ("a", "main", 3, 0.25)


def test_an_outage_stops_configuration_and_not_traffic(gateway):
    gateway.state.apply(SPLIT)
    gateway.outage(down=True)
    try:
        assert status(f"{gateway.url}/api/v1/configurations/chat") == 503
        assert gateway.router.route("chat", "r-2", "", SegmentParts()) is not None
    finally:
        gateway.outage(down=False)
    assert status(f"{gateway.url}/api/v1/configurations/chat") == 200
