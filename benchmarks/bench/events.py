"""The traffic of every measurement: seeded answers, as structured CloudEvents of about 350 bytes."""

import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from app.core.events import RESPONSE_COMPLETED

MODELS = ("gpt-4", "gpt-4o-mini", "claude-haiku", "claude-opus", "gemini-pro", "llama-3-70b", "mistral", "command-r")
NESTED = "llm.response.completed"
"""The older type, whose events here say ``tokens: {input, output}``; the canonical one says input_tokens."""

_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """One answered request."""

    service: str
    model: str
    latency_ms: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    quality: float
    status: str

    @property
    def key(self) -> str:
        return f"{self.service}|{self.model}"


def services(keys: int) -> list[str]:
    """Names of the services of ``keys`` (service, model) pairs."""
    return [f"svc-{number:04d}" for number in range(keys // len(MODELS))]


def draw(source: random.Random, names: Sequence[str]) -> Answer:
    """The next answer: services alike, the first models more often than the last."""
    return Answer(
        names[source.randrange(len(names))],
        MODELS[min(len(MODELS) - 1, int(source.expovariate(0.5)))],
        round(source.lognormvariate(6.5, 0.6), 2),
        source.randrange(20, 2000),
        source.randrange(10, 900),
        round(source.random() * 0.05, 6),
        round(source.random(), 3),
        "ok" if source.random() < 0.98 else "error",
    )


def encoded(number: int, answer: Answer, at_ms: int, type_: str = NESTED) -> bytes:
    """``answer`` at epoch millisecond ``at_ms``, spelled as its type spells it."""
    tokens: dict[str, Any] = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    if type_ != RESPONSE_COMPLETED:
        tokens = {"tokens": {"input": answer.input_tokens, "output": answer.output_tokens}}
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_ms // 1000))
    data = {"request_id": f"req-{number:08d}", "service": answer.service, "model": answer.model}
    rest = {"cost_usd": answer.cost_usd, "quality": answer.quality, "status": answer.status}
    return _encode(
        {
            "specversion": "1.0",
            "type": type_,
            "source": f"/{answer.service}",
            "id": f"{number:08d}-9b1c-4f6e",
            "time": f"{second}.{at_ms % 1000:03d}Z",
            "datacontenttype": "application/json",
            "data": {**data, "latency_ms": answer.latency_ms, **tokens, **rest},
        }
    )
