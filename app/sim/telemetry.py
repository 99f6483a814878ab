"""What a gateway with telemetry would produce: structured JSON CloudEvents for answers and for judge scores."""

from functools import lru_cache
from typing import Any

import msgspec

from app.core.events import FEEDBACK_RECORDED, RESPONSE_COMPLETED, rfc3339

SOURCE = "/llm-optimizer/simulator"
CONTENT_TYPE = ("content-type", b"application/cloudevents+json; charset=UTF-8")

_encode = msgspec.json.Encoder().encode


class CloudEvent(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The structured-mode envelope."""

    id: str
    source: str
    type: str
    time: str
    data: Any
    specversion: str = "1.0"
    datacontenttype: str = "application/json"


class ResponseBody(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """Data of ``response.completed`` as a gateway writes it; absent facts are left out."""

    request_id: str
    service: str
    arm: str
    model: str
    slice: str
    version: int
    latency_ms: float
    status: str
    input_tokens: int
    output_tokens: int
    cost_usd: float
    ttft_ms: float | None = None
    provider: str = ""
    segment: dict[str, str] = {}
    session_id: str = ""
    session_group: int | None = None
    response_model: str = ""
    fingerprint: str = ""
    error_type: str = ""


class ScoreBody(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Data of ``feedback.recorded``: a judge's score in [0, 1], with the probability that this answer was scored."""

    request_id: str
    quality: float
    score_probability: float
    source: str = "judge"


def response_event(unique: str, time_s: float, body: ResponseBody) -> bytes:
    """A ``response.completed`` event whose id is a function of the request."""
    return _encode(
        CloudEvent(id=f"{unique}-done", source=SOURCE, type=RESPONSE_COMPLETED, time=timestamp(time_s), data=body)
    )


def score_event(unique: str, time_s: float, body: ScoreBody) -> bytes:
    """A ``feedback.recorded`` event whose id is a function of the request."""
    return _encode(
        CloudEvent(id=f"{unique}-score", source=SOURCE, type=FEEDBACK_RECORDED, time=timestamp(time_s), data=body)
    )


def timestamp(time_s: float) -> str:
    """``time_s`` (epoch) as RFC 3339 with milliseconds, rounded down."""
    whole = int(time_s)
    return f"{_second(whole)}.{int((time_s - whole) * 1000):03d}Z"


@lru_cache(maxsize=4_096)
def _second(epoch: int) -> str:
    return rfc3339(epoch)[:-1]
