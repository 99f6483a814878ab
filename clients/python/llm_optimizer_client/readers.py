"""What an answer says of itself, for each API: tokens, why it ended, who answered. Never what it says to the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llm_optimizer_client.events import MAX_TEXT


@dataclass
class Said:
    """Tokens and names of one answer. ``first_token``: some of the answer has come. Mutable."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    finish_reason: str = ""
    response_model: str = ""
    fingerprint: str = ""
    first_token: bool = False


class Reader(Protocol):
    """One API. ``chunk`` and ``whole`` add to ``Said``; they raise nothing for answers of another shape."""

    def prepare(self, body: dict[str, Any]) -> bool:
        """Have a stream tell its usage; whether it was changed for that."""

    def whole(self, answer: Any, said: Said) -> None: ...

    def chunk(self, chunk: Any, said: Said) -> None: ...

    def only_usage(self, chunk: Any) -> bool:
        """Whether ``chunk`` came only because ``prepare`` asked for it."""


class ChatCompletions:
    """OpenAI's ``/chat/completions``."""

    def prepare(self, body: dict[str, Any]) -> bool:
        """``stream_options.include_usage``, unless the caller said something of it."""
        options = body.get("stream_options")
        if isinstance(options, Mapping) and "include_usage" in options:
            return False
        body["stream_options"] = {**(options if isinstance(options, Mapping) else {}), "include_usage": True}
        return True

    def whole(self, answer: Any, said: Said) -> None:
        """Usage, the first choice's end, the model."""
        _names(answer, said)
        usage = getattr(answer, "usage", None)
        if usage is not None:
            said.input_tokens = _tokens(usage, "prompt_tokens")
            said.output_tokens = _tokens(usage, "completion_tokens")
            said.cached_tokens = _tokens(getattr(usage, "prompt_tokens_details", None), "cached_tokens")
        for choice in getattr(answer, "choices", None) or ():
            said.finish_reason = said.finish_reason or _text(getattr(choice, "finish_reason", ""))

    def chunk(self, chunk: Any, said: Said) -> None:
        """As ``whole``; a delta with text, a refusal or a tool call is the answer's first token."""
        self.whole(chunk, said)
        if not said.first_token:
            deltas = [getattr(choice, "delta", None) for choice in getattr(chunk, "choices", None) or ()]
            said.first_token = any(_any_of(delta, _DELTAS) for delta in deltas)

    def only_usage(self, chunk: Any) -> bool:
        """The last one: usage and no choice."""
        return not getattr(chunk, "choices", None) and getattr(chunk, "usage", None) is not None


class Responses:
    """OpenAI's ``/responses``."""

    def prepare(self, body: dict[str, Any]) -> bool:  # noqa: ARG002  # the contract
        """The last event tells the usage by itself."""
        return False

    def whole(self, answer: Any, said: Said) -> None:
        """Usage, status, the model."""
        _names(answer, said)
        usage = getattr(answer, "usage", None)
        if usage is not None:
            said.input_tokens = _tokens(usage, "input_tokens")
            said.output_tokens = _tokens(usage, "output_tokens")
            said.cached_tokens = _tokens(getattr(usage, "input_tokens_details", None), "cached_tokens")
        why = getattr(getattr(answer, "incomplete_details", None), "reason", "")
        said.finish_reason = _text(why) or _text(getattr(answer, "status", "")) or said.finish_reason

    def chunk(self, chunk: Any, said: Said) -> None:
        """Any delta is a token; events that carry the response tell the rest."""
        said.first_token = said.first_token or _text(getattr(chunk, "type", "")).endswith(".delta")
        answer = getattr(chunk, "response", None)
        if answer is not None:
            self.whole(answer, said)

    def only_usage(self, chunk: Any) -> bool:  # noqa: ARG002  # the contract
        """Never."""
        return False


class Messages:
    """Anthropic's ``/v1/messages``. Its input tokens leave out those of the cache; here they are all in."""

    def prepare(self, body: dict[str, Any]) -> bool:  # noqa: ARG002  # the contract
        """Streams tell their usage by themselves."""
        return False

    def whole(self, answer: Any, said: Said) -> None:
        """Usage, why it stopped, the model."""
        _names(answer, said)
        said.finish_reason = _text(getattr(answer, "stop_reason", "")) or said.finish_reason
        self._usage(getattr(answer, "usage", None), said)

    def chunk(self, chunk: Any, said: Said) -> None:
        """``message_start`` has the prompt's tokens, ``message_delta`` the answer's."""
        kind = getattr(chunk, "type", "")
        if kind == "message_start":
            self.whole(getattr(chunk, "message", None), said)
        elif kind == "message_delta":
            said.finish_reason = _text(getattr(getattr(chunk, "delta", None), "stop_reason", "")) or said.finish_reason
            self._usage(getattr(chunk, "usage", None), said)
        said.first_token = said.first_token or kind == "content_block_delta"

    def only_usage(self, chunk: Any) -> bool:  # noqa: ARG002  # the contract
        """Never."""
        return False

    def _usage(self, usage: Any, said: Said) -> None:
        if usage is None:
            return
        said.output_tokens = _tokens(usage, "output_tokens") or said.output_tokens
        cached, written = _tokens(usage, "cache_read_input_tokens"), _tokens(usage, "cache_creation_input_tokens")
        if prompt := _tokens(usage, "input_tokens") + cached + written:
            said.input_tokens, said.cached_tokens = prompt, cached


READERS: Mapping[tuple[str, str], Reader] = {
    ("openai", "/chat/completions"): ChatCompletions(),
    ("openai", "/responses"): Responses(),
    ("anthropic", "/v1/messages"): Messages(),
}
"""(package, path that is posted to) -> who reads the answer. What is not here is let through."""

_DELTAS = ("content", "refusal", "tool_calls", "function_call", "reasoning_content")


def _names(answer: Any, said: Said) -> None:
    said.response_model = _text(getattr(answer, "model", "")) or said.response_model
    said.fingerprint = _text(getattr(answer, "system_fingerprint", "")) or said.fingerprint


def _any_of(delta: Any, names: tuple[str, ...]) -> bool:
    return any(getattr(delta, name, None) for name in names)


def _tokens(usage: Any, name: str) -> int:
    value = getattr(usage, name, 0)
    return value if isinstance(value, int) and 0 <= value <= 1_000_000_000 else 0


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""
