"""``feedback.recorded``: every way to score an answer, normalised to one quality in [0, 1].

The first that is present decides: ``quality`` (as it is), ``scores`` (mean), ``rating`` ((r - 1) / 4 for 1..5),
``thumbs`` (up 1, down 0), then implicit signals: the smallest of task_completed (true 1, false 0), edited (true 0.5:
useful after work; false 1) and retried (true 0; false 1), because the worst thing a user did says most. ``dwell_s``,
``converted`` and ``value_usd`` alone are no quality: such an event is ignored, not rejected. Source:
requirements/004, reward signals. Where an answer was counted comes from ``receipt`` (object, or the request id that
carries it), else from ``request_id``.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from app.adapters.codec.aliases import FEEDBACK
from app.adapters.codec.envelope import Envelope
from app.adapters.codec.media import data_of
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.strict import converted
from app.adapters.codec.translate import Count, Table
from app.core.events import (
    FEEDBACK_RECORDED,
    Channel,
    Feedback,
    FeedbackEvent,
    Fraction,
    Ignored,
    Name,
    Receipt,
    ShortText,
)
from app.core.ids import receipt_of

TYPES = frozenset((FEEDBACK_RECORDED, "llm.feedback.recorded"))
MAX_REQUEST_ID = 2_000
"""Characters of a request id with a receipt in it: names of 200 characters fit, in base64."""

EDITED_QUALITY = 0.5

_Amount = Annotated[float, Meta(ge=0, le=1e12)]


class FeedbackData(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The data of ``feedback.recorded`` by its canonical names (DESIGN 5). Seconds, USD; None = not said."""

    service: Name | None = None
    request_id: Annotated[str, Meta(max_length=MAX_REQUEST_ID)] | None = None
    receipt: Receipt | Annotated[str, Meta(max_length=MAX_REQUEST_ID)] | None = None
    source: Channel | None = None
    scores: Annotated[dict[ShortText, Fraction], Meta(min_length=1, max_length=32)] | None = None
    quality: Fraction | None = None
    rating: Annotated[float, Meta(ge=1, le=5)] | None = None
    thumbs: str | None = None
    task_completed: bool | None = None
    edited: bool | None = None
    retried: bool | None = None
    dwell_s: _Amount | None = None
    converted: bool | None = None
    value_usd: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    score_probability: Annotated[float, Meta(gt=0, le=1)] = 1.0


TABLE = Table(FeedbackData.__struct_fields__, FEEDBACK, whole=("receipt", "scores"))


def feedback_event(envelope: Envelope, count: Count) -> FeedbackEvent | Ignored:
    """The event in ``envelope``. Raises ``UnreadableError`` (no_service, no_score, bad_data and those of the data)."""
    canonical = TABLE.canonical(data_of(envelope), count)
    data = converted(canonical, FeedbackData)
    quality = _quality(data)
    if quality is None:
        if data.dwell_s is None and data.converted is None and data.value_usd is None:
            raise UnreadableError(
                "no_score", "give one of quality, scores, rating, thumbs, task_completed, edited, retried"
            )
        return Ignored(FEEDBACK_RECORDED)
    receipt = _receipt(data)
    service = receipt.service if receipt is not None else data.service
    if service is None:
        raise UnreadableError("no_service", "give a request_id that carries a receipt, a receipt, or a service")
    if data.service is not None and data.service != service:
        count("service_conflict")
    feedback = Feedback(
        service=service,
        source=data.source or _channel(data),
        quality=quality,
        receipt=receipt,
        score_probability=data.score_probability,
    )
    return FeedbackEvent(envelope.id, envelope.source, FEEDBACK_RECORDED, feedback, envelope.time)


def _receipt(data: FeedbackData) -> Receipt | None:
    if isinstance(data.receipt, Receipt):
        return data.receipt
    for request in (data.receipt, data.request_id):
        receipt = receipt_of(request) if request else None
        if receipt is not None:
            return receipt
    return None


def _quality(data: FeedbackData) -> float | None:
    if data.quality is not None:
        return data.quality
    if data.scores is not None:
        return sum(data.scores.values()) / len(data.scores)
    if data.rating is not None:
        return (data.rating - 1) / 4
    if data.thumbs is not None:
        return 1.0 if data.thumbs == "up" else 0.0
    return _implicit_quality(data)


def _implicit_quality(data: FeedbackData) -> float | None:
    said = []
    if data.task_completed is not None:
        said.append(1.0 if data.task_completed else 0.0)
    if data.edited is not None:
        said.append(EDITED_QUALITY if data.edited else 1.0)
    if data.retried is not None:
        said.append(0.0 if data.retried else 1.0)
    return min(said, default=None)


def _channel(data: FeedbackData) -> Channel:
    """Who speaks when the event does not say: scores come from judges, ratings and thumbs from users."""
    if data.quality is not None or data.scores is not None:
        return "judge"
    return "user" if data.rating is not None or data.thumbs is not None else "implicit"
