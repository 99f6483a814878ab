"""Every way to score an answer becomes one quality, and a receipt says where it counts."""

import pytest

from app.adapters.codec.reasons import REASONS
from app.core.events import FEEDBACK_RECORDED, Feedback, FeedbackEvent, Ignored, Rejected
from app.core.ids import request_id
from tests.adapters.codec.samples import RECEIPT, TIME, feedback, headers

REQUEST = request_id("4b1d7c", RECEIPT)
AS_OBJECT = {
    "service": "chatbot",
    "arm": "cheap@v3",
    "segment": {"tenant": "acme"},
    "slice": "trial",
    "version": 12,
    "session_group": 7,
}


def quality(decode, **data: object):
    event = decode(feedback(service="chatbot", **data), ())
    assert type(event) is FeedbackEvent, event
    return event.data.quality


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"quality": 0.3}, 0.3),
        ({"scores": {"accuracy": 1, "relevance": 0.5}}, 0.75),
        ({"rating": 1}, 0.0),
        ({"rating": 4.5}, 0.875),
        ({"rating": 5}, 1.0),
        ({"thumbs": "up"}, 1.0),
        ({"thumbs": "Down"}, 0.0),
        ({"thumbs": True}, 1.0),
        ({"thumbs": -1}, 0.0),
        ({"thumbs": 0}, 0.0),
        ({"task_completed": True}, 1.0),
        ({"task_completed": False}, 0.0),
        ({"edited": True}, 0.5),
        ({"edited": False}, 1.0),
        ({"retried": True}, 0.0),
        ({"retried": False}, 1.0),
        ({"task_completed": True, "edited": True}, 0.5),
        ({"task_completed": True, "edited": True, "retried": True}, 0.0),
    ],
)
def test_each_way_to_score_has_its_stated_quality(decode, data, expected):
    assert quality(decode, **data) == expected


def test_what_is_more_explicit_decides(decode):
    ways = {"quality": 0.1, "scores": {"x": 0.2}, "rating": 2.2, "thumbs": "up", "edited": True}
    seen = []
    while ways:
        seen.append(quality(decode, **ways))
        ways.pop(next(iter(ways)))
    assert seen == pytest.approx([0.1, 0.2, 0.3, 1.0, 0.5])


@pytest.mark.parametrize(
    ("data", "channel"),
    [
        ({"scores": {"x": 1}}, "judge"),
        ({"quality": 1}, "judge"),
        ({"rating": 3}, "user"),
        ({"thumbs": "up"}, "user"),
        ({"edited": True}, "implicit"),
        ({"quality": 1, "source": "user"}, "user"),
        ({"rating": 3, "source": "llm-judge"}, "judge"),
    ],
)
def test_who_speaks_is_said_or_follows_from_how(decode, data, channel):
    assert decode(feedback(service="chatbot", **data), ()).data.source == channel


@pytest.mark.parametrize(
    "where",
    [
        {"request_id": REQUEST},
        {"llm.request_id": REQUEST},
        {"receipt": AS_OBJECT},
        {"receipt": REQUEST},
        {"receipt": AS_OBJECT, "request_id": "r-without-a-receipt"},
        {"receipt": "damaged.receipt", "request_id": REQUEST},
    ],
)
def test_the_receipt_comes_as_an_object_or_inside_the_request_id(decode, counts, where):
    event = decode(feedback(quality=1, **where), ())
    assert event == FeedbackEvent(
        "e-1",
        "/orchestrator",
        FEEDBACK_RECORDED,
        Feedback(service="chatbot", source="judge", quality=1.0, receipt=RECEIPT),
        TIME,
    )
    assert not counts["service_conflict"]


def test_the_service_of_the_receipt_wins_because_the_answer_was_counted_there(decode, counts):
    event = decode(feedback(quality=1, service="billing", request_id=REQUEST), ())
    assert event.data.service == "chatbot"
    assert counts == {"service_conflict": 1}


def test_feedback_without_a_receipt_counts_for_the_service_alone(decode):
    event = decode(feedback(quality=1, service="billing", request_id="r-1"), ())
    assert (event.data.service, event.data.receipt) == ("billing", None)


def test_feedback_that_names_no_service_is_rejected(decode):
    event = decode(feedback(quality=1, request_id="r-1"), ())
    assert isinstance(event, Rejected)
    assert event.reason == "no_service"


def test_feedback_that_says_nothing_about_quality_is_rejected(decode):
    assert decode(feedback(service="chatbot"), ()).reason == "no_score"


@pytest.mark.parametrize("data", [{"dwell_s": 30}, {"converted": False}, {"value_usd": 12.5}])
def test_business_signals_alone_are_ignored_not_rejected(decode, data):
    assert decode(feedback(service="chatbot", **data), ()) == Ignored(FEEDBACK_RECORDED)


@pytest.mark.parametrize(
    "data",
    [
        {"quality": 1.5},
        {"rating": 0},
        {"rating": 6},
        {"rating": "5"},
        {"thumbs": "sideways"},
        {"thumbs": []},
        {"scores": {}},
        {"scores": {"x": 2}},
        {"scores": {str(n): 1 for n in range(33)}},
        {"task_completed": "yes"},
        {"quality": 1, "score_probability": 0},
        {"quality": 1, "source": "oracle"},
        {"quality": 1, "receipt": {"service": "x"}},
        {"quality": 1, "receipt": {**AS_OBJECT, "segment": {"unknown": "x"}}},
        {"quality": 1, "receipt": {**AS_OBJECT, "session_group": 64}},
    ],
)
def test_a_score_out_of_bounds_is_rejected_with_its_place(decode, data):
    event = decode(feedback(service="chatbot", **data), ())
    assert event.reason == "bad_data"
    assert "`$.data" in event.detail


def test_binary_feedback_is_read_too(decode):
    assert decode(b'{"service":"chatbot","rating":3}', headers(type=FEEDBACK_RECORDED)).data.quality == 0.5


def test_every_reason_has_an_explanation():
    assert all(REASONS.values())
