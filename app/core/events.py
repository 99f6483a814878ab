"""What comes in: the events of DESIGN section 5 after decoding, and how their times are read.

An ``Event`` is what the codec hands to the fold. Field names are canonical here; every other spelling
(OpenTelemetry generations, the requirements' names) is translated by the codec's one alias table.
Bounds are part of the types, so a value outside them is a decoding error, never a corrupt sum.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

RESPONSE_COMPLETED = "io.llm-platform.response.completed"
FEEDBACK_RECORDED = "io.llm-platform.feedback.recorded"
SPECVERSION = "1.0"

Name = Annotated[str, Meta(min_length=1, max_length=200)]
NAME_PATTERN = r"^[^\s*\x00-\x1f][^\x00-\x1f]{0,199}$"
"""Services and arms: no control characters, and not beginning with a space or ``*`` (which means all)."""
is_name = re.compile(NAME_PATTERN).fullmatch
ShortText = Annotated[str, Meta(max_length=200)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e9)]
Usd = Annotated[float, Meta(ge=0, le=1e9)]
Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Version = Annotated[int, Meta(ge=0, le=2**53)]
SessionGroup = Annotated[int, Meta(ge=0, lt=64)]

SliceName = Literal["main", "trial", "control", "holdout", "shadow"]
Channel = Literal["judge", "user", "implicit"]


class SegmentParts(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """The raw parts a segment is later made of; the map from parts to segments lives in the service document."""

    tenant: ShortText = ""
    task_type: ShortText = ""
    region: ShortText = ""


class Response(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One answered request (``response.completed``). USD, milliseconds, tokens; quality in [0, 1].

    Unknown names are errors here, so that one-step decoding never overlooks another spelling of a known field; the
    codec then translates what it knows and drops the rest.
    """

    service: Name
    model: Name
    latency_ms: Milliseconds
    request_id: ShortText = ""
    arm: Name | None = None
    served_arm: Name | None = None
    segment: SegmentParts | None = None
    slice: SliceName = "main"
    version: Version = 0
    session_id: ShortText | None = None
    session_group: SessionGroup | None = None
    provider: ShortText = ""
    ttft_ms: Milliseconds | None = None
    input_tokens: Tokens = 0
    output_tokens: Tokens = 0
    cached_tokens: Tokens = 0
    cost_usd: Usd | None = None
    status: Literal["ok", "error"] = "ok"
    error_type: ShortText = ""
    finish_reason: ShortText = ""
    response_model: ShortText = ""
    fingerprint: ShortText = ""
    max_tokens: Tokens | None = None
    valid_json: bool | None = None
    retry_of: ShortText = ""
    prompt_hash: ShortText = ""
    quality: Fraction | None = None
    own_cost_usd: Usd = 0.0
    labels: Annotated[dict[ShortText, ShortText], Meta(max_length=8)] | None = None


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where an answer was counted; travels in the request id and comes back with feedback."""

    service: Name
    arm: Name
    segment: SegmentParts = SegmentParts()
    slice: SliceName = "main"
    version: Version = 0
    session_group: SessionGroup | None = None


class Feedback(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A score for an answer (``feedback.recorded``), already normalised by the codec to one quality in [0, 1].

    ``receipt`` is None when the feedback names no receipt: it then counts for the service as ``unattributed``.
    """

    service: Name
    source: Channel
    quality: Fraction
    receipt: Receipt | None = None
    score_probability: Annotated[float, Meta(gt=0, le=1)] = 1.0


class ResponseEvent(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="specversion", tag=SPECVERSION
):
    """A decoded CloudEvent around a ``Response``; ``time`` is RFC 3339 or empty (then the append time counts)."""

    id: Name
    source: Name
    type: str
    data: Response
    time: str = ""


class FeedbackEvent(msgspec.Struct, frozen=True, gc=False):
    """A decoded CloudEvent around a ``Feedback``."""

    id: Name
    source: Name
    type: str
    data: Feedback
    time: str = ""


class ControlEvent(msgspec.Struct, frozen=True, gc=False):
    """A command, alert or outcome: passed through ingest untouched. ``service`` is ``*`` for a broadcast.

    ``data`` is the event's data as JSON bytes (an object).
    """

    id: Name
    source: Name
    type: str
    service: Name
    data: bytes
    time: str = ""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Bad input: why (a stable snake_case ``reason`` for counters) and where (``detail`` for people)."""

    reason: str
    detail: str


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A well-formed event this stage has no use for (counted, not dead-lettered)."""

    type: str


class Many(msgspec.Struct, frozen=True, gc=False):
    """The evidence of one record that holds more than one event, in the order it is folded, all at the record's offset.

    ``ignored`` counts what else the record held that this stage has no use for.
    """

    events: tuple[ResponseEvent | FeedbackEvent | Rejected, ...]
    ignored: int = 0


Event = ResponseEvent | FeedbackEvent | ControlEvent | Rejected | Ignored | Many

MIN_EPOCH_S = 0
MAX_EPOCH_S = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second RFC 3339 can name

_CACHE_LIMIT = 100_000
_seconds: dict[str, int] = {}


def epoch_s(time: str) -> int:
    """Whole epoch seconds of an RFC 3339 time; ValueError if it is not one.

    UTC times ending in ``Z`` are cached by their 19-character prefix: telemetry repeats its seconds. The fraction is
    checked before the cache is asked, so that the answer never depends on what was asked before (rule I0).
    """
    if time[-1:] == "Z":
        fraction = time[19:-1]
        if not fraction or (fraction[0] == "." and fraction[1:].isdigit() and fraction.isascii()):
            prefix = time[:19]
            cached = _seconds.get(prefix)
            if cached is not None:
                return cached
            if len(_seconds) >= _CACHE_LIMIT:
                _seconds.clear()
            value = _parse(prefix + "Z")
            _seconds[prefix] = value
            return value
    return _parse(time)


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _parse(time: str) -> int:
    if not _RFC3339.fullmatch(time):
        raise ValueError(f"not an RFC 3339 time with an offset: {time[:40]!r}")
    seconds = int(datetime.fromisoformat(time.upper()).timestamp() // 1)
    if not MIN_EPOCH_S <= seconds <= MAX_EPOCH_S:
        raise ValueError(f"the time is outside 1970-9999: {time[:40]!r}")
    return seconds


NO_TIME = -1


def second_of(time: str) -> int:
    """As ``epoch_s`` for the hot path: NO_TIME instead of an error, and a fraction before ``Z`` is not even read.

    So the answer is a function of the first 19 characters and the last one, and of no cache (rule I0).
    """
    if time[-1:] == "Z":
        prefix = time[:19]
        cached = _prefixes.get(prefix)
        if cached is None:
            if len(_prefixes) >= _CACHE_LIMIT:
                _prefixes.clear()
            cached = _prefixes[prefix] = _second(prefix + "Z")
        return cached
    return _second(time)


_prefixes: dict[str, int] = {}


def _second(time: str) -> int:
    try:
        return epoch_s(time)
    except ValueError:
        return NO_TIME


@lru_cache(maxsize=4096)
def rfc3339(epoch: int) -> str:
    """``epoch`` seconds as ``YYYY-MM-DDTHH:MM:SSZ``."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
