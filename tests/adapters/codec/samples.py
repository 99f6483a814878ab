"""Events to start from: builders that a test changes in one place."""

import json
from typing import Any

from app.core.batch import Headers
from app.core.events import FEEDBACK_RECORDED, RESPONSE_COMPLETED, Receipt, SegmentParts

TIME = "2025-11-09T10:15:30.123Z"
RECEIPT = Receipt("chatbot", "cheap@v3", SegmentParts(tenant="acme"), "trial", 12, 7)

RESPONSE: dict[str, Any] = {
    "request_id": "r-8c1f2a9e",
    "service": "chatbot",
    "arm": "cheap@v3",
    "segment": {"tenant": "acme"},
    "slice": "main",
    "version": 12,
    "model": "gpt-4o-mini",
    "provider": "openai",
    "latency_ms": 812.4,
    "input_tokens": 512,
    "output_tokens": 128,
    "cost_usd": 0.00123,
    "status": "ok",
}
MINIMAL: dict[str, Any] = {"service": "chatbot", "model": "gpt-4o-mini", "latency_ms": 812.4}


def envelope(data: Any, type_: str = RESPONSE_COMPLETED, **attributes: Any) -> dict[str, Any]:
    """A CloudEvent as a dict; attributes given as None are left out."""
    event = {"specversion": "1.0", "type": type_, "source": "/orchestrator", "id": "e-1", "time": TIME, **attributes}
    return {name: value for name, value in event.items() if value is not None} | {"data": data}


def structured(data: Any, type_: str = RESPONSE_COMPLETED, **attributes: Any) -> bytes:
    return json.dumps(envelope(data, type_, **attributes)).encode()


def feedback(**data: Any) -> bytes:
    return structured(data, FEEDBACK_RECORDED)


def headers(prefix: str = "ce_", content_type: str | None = "application/json", **attributes: str) -> Headers:
    """Binary-mode headers of the same event; attributes given as "" are left out."""
    values = {"specversion": "1.0", "type": RESPONSE_COMPLETED, "source": "/orchestrator", "id": "e-1", "time": TIME}
    values |= attributes
    named = [(prefix + name, text.encode()) for name, text in values.items() if text]
    return named if content_type is None else [*named, ("content-type", content_type.encode())]
