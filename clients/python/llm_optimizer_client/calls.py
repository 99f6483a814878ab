"""One call to a provider, from its beginning to its event. What goes wrong in here never reaches the application."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from llm_optimizer_client import scope
from llm_optimizer_client.client import Client
from llm_optimizer_client.events import MAX_TEXT, InvalidEventError
from llm_optimizer_client.readers import Reader, Said
from llm_optimizer_client.selection import Selection, model_of

log = logging.getLogger("llm_optimizer_client")

REQUEST_ID = "_llm_optimizer_request_id"
"""Attribute of an answer (and of a stream) that tells its request id."""

PROTECTED = frozenset(
    ("model", "messages", "input", "system", "instructions", "prompt", "stream", "stream_options", "tools",
     "tool_choice", "functions", "function_call", "parallel_tool_calls", "response_format", "text", "metadata",
     "user", "n", "previous_response_id", "conversation")
)  # fmt: skip
"""What a call says itself: no parameter of an arm replaces it."""


class Call:
    """A request under way. ``providers``: whose models this client can call; None: anybody's. Mutable."""

    def __init__(
        self,
        client: Client,
        reader: Reader,
        selection: Selection,
        body: Mapping[str, Any],
        *,
        provider: str,
        providers: frozenset[str] | None,
        stream: bool,
        stream_usage: bool,
    ) -> None:
        self._client, self._reader, self._selection = client, reader, selection
        self._arm = _served(selection, providers)
        self._provider = str(self._arm.get("provider") or "") or provider
        self.body = dict(body)
        if self._arm:
            parameters = self._arm.get("parameters") or {}
            self.body |= {name: value for name, value in parameters.items() if name not in PROTECTED}
            self.body["model"] = model_of(self._arm)
        self._asked_usage = stream and stream_usage and reader.prepare(self.body)
        self._said, self._ttft_ms = Said(), None if not stream else -1.0
        self._segment = dict(scope.current().segment)
        self._ended = False
        scope.note(selection.request_id)
        self._began = time.perf_counter()

    @property
    def request_id(self) -> str:
        """With the receipt."""
        return self._selection.request_id

    def answered(self, answer: Any) -> None:
        """The whole answer is here."""
        latency_ms = self._elapsed_ms()
        self._read(self._reader.whole, answer)
        _mark(answer, self.request_id)
        self._end(latency_ms, "ok")

    def chunk(self, chunk: Any) -> bool:
        """Some of the answer came; whether the application is to see it."""
        self._read(self._reader.chunk, chunk)
        if self._ttft_ms == -1.0 and self._said.first_token:
            self._ttft_ms = self._elapsed_ms()
        return not (self._asked_usage and self._reader.only_usage(chunk))

    def finished(self) -> None:
        """The stream came to its end."""
        self._end(self._elapsed_ms(), "ok")

    def dropped(self) -> None:
        """The application reads no further: an answer all the same."""
        self._said.finish_reason = self._said.finish_reason or "cancelled"
        self._end(self._elapsed_ms(), "ok")

    def failed(self, error: BaseException) -> None:
        """No answer, or not all of it."""
        given_up = isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit)
        self._end(self._elapsed_ms(), "error", "cancelled" if given_up else type(error).__name__)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000

    def _read(self, read: Any, answer: Any) -> None:
        try:
            read(answer, self._said)
        except Exception:
            log.debug("an answer could not be read", exc_info=True)

    def _end(self, latency_ms: float, status: str, error_type: str = "") -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._client.response(
                self._selection.service,
                str(self.body.get("model") or "")[:MAX_TEXT] or "unknown",
                round(latency_ms, 3),
                **self._fields(status, error_type),
            )
        except InvalidEventError as error:
            log.warning("an answer is not told: %s", error)
        except Exception:
            log.exception("an answer is not told")

    def _fields(self, status: str, error_type: str) -> Any:
        said, selection = self._said, self._selection
        fields: dict[str, Any] = {"request_id": selection.request_id, "provider": self._provider, "status": status}
        if self._ttft_ms is not None and self._ttft_ms >= 0:
            fields["ttft_ms"] = round(self._ttft_ms, 3)
        if self._segment and not selection.arm:
            fields["segment"] = self._segment
        served = str(self._arm.get("name") or "") if self._arm else str(self.body.get("model") or "")[:MAX_TEXT]
        if selection.arm and served and served != selection.arm:
            fields["served_arm"] = served
        said_of_it = {
            "input_tokens": said.input_tokens,
            "output_tokens": said.output_tokens,
            "cached_tokens": said.cached_tokens,
            "finish_reason": said.finish_reason,
            "response_model": said.response_model,
            "fingerprint": said.fingerprint,
            "error_type": error_type[:MAX_TEXT],
        }
        return fields | {name: value for name, value in said_of_it.items() if value}


def _served(selection: Selection, providers: frozenset[str] | None) -> Mapping[str, Any]:
    """The arm that can be called here, the drawn one before all; empty: none, so the call stays as it is."""
    for arm in selection.order:
        provider = str(arm.get("provider") or "")
        if arm.get("model") and (not provider or providers is None or provider in providers):
            return arm
    return {}


def _mark(answer: Any, request_id: str) -> None:
    try:
        object.__setattr__(answer, REQUEST_ID, request_id)
    except (AttributeError, TypeError):
        log.debug("an answer of %s takes no request id", type(answer))
