from pathlib import Path

import msgspec
import pytest

from app.adapters.readmodel.told import Told
from app.core.outputs import DECIDED, VERIFIED
from app.settings import Settings, Topics, load
from app.sim.demo import settings_text
from app.sim.report import Claim, Report, Saved, _failures, claims, replayed
from app.sim.watch import Watch

STORED = Path(__file__).parents[1] / "golden" / "demo.json"


@pytest.fixture(scope="module")
def good():
    return msgspec.json.decode(STORED.read_bytes(), type=Report)


def with_(report, **changes: object):
    return msgspec.structs.replace(report, **changes)


def test_a_good_run_has_no_failures(good):
    assert _failures(good, 0) == []


def test_everything_that_may_go_wrong_is_named(good):
    exact, again = good.exactness, good.replayed
    wrong = {
        "exit code -9": (good, -9),
        "story did not happen: ": (with_(good, story=(with_(good.story[0], happened=False),)), 0),
        "counts are not exact": (with_(good, exactness=with_(exact, wrong=("chat/a/60: ...",))), 0),
        "2 events came late": (with_(good, late=2), 0),
        "1 minutes were incomplete": (with_(good, incomplete=1), 0),
        "two payloads": (with_(good, conflicts=("t/id",)), 0),
        "replay of the facts decides otherwise: d-1": (with_(good, replayed=with_(again, different=("d-1",))), 0),
    }
    for says, (report, worker_exit) in wrong.items():
        (failure,) = _failures(report, worker_exit)
        assert says in failure


def test_a_run_without_any_decision_is_not_a_replay_that_agrees(good, tmp_path):
    nothing = replayed(tmp_path / "absent", Watch(Topics()), Settings())
    assert not nothing.same
    assert "nothing was decided" in _failures(with_(good, replayed=nothing), 0)[0]


def test_only_a_promotion_that_was_verified_is_claimed():
    promote = Told(
        "1",
        DECIDED,
        "decided",
        "2026-01-01T00:00:00Z",
        "chat",
        {
            "decision_id": "p",
            "action": "promote",
            "evidence": {"challenger": "small", "incumbent": "large"},
            "expected_impact": {"cost": {"estimate": -0.94, "low": -0.95, "high": -0.93, "n": 500}},
        },
    )
    seen = Told("2", VERIFIED, "verified", "2026-01-01T00:05:00Z", "chat", {"decision_id": "p"})
    assert list(claims([promote])) == []
    assert list(claims([promote, seen])) == [Claim("chat", "small", "large", -0.94, -0.95, -0.93, 500)]


def test_the_true_saving_is_per_request_and_nothing_without_requests():
    assert Saved("chat", None, 1_000, 1.0, 5.0).true_saving == pytest.approx(0.004)
    assert Saved("chat", None, 0, 0.0, 0.0).true_saving == 0.0


def test_the_settings_of_the_demos_worker_are_valid(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(settings_text("127.0.0.1:9092", "http://127.0.0.1:8090", tmp_path))
    settings = load(path, env={})
    assert (settings.gateway.kind, settings.kafka.mock, settings.web.port) == ("orchestrator", True, 0)
