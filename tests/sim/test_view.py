import io
from functools import partial

from app.adapters.readmodel.told import Told
from app.sim.scene import ArmScene, Scene, ServiceScene
from app.sim.view import LiveView, PlainView, line_of

STEP = Told(
    "1", "t", "decided", "2026-01-01T07:15:00Z", "chat", {"action": "next-step", "rationale": "small goes to 25 %."}
)
SEEN = Told(
    "2",
    "t",
    "verified",
    "2026-01-01T07:20:00Z",
    "chat",
    {"observed_share": 0.24, "expected_share": 0.25, "requests": 400},
)
ACCEPTED = Told("3", "t", "accepted", "2026-01-01T07:16:00Z", "chat", {"version": 3})
SERVICE = ServiceScene("chat", 3, "small on trial", (ArmScene("large", 0.75, 900, 5.4, 3_200.0, 0.9, 0.02),))


def scene(hours, requests=900):
    return Scene(0, int(hours * 3_600), 36_000, requests, gateway_down=True, services=(SERVICE,))


def test_a_line_says_when_for_whom_what_and_why():
    assert line_of(STEP) == "07:15 * chat next-step: small goes to 25 %."
    assert line_of(SEEN) == "07:20 + chat verified: 24.0% of 400 requests, 25.0% wanted"


def test_without_a_terminal_there_is_a_line_for_each_event_but_acceptance_and_one_state_an_hour():
    lines: list[str] = []
    with PlainView(lines.append) as view:
        for event in (STEP, ACCEPTED, SEEN):
            view.tell(event)
        for hours in (0.1, 0.5, 0.9, 1.1):
            view.show(partial(scene, hours))
    assert lines[:2] == [line_of(STEP), line_of(SEEN)]
    assert len(lines) == 4
    assert "large 75%, $5.40 per 1000, quality 0.900 ± 0.020" in lines[2]


def test_a_terminal_shows_split_cost_quality_trial_and_the_newest_decisions():
    stream = io.StringIO()
    view = LiveView(stream)
    view._console.width = 140
    with view._console.capture() as capture:
        view.tell(STEP)
        view._console.print(view._picture(scene(2)))
    shown = capture.get()
    for text in (
        "900 requests",
        "refuses configuration",
        "75.0%",
        "5.40",
        "0.900 ± 0.020",
        "small on trial",
        "next-step",
    ):
        assert text in shown
