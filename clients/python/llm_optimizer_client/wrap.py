"""OpenAI's and Anthropic's own clients, every answer told and every model selected: ``client = wrap(OpenAI(), ...)``.

What is wrapped is the one method through which all of a client's calls pass (``post``, which both packages document for
calls of one's own), on a copy of the client: ``create``, ``parse``, ``stream`` and raw responses are told alike,
requests that are no answers of a model (files, embeddings, token counts...) pass untouched. Prompts and answers are
never kept.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from llm_optimizer_client import scope
from llm_optimizer_client.calls import REQUEST_ID, Call
from llm_optimizer_client.client import Client, NotConfiguredError, default_client
from llm_optimizer_client.events import MAX_TEXT, new_id
from llm_optimizer_client.readers import READERS, Reader
from llm_optimizer_client.selection import Selection, without_split
from llm_optimizer_client.streams import AsyncObserved, Observed

log = logging.getLogger("llm_optimizer_client")

C = TypeVar("C")
RAW = "x-stainless-raw-response"


@dataclass(frozen=True)
class _Wrapping:
    client: Client
    service: str
    package: str
    select: bool
    provider: str
    providers: frozenset[str] | None
    stream_usage: bool

    def reader(self, path: str, body: object) -> Reader | None:
        """Who reads the answer; None: the call is none of ours."""
        return READERS.get((self.package, path.partition("?")[0])) if isinstance(body, Mapping) else None

    def own(self, body: Mapping[str, Any]) -> Selection:
        """The model the application asked for."""
        return without_split(self.service, str(body.get("model") or "")[:MAX_TEXT], new_id())

    def call(self, reader: Reader, selection: Selection, body: Mapping[str, Any], *, stream: bool) -> Call:
        """Begin one."""
        return Call(
            self.client, reader, selection, body,
            provider=self.provider, providers=self.providers, stream=stream, stream_usage=self.stream_usage,
        )  # fmt: skip


def wrap(
    client: C,
    service: str,
    *,
    optimizer: Client | None = None,
    select: bool | None = None,
    providers: frozenset[str] | None = None,
    stream_usage: bool = True,
) -> C:
    """A copy of ``client`` (OpenAI, AsyncOpenAI, their Azure kinds, Anthropic, AsyncAnthropic) that tells ``optimizer``
    (without one: that of the environment) of every answer, and sends requests to the model that the split says.

    ``select``: False only tells; None selects where the optimizer knows whom to ask. ``providers``: whose models this
    client can call; an arm of another provider is served by the first that can be. Without it: OpenAI's or Anthropic's
    own at their own address, anybody's at another. ``stream_usage``: ask OpenAI's chat streams for their tokens.

    TypeError: not such a client. NotConfiguredError: the optimizer has nowhere to send events.
    """
    package = _package(client)
    told = optimizer or default_client()
    if not told.emits:
        raise NotConfiguredError(
            "nowhere to send events: set LLM_OPTIMIZER_API or LLM_OPTIMIZER_KAFKA, or give optimizer="
        )
    own = str(getattr(client, "base_url", "")).startswith(_ADDRESSES[package])
    wrapping = _Wrapping(
        client=told,
        service=service,
        package=package,
        select=told.selects if select is None else select,
        provider=package if own else "",
        providers=providers or (frozenset((package,)) if own else None),
        stream_usage=stream_usage,
    )
    wrapped: C = _installed(client, wrapping)
    return wrapped


def request_id_of(answer: object) -> str:
    """The request id, with its receipt, of an answer or a stream of a wrapped client; empty when it has none."""
    return str(getattr(answer, REQUEST_ID, ""))


_ADDRESSES = {"openai": "https://api.openai.com", "anthropic": "https://api.anthropic.com"}


def _package(client: object) -> str:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in _ADDRESSES and hasattr(client, "post") and hasattr(client, "copy"):
            return package
    raise TypeError(f"wrap takes a client of the packages openai or anthropic, not {type(client).__name__}")


def _installed(client: Any, wrapping: _Wrapping) -> Any:
    copy = client.copy()
    again = copy.copy
    copy.post = (_asynchronous if inspect.iscoroutinefunction(copy.post) else _synchronous)(copy.post, wrapping)

    def recopied(*args: Any, **options: Any) -> Any:
        return _installed(again(*args, **options), wrapping)

    copy.copy = copy.with_options = recopied
    return copy


def _synchronous(inner: Any, wrapping: _Wrapping) -> Any:
    def post(path: str, *, body: Any = None, stream: bool = False, **more: Any) -> Any:
        reader = wrapping.reader(path, body)
        raw = _raw(more)
        if reader is None or raw == "stream":  # the application reads the body itself, there is nothing to tell
            return inner(path, body=body, stream=stream, **more)
        selection = None
        if wrapping.select:
            try:
                selection = wrapping.client.select_model(wrapping.service, **_asked(body))
            except Exception:
                log.exception("no model was selected")
        selection = selection or wrapping.own(body)
        call = wrapping.call(reader, selection, body, stream=stream)
        try:
            result = inner(path, body=call.body, stream=stream, **more)
            answer = result.parse() if raw else result
        except BaseException as error:
            call.failed(error)
            raise
        _observe(answer, call, Observed, stream=stream)
        return result

    return post


def _asynchronous(inner: Any, wrapping: _Wrapping) -> Any:
    async def post(path: str, *, body: Any = None, stream: bool = False, **more: Any) -> Any:
        reader = wrapping.reader(path, body)
        raw = _raw(more)
        if reader is None or raw == "stream":
            return await inner(path, body=body, stream=stream, **more)
        selection = None
        if wrapping.select:
            try:
                selection = await wrapping.client.aselect_model(wrapping.service, **_asked(body))
            except Exception:
                log.exception("no model was selected")
        selection = selection or wrapping.own(body)
        call = wrapping.call(reader, selection, body, stream=stream)
        try:
            result = await inner(path, body=call.body, stream=stream, **more)
            answer = result.parse() if raw else result
            answer = await answer if inspect.isawaitable(answer) else answer
        except BaseException as error:
            call.failed(error)
            raise
        _observe(answer, call, AsyncObserved, stream=stream)
        return result

    return post


def _observe(answer: Any, call: Call, observed: Any, *, stream: bool) -> None:
    if not stream:
        call.answered(answer)
        return
    try:
        answer._iterator = observed(answer._iterator, call)  # noqa: SLF001  # where both packages keep a stream's chunks
        answer.close = _closing(answer, call)
        setattr(answer, REQUEST_ID, call.request_id)
    except AttributeError:
        log.warning("a stream of %s cannot be observed", type(answer).__name__)
        call.dropped()


def _closing(answer: Any, call: Call) -> Any:
    """``close`` of a stream, told as well. It does not keep the stream alive."""
    close, stream = type(answer).close, weakref.ref(answer)

    def closing() -> Any:
        call.dropped()
        return close(stream())  # a coroutine of an asynchronous one

    return closing


def _asked(body: Mapping[str, Any]) -> dict[str, Any]:
    here = scope.current()
    return {"session": here.session, "default": str(body.get("model") or "unknown"), **here.segment}


def _raw(more: Mapping[str, Any]) -> str:
    headers = (more.get("options") or {}).get("headers") or {}
    return next((str(value) for name, value in headers.items() if name.lower() == RAW), "")
