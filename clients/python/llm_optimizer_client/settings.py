"""From settings to the parts of a client. The environment names them LLM_OPTIMIZER_...; arguments go before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_optimizer_client.events import Kind
from llm_optimizer_client.http import HttpTransport
from llm_optimizer_client.kafka import KafkaTransport
from llm_optimizer_client.sources import ApiSource, DesiredSource, Source
from llm_optimizer_client.transport import Transport

TOPICS: Mapping[Kind, str] = {"response": "llm.responses", "feedback": "llm.feedback"}

VARIABLES = {
    "LLM_OPTIMIZER_API": "api",
    "LLM_OPTIMIZER_API_KEY": "api_key",
    "LLM_OPTIMIZER_KAFKA": "kafka",
    "LLM_OPTIMIZER_URL": "desired",
    "LLM_OPTIMIZER_KEY": "desired_key",
    "LLM_OPTIMIZER_SPILL": "spill",
    "LLM_OPTIMIZER_CACHE": "cache",
}
"""Variable of the environment -> argument of ``Client``."""


def from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of ``Client``, as far as the environment gives them."""
    return {argument: env[name] for name, argument in VARIABLES.items() if env.get(name)}


@dataclass(frozen=True)
class Settings:
    """Addresses and keys."""

    api: str = ""
    api_key: str = ""
    kafka: str | Mapping[str, Any] = ""
    topics: Mapping[Kind, str] | None = None
    desired: str = ""
    desired_key: str = ""

    def transport(self) -> Transport | None:
        """Kafka before the API; None: neither is given."""
        if self.kafka:
            return KafkaTransport(self.kafka, {**TOPICS, **(self.topics or {})})
        return HttpTransport(self.api, self.api_key) if self.api else None

    def source(self) -> Source | None:
        """The desired state before the API; None: neither is given."""
        return DesiredSource(self.desired, self.desired_key) if self.desired else self.api_source()

    def api_source(self) -> ApiSource | None:
        """The API, if it is given."""
        return ApiSource(self.api, self.api_key) if self.api else None
