"""Events as the optimizer reads them: structured CloudEvents in JSON, checked here against the same bounds.

What is refused here would have ended in the dead letters; the error names the field and what it may be.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from llm_optimizer_client.receipts import GROUPS, SLICES, receipt_of

RESPONSE_COMPLETED = "io.llm-platform.response.completed"
FEEDBACK_RECORDED = "io.llm-platform.feedback.recorded"
MAX_TEXT = 200
MAX_REQUEST_ID = 2_000

Kind = Literal["response", "feedback"]


class InvalidEventError(ValueError):
    """An event that the optimizer would not take. It names the field."""


class Record(NamedTuple):
    """One event on its way. ``value``: the whole CloudEvent as JSON; ``key``: its key on Kafka."""

    kind: Kind
    key: bytes
    value: bytes


class ResponseFields(TypedDict, total=False):
    """What else may be said of an answered request (docs/reference/events.md). Milliseconds, tokens, USD."""

    request_id: str
    arm: str | None
    served_arm: str | None
    segment: Mapping[str, str]
    slice: str
    version: int
    session_id: str | None
    session_group: int | None
    provider: str
    ttft_ms: float | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float | None
    status: str
    error_type: str
    finish_reason: str
    response_model: str
    fingerprint: str
    max_tokens: int | None
    valid_json: bool | None
    retry_of: str
    prompt_hash: str
    quality: float | None
    own_cost_usd: float
    labels: Mapping[str, str] | None
    event_id: str
    event_time: float


class FeedbackFields(TypedDict, total=False):
    """Ways to score an answer; one is enough (docs/reference/events.md)."""

    service: str
    source: str
    quality: float
    scores: Mapping[str, float]
    rating: float
    thumbs: str
    task_completed: bool
    edited: bool
    retried: bool
    dwell_s: float
    converted: bool
    value_usd: float
    score_probability: float
    event_id: str
    event_time: float


SCORES = ("quality", "scores", "rating", "thumbs", "task_completed", "edited", "retried")
SIGNALS = ("dwell_s", "converted", "value_usd")


def response_record(source: str, service: str, model: str, latency_ms: float, fields: Mapping[str, Any]) -> Record:
    """``response.completed``. What a receipt in ``request_id`` says goes unsaid. ``InvalidEventError``."""
    given: dict[str, Any] = {"service": service, "model": model, "latency_ms": latency_ms}
    given |= {name: value for name, value in fields.items() if value is not None}
    event_id, at = given.pop("event_id", "") or new_id(), given.pop("event_time", None)
    request_id = given.get("request_id") or event_id
    given["request_id"] = _request_id(given, request_id)
    if len(str(retried := given.get("retry_of", ""))) > MAX_TEXT:
        given["retry_of"] = str(retried).partition(".")[0]
    _check(given, _RESPONSE)
    return _record("response", given["request_id"], event_id, source, at, given)


def feedback_record(source: str, request_id: str, fields: Mapping[str, Any]) -> Record:
    """``feedback.recorded`` for a request. ``InvalidEventError``."""
    given: dict[str, Any] = {"request_id": request_id} if request_id else {}
    given |= {name: value for name, value in fields.items() if value is not None}
    event_id, at = given.pop("event_id", "") or new_id(), given.pop("event_time", None)
    _check(given, _FEEDBACK)
    if not any(name in given for name in (*SCORES, *SIGNALS)):
        raise InvalidEventError(f"feedback: give one of {', '.join((*SCORES, *SIGNALS))}")
    if "service" not in given and receipt_of(request_id) is None:
        raise InvalidEventError("feedback: give a request_id that carries a receipt, or a service")
    return _record("feedback", event_id, event_id, source, at, given)


def new_id() -> str:
    """32 hex digits nobody else draws: 80 random bits of this process, and a number."""
    return f"{_ids.process}{next(_ids.numbers):012x}"


class _Ids:
    """A forked process begins anew."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.process, self.numbers = os.urandom(10).hex(), itertools.count()


_ids = _Ids()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.begin)


def _request_id(given: dict[str, Any], request_id: object) -> object:
    """Fill in what the receipt says; an id too long for an event goes without its receipt."""
    if not isinstance(request_id, str):
        return request_id
    receipt = receipt_of(request_id) if "." in request_id else None
    if receipt is None:
        return request_id
    given.setdefault("arm", receipt.arm)
    given.setdefault("slice", receipt.slice)
    given.setdefault("version", receipt.version)
    if receipt.session_group is not None:
        given.setdefault("session_group", receipt.session_group)
    parts = zip(PARTS, receipt[2:5], strict=True)
    if segment := {name: part for name, part in parts if part}:
        given.setdefault("segment", segment)
    return request_id if len(request_id) <= MAX_TEXT else request_id.partition(".")[0]


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _record(kind: Kind, key: str, event_id: object, source: str, at: float | None, given: Mapping[str, Any]) -> Record:
    if not isinstance(event_id, str) or not 0 < len(event_id) <= MAX_TEXT:
        raise InvalidEventError(f"event_id: 1 to {MAX_TEXT} characters, not {_shown(event_id)}")
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": RESPONSE_COMPLETED if kind == "response" else FEEDBACK_RECORDED,
        "time": _rfc3339(time.time() if at is None else at),
        "data": given,
    }
    try:
        return Record(kind, key.encode(), _encode(event).encode())
    except UnicodeEncodeError as error:
        raise InvalidEventError(
            f"an event holds text that is not Unicode: {error.object[error.start :][:20]!r}"
        ) from None


_second: tuple[int, str] = (-1, "")


def _rfc3339(at: Any) -> str:
    global _second  # noqa: PLW0603  # the text of the present second, used some thousand times
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at < 253_402_300_800:
        raise InvalidEventError(f"event_time: Unix seconds from 1970 to 9999, not {_shown(at)}")
    whole = int(at)
    second, text = _second
    if second != whole:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)).rjust(19, "0")
        _second = (whole, text)
    return f"{text}.{int((at - whole) * 1000):03d}Z"


# ---- bounds: those of the optimizer's app/core/events.py and app/adapters/codec/feedback.py --------------------------
PARTS = ("tenant", "task_type", "region")
_is_name = re.compile(r"[^\s*\x00-\x1f][^\x00-\x1f]{0,199}").fullmatch
Check = Callable[[Any], bool]


class _Rule(NamedTuple):
    holds: Check
    says: str


def _check(given: Mapping[str, Any], rules: Mapping[str, _Rule]) -> None:
    for name, value in given.items():
        rule = rules.get(name)
        if rule is None:
            raise InvalidEventError(f"{name}: no such field; there are {', '.join(sorted(rules))}")
        if not rule.holds(value):
            raise InvalidEventError(f"{name}: {rule.says}, not {_shown(value)}")


def _shown(value: object) -> str:
    return repr(value)[:60]


def _number(low: float, high: float, says: str) -> _Rule:
    return _Rule(lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high, says)


def _integer(high: int, says: str) -> _Rule:
    return _Rule(lambda v: isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= high, says)


def _one_of(words: frozenset[str]) -> _Rule:
    return _Rule(lambda v: isinstance(v, str) and v in words, f"one of {', '.join(sorted(words))}")


def _texts(v: Any, most: int, names: frozenset[str] | None = None) -> bool:
    return (
        isinstance(v, Mapping)
        and len(v) <= most
        and all(isinstance(k, str) and len(k) <= MAX_TEXT and (names is None or k in names) for k in v)
        and all(isinstance(text, str) and len(text) <= MAX_TEXT for text in v.values())
    )


def _are_scores(v: Any) -> bool:
    return (
        isinstance(v, Mapping)
        and 0 < len(v) <= 32
        and all(isinstance(k, str) and len(k) <= MAX_TEXT for k in v)
        and all(_FRACTION.holds(score) for score in v.values())
    )


_NAME = _Rule(
    lambda v: isinstance(v, str) and _is_name(v) is not None,
    "1 to 200 characters, none a control character, the first neither a space nor *",
)
_MODEL = _Rule(lambda v: isinstance(v, str) and 0 < len(v) <= MAX_TEXT, "1 to 200 characters")
_TEXT = _Rule(lambda v: isinstance(v, str) and len(v) <= MAX_TEXT, "at most 200 characters")
_MS = _number(0, 1e9, "milliseconds from 0 to 1e9")
_USD = _number(0, 1e9, "US dollars from 0 to 1e9")
_TOKENS = _integer(1_000_000_000, "a whole number of tokens from 0 to 1e9")
_FRACTION = _number(0, 1, "a number from 0 to 1")
_AMOUNT = _number(0, 1e12, "a number from 0 to 1e12")
_BOOL = _Rule(lambda v: isinstance(v, bool), "true or false")
_PARTS = _Rule(lambda v: _texts(v, 3, frozenset(PARTS)), "tenant, task_type, region: each at most 200 characters")

_RESPONSE: Mapping[str, _Rule] = {
    **dict.fromkeys(("service", "arm", "served_arm"), _NAME),
    "model": _MODEL,
    **dict.fromkeys(("latency_ms", "ttft_ms"), _MS),
    **dict.fromkeys(("cost_usd", "own_cost_usd"), _USD),
    **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "max_tokens"), _TOKENS),
    **dict.fromkeys(
        ("request_id", "session_id", "provider", "error_type", "finish_reason", "response_model", "fingerprint",
         "retry_of", "prompt_hash"), _TEXT),
    "segment": _PARTS,
    "slice": _one_of(SLICES),
    "version": _integer(2**53, "a whole number from 0 to 2^53"),
    "session_group": _integer(GROUPS - 1, "a whole number from 0 to 63"),
    "status": _one_of(frozenset(("ok", "error"))),
    "valid_json": _BOOL,
    "quality": _FRACTION,
    "labels": _Rule(lambda v: _texts(v, 8), "at most 8 labels, texts of at most 200 characters"),
}  # fmt: skip

_FEEDBACK: Mapping[str, _Rule] = {
    "service": _NAME,
    "request_id": _Rule(lambda v: isinstance(v, str) and len(v) <= MAX_REQUEST_ID, "at most 2000 characters"),
    "source": _one_of(frozenset(("judge", "user", "implicit"))),
    "scores": _Rule(_are_scores, "1 to 32 named scores, each from 0 to 1"),
    "quality": _FRACTION,
    "rating": _number(1, 5, "a number from 1 to 5"),
    "thumbs": _one_of(frozenset(("up", "down"))),
    **dict.fromkeys(("task_completed", "edited", "retried", "converted"), _BOOL),
    "dwell_s": _AMOUNT,
    "value_usd": _number(-1e12, 1e12, "US dollars from -1e12 to 1e12"),
    "score_probability": _Rule(lambda v: _FRACTION.holds(v) and v > 0, "a probability above 0 and at most 1"),
}
