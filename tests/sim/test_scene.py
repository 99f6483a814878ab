from typing import Any

import pytest

from app.core.split import ArmDefinition, Split, TrialSlice
from app.settings import Topics
from app.sim.scene import Scene, service_scene
from app.sim.watch import Row, Watch
from app.sim.watch import _Latency as Latency
from app.sim.watch import _Score as Score


def row(arm, **changes: Any):
    sums = {"count": 200, "errors": 0, "late": 0, "input_tokens": 1, "output_tokens": 1, "cost_usd": 0.5}
    place: dict[str, Any] = {
        "window_start": "2026-01-01T00:00:00Z",
        "window_end": "2026-01-01T00:15:00Z",
        "window_s": 900,
    }
    return Row(
        service="chat",
        segment="*",
        arm=arm,
        slice="*",
        latency_ms=Latency(100.0, 250.0),
        **{**place, **sums, **changes},
    )


@pytest.fixture
def watch():
    seen = Watch(Topics())
    seen.splits["chat"] = Split(
        service="chat",
        version=4,
        decision_id="d",
        incumbent="large",
        arms=(ArmDefinition(name="large", model="l"), ArmDefinition(name="small", model="s")),
        weights={"*": {"large": 1.0}},
        baseline="large",
        holdout_share=0.1,
        trial=TrialSlice("t", "small", "large", 0.25, 0.25),
    )
    return seen


def test_shares_are_of_all_requests_holdout_trial_and_control_included(watch):
    arms = {arm.arm: arm.share for arm in service_scene("chat", watch).arms}
    assert arms["small"] == pytest.approx(0.9 * 0.25)
    assert sum(share or 0 for share in arms.values()) == pytest.approx(1)


def test_numbers_come_from_the_newest_quarter_of_an_hour(watch):
    watch.recent["chat", "small"] = row("small", quality={"judge": Score(100, 0.9)})
    _, small = service_scene("chat", watch).arms
    assert (small.requests, small.usd_per_1000, small.latency_ms_p95, small.quality) == (200, 2.5, 250.0, 0.9)
    assert small.quality_half_width == pytest.approx(1.96 * 0.03)


def test_an_arm_without_scores_shows_none(watch):
    watch.recent["chat", "large"] = row("large")
    large, _ = service_scene("chat", watch).arms
    assert (large.quality, large.quality_half_width) == (None, None)


def test_a_service_nobody_described_shows_its_arms_without_shares(watch):
    watch.recent["mail", "m-1"] = row("m-1")
    scene = service_scene("mail", watch)
    assert (scene.version, scene.trial) == (0, "")
    assert [(arm.arm, arm.share) for arm in scene.arms] == [("m-1", None)]


def test_the_open_trial_is_one_line(watch):
    assert service_scene("chat", watch).trial == "small on trial with 25% against 25% large"


def test_progress_never_exceeds_the_whole():
    assert Scene(0, 150, 100, 1, gateway_down=False, services=()).done == 1.0
