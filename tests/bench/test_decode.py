"""What decoding costs per event, by how the producer spells it: ``pytest tests/bench --benchmark-enable``.

The measure is a bare msgspec decode of the same bytes into the same struct: the canonical way may cost little more.
"""

import json
from typing import Any

import msgspec
import pytest

from app.adapters.codec import make_decode
from app.core.events import FEEDBACK_RECORDED, ResponseEvent
from tests.adapters.codec.samples import RESPONSE, feedback, headers, structured

STRUCTURED = (("content-type", b"application/cloudevents+json"),)
OTEL = {
    "service.name": "chatbot",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 512,
    "gen_ai.usage.output_tokens": 128,
    "latency_s": 0.8124,
    "cost": {"total": 0.00123},
}
SPELLINGS: dict[str, tuple[bytes, Any]] = {
    "canonical": (structured(RESPONSE), STRUCTURED),
    "binary": (json.dumps(RESPONSE).encode(), headers()),
    "compat": (structured(RESPONSE), headers("ce-")),
    "opentelemetry": (structured(OTEL), STRUCTURED),
    "feedback": (feedback(service="chatbot", rating=4), STRUCTURED),
    "binary feedback": (b'{"service":"chatbot","rating":4}', headers(type=FEEDBACK_RECORDED)),
    "not JSON": (b"\x00" * 400, ()),
}


def test_bare_msgspec(benchmark):
    assert benchmark(msgspec.json.Decoder(ResponseEvent).decode, structured(RESPONSE)).data.service == "chatbot"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_decode(benchmark, spelling):
    value, said = SPELLINGS[spelling]
    assert benchmark(make_decode(), value, said) is not None
