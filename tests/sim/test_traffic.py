import itertools
from collections import Counter

import pytest

from app.sim.arms import ArmModel, LatencyLaw, Price, QualityLaw
from app.sim.scenario import SimulatedService
from app.sim.traffic import requests

ARM = ArmModel(name="a", model="a-1", price=Price(1, 2), latency=LatencyLaw(base_ms=100), quality=QualityLaw(mean=0.9))
SERVICE = SimulatedService(
    name="chat.eu",
    trace="conv",
    requests_per_min=120,
    arms=(ARM,),
    tasks={"faq": 3, "refund": 1},
    requests_per_session=4,
)


@pytest.fixture(scope="module")
def first():
    return list(itertools.islice(requests(SERVICE, seed=3, start_s=0), 8_000))


def test_every_request_has_its_own_identity_without_a_dot(first):
    assert len({r.unique for r in first}) == len(first)
    assert not any("." in r.unique for r in first)


def test_the_same_seed_gives_the_same_requests(first):
    assert list(itertools.islice(requests(SERVICE, seed=3, start_s=0), 100)) == first[:100]


def test_tasks_come_in_their_stated_proportion_and_a_session_keeps_its_task(first):
    share = sum(r.task == "faq" for r in first) / len(first)
    assert share == pytest.approx(0.75, abs=0.03)
    tasks = {(r.session_id, r.task) for r in first}
    assert len(tasks) == len({session for session, _ in tasks})


def test_sessions_have_the_stated_mean_length(first):
    lengths = Counter(r.session_id for r in first)
    assert len(first) / len(lengths) == pytest.approx(4, rel=0.05)
    assert len(set(lengths.values())) > 3
