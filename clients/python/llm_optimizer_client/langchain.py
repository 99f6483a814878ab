"""LangChain: a callback that tells of every answer of a chat model or a completion model, of any provider.

    model.invoke(question, config={"callbacks": [OptimizerCallback("chat")]})

A callback cannot change the model. To use the optimizer's: ``selection = client.select_model("chat")``, then
``model.bind(model=selection.model, **selection.parameters)`` with ``config={"metadata": metadata_of(selection)}``.
"""

from __future__ import annotations

from typing import Any

from llm_optimizer_client.client import Client, default_client
from llm_optimizer_client.flight import REQUEST_ID, Flights
from llm_optimizer_client.selection import Selection

try:
    from langchain_core.callbacks import BaseCallbackHandler
except ImportError as error:  # pragma: no cover  # without the extra
    raise ImportError("this needs one more package: pip install 'llm-optimizer-client[langchain]'") from error


def metadata_of(selection: Selection) -> dict[str, str]:
    """What the callback finds a selection by, in the metadata of a call's config."""
    return {REQUEST_ID: selection.request_id}


class OptimizerCallback(BaseCallbackHandler):
    """Tells ``optimizer`` (without one: that of the environment) of every answer for ``service``. Use one for all
    calls.

    Works in synchronous and asynchronous code. Neither prompts nor answers are kept.
    """

    run_inline = True

    def __init__(self, service: str, *, optimizer: Client | None = None) -> None:
        self._flights = Flights(optimizer or default_client(), service)

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **more: Any) -> None:
        """A request begins."""
        self._begin(run_id, more)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: Any, **more: Any) -> None:
        """A request begins."""
        self._begin(run_id, more)

    def on_llm_new_token(self, token: Any, *, run_id: Any, **more: Any) -> None:
        """Some of the answer has come."""
        self._flights.token(run_id)

    def on_llm_end(self, response: Any, *, run_id: Any, **more: Any) -> None:
        """The answer is here."""
        generations = [one for many in getattr(response, "generations", None) or () for one in many]
        told: dict[str, Any] = {}
        for generation in generations:
            _add(told, generation)
        usage = (getattr(response, "llm_output", None) or {}).get("token_usage") or {}
        if "input_tokens" not in told:
            told |= {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}
        self._flights.end(run_id, told)

    def on_llm_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """There is no answer."""
        self._flights.fail(run_id, type(error).__name__)

    def _begin(self, run_id: Any, more: dict[str, Any]) -> None:
        metadata, parameters = more.get("metadata") or {}, more.get("invocation_params") or {}
        model = parameters.get("model") or parameters.get("model_name") or metadata.get("ls_model_name") or ""
        provider = metadata.get("ls_provider") or ""
        self._flights.begin(run_id, str(model), str(provider), str(metadata.get(REQUEST_ID) or ""))


def _add(told: dict[str, Any], generation: Any) -> None:
    """What one generation says of its tokens, its end and its model; of several the tokens are added up."""
    message = getattr(generation, "message", None)
    usage = getattr(message, "usage_metadata", None) or {}
    for name in ("input_tokens", "output_tokens"):
        if isinstance(usage.get(name), int):
            told[name] = told.get(name, 0) + usage[name]
    cached = (usage.get("input_token_details") or {}).get("cache_read")
    if isinstance(cached, int):
        told["cached_tokens"] = told.get("cached_tokens", 0) + cached
    said = dict(getattr(generation, "generation_info", None) or {})
    said |= getattr(message, "response_metadata", None) or {}
    told.setdefault("finish_reason", said.get("finish_reason") or said.get("stop_reason"))
    told.setdefault("response_model", said.get("model_name") or said.get("model"))
    told.setdefault("fingerprint", said.get("system_fingerprint"))
