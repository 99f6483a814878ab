"""LlamaIndex: an event handler that tells of every answer of a model.

    get_dispatcher().add_event_handler(OptimizerHandler.of("chat"))

Events are told apart by their names, as LlamaIndex' own documentation lists them, so this needs no more than the
package ``llama-index-instrumentation``. A handler cannot change the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import PrivateAttr

from llm_optimizer_client.client import Client, default_client
from llm_optimizer_client.flight import REQUEST_ID, Flights

try:
    from llama_index_instrumentation.event_handlers import BaseEventHandler
except ImportError as error:  # pragma: no cover  # without the extra
    raise ImportError("this needs one more package: pip install 'llm-optimizer-client[llamaindex]'") from error

STARTS = frozenset(("LLMChatStartEvent", "LLMCompletionStartEvent"))
PARTS = frozenset(("LLMChatInProgressEvent", "LLMCompletionInProgressEvent"))
ENDS = frozenset(("LLMChatEndEvent", "LLMCompletionEndEvent"))
FAILURES = frozenset(("ExceptionEvent", "SpanDropEvent"))


class OptimizerHandler(BaseEventHandler):
    """Tells the optimizer of every answer. Make it with ``of``; one for all calls."""

    _flights: Flights = PrivateAttr()

    @classmethod
    def of(cls, service: str, *, optimizer: Client | None = None) -> OptimizerHandler:
        """For ``service``; without ``optimizer`` that of the environment."""
        made = cls()
        made._flights = Flights(optimizer or default_client(), service)
        return made

    @classmethod
    def class_name(cls) -> str:
        """Its name among handlers."""
        return "OptimizerHandler"

    def handle(self, event: Any, **_: Any) -> None:
        """One event of LlamaIndex."""
        name, span = event.class_name(), getattr(event, "span_id", None)
        if name in STARTS:
            about = getattr(event, "model_dict", None) or {}
            tags = getattr(event, "tags", None) or {}
            model = str(about.get("model") or about.get("model_name") or "")
            self._flights.begin(span, model, request_id=str(tags.get(REQUEST_ID) or ""))
        elif name in PARTS:
            self._flights.token(span)
        elif name in ENDS:
            self._flights.end(span, _told(getattr(event, "response", None)))
        elif name in FAILURES and self._flights.knows(span):  # failures are told of every span
            error = getattr(event, "exception", None)
            self._flights.fail(span, type(error).__name__ if error is not None else "error")


def _told(response: Any) -> dict[str, Any]:
    """Usage and names, out of the provider's own answer that LlamaIndex passes on."""
    raw = getattr(response, "raw", None)
    extra = getattr(response, "additional_kwargs", None) or {}
    choices = _of(raw, "choices") or [{}]
    return {
        **_tokens(_of(raw, "usage") or extra),
        "response_model": _of(raw, "model"),
        "finish_reason": _of(choices[0], "finish_reason") or _of(raw, "stop_reason"),
        "fingerprint": _of(raw, "system_fingerprint"),
    }


def _tokens(usage: Any) -> dict[str, Any]:
    """OpenAI's names, or Anthropic's, whose input leaves out the tokens of the cache."""
    if _of(usage, "prompt_tokens") is not None:
        cached = _of(_of(usage, "prompt_tokens_details"), "cached_tokens")
        told = {"input_tokens": _of(usage, "prompt_tokens"), "output_tokens": _of(usage, "completion_tokens")}
        return {**told, "cached_tokens": cached}
    cached = _of(usage, "cache_read_input_tokens") or 0
    prompt = (_of(usage, "input_tokens") or 0) + cached + (_of(usage, "cache_creation_input_tokens") or 0)
    return {"input_tokens": prompt, "output_tokens": _of(usage, "output_tokens"), "cached_tokens": cached}


def _of(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
