from app.adapters.codec import make_decode
from app.core.events import FeedbackEvent, Receipt, ResponseEvent, SegmentParts
from app.core.ids import request_id
from app.sim.telemetry import ResponseBody, ScoreBody, response_event, score_event, timestamp

RECEIPT = Receipt("chat", "small", SegmentParts(task_type="faq"), "trial", 4, 9)
BODY = ResponseBody(
    request_id=request_id("r-1", RECEIPT),
    service="chat",
    arm="small",
    model="small-1",
    slice="trial",
    version=4,
    latency_ms=812.5,
    status="ok",
    input_tokens=900,
    output_tokens=80,
    cost_usd=0.0012,
    segment={"task_type": "faq"},
    session_group=9,
)


def decoded(value):
    counted: list[str] = []
    return make_decode(counted.append)(value, [("content-type", b"application/cloudevents+json")]), counted


def test_an_answer_is_read_by_the_codec_as_it_was_meant_without_any_translation():
    event, counted = decoded(response_event("r-1", 1_700_000_000.25, BODY))
    assert isinstance(event, ResponseEvent)
    assert counted == []
    assert (event.id, event.time) == ("r-1-done", "2023-11-14T22:13:20.250Z")
    data = event.data
    assert (data.arm, data.slice, data.version, data.session_group, data.segment) == (
        "small",
        "trial",
        4,
        9,
        SegmentParts(task_type="faq"),
    )
    assert (data.latency_ms, data.cost_usd, data.input_tokens, data.output_tokens) == (812.5, 0.0012, 900, 80)


def test_a_score_brings_its_receipt_back():
    body = ScoreBody(request_id=BODY.request_id, quality=0.8, score_probability=0.25)
    event, _ = decoded(score_event("r-1", 1_700_000_060, body))
    assert isinstance(event, FeedbackEvent)
    assert event.data.receipt == RECEIPT
    assert (event.data.source, event.data.quality, event.data.score_probability) == ("judge", 0.8, 0.25)


def test_half_an_event_is_bad_input():
    event, _ = decoded(response_event("r-1", 0, BODY)[:120])
    assert type(event).__name__ == "Rejected"


def test_times_are_rounded_down_to_milliseconds():
    assert timestamp(0.9999) == "1970-01-01T00:00:00.999Z"
