"""LangChain's callback and LlamaIndex' handler tell of answers as the wrappers do."""

from typing import Any

import pytest
from langchain_core.callbacks import CallbackManager
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.base import BaseEvent
from llm_optimizer_client import Client, MemoryTransport, NotConfiguredError, receipt_of, session
from llm_optimizer_client.flight import MAX_FLIGHTS, Flights
from llm_optimizer_client.langchain import OptimizerCallback, metadata_of
from llm_optimizer_client.llamaindex import OptimizerHandler
from llm_optimizer_client.sources import Fetched

from app.adapters.codec import make_decode
from app.core.events import ResponseEvent
from app.core.split import encode
from tests.core.splits import split

WITHIN_S = 20
decode = make_decode()


class Splits:
    poll_s = 3600.0

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
        import json

        return Fetched(json.loads(encode(split(4))), b"", "e")


class Told(Client):
    def __init__(self) -> None:
        self.there = MemoryTransport()
        super().__init__(transport=self.there, splits=Splits())

    def event(self) -> Any:
        assert self.flush(WITHIN_S)
        (one,) = self.there.records
        assert b"secret" not in one.value
        event = decode(one.value, (("content-type", b"application/cloudevents+json"),))
        assert isinstance(event, ResponseEvent)
        return event.data


@pytest.fixture
def told():
    with Told() as client:
        yield client


def answer(**more: Any) -> AIMessage:
    usage: Any = {"input_tokens": 20, "output_tokens": 3, "total_tokens": 23, "input_token_details": {"cache_read": 5}}
    about = {"finish_reason": "stop", "model_name": "m-1", "system_fingerprint": "fp"}
    return AIMessage(content="a secret answer", usage_metadata=usage, response_metadata=about, **more)


def test_langchain_tells_of_an_answer(told):
    model = GenericFakeChatModel(messages=iter([answer()]))
    with session("s", tenant="acme"):
        model.invoke("a secret question", config={"callbacks": [OptimizerCallback("chat", optimizer=told)]})
    event = told.event()
    assert (event.service, event.status, event.finish_reason) == ("chat", "ok", "stop")
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (20, 3, 5)
    assert (event.response_model, event.fingerprint, event.segment.tenant) == ("m-1", "fp", "acme")


async def test_langchain_streams_tell_when_the_first_token_came(told):
    model = GenericFakeChatModel(messages=iter([AIMessage(content="a secret answer")]))
    config: Any = {"callbacks": [OptimizerCallback("chat", optimizer=told)]}
    assert len([part async for part in model.astream("hi", config=config)]) > 1
    event = told.event()
    assert 0 < event.ttft_ms <= event.latency_ms


def test_langchain_tells_of_an_error_and_raises_it(told):
    class Broken(GenericFakeChatModel):
        def _generate(self, *_: Any, **__: Any) -> Any:
            raise TimeoutError("a secret")

    with pytest.raises(TimeoutError):
        Broken(messages=iter([])).invoke("hi", config={"callbacks": [OptimizerCallback("chat", optimizer=told)]})
    event = told.event()
    assert (event.status, event.error_type) == ("error", "TimeoutError")


def test_langchain_carries_the_receipt_of_a_selection(told):
    selection = told.select_model("bot", session="s")
    model = GenericFakeChatModel(messages=iter([answer()])).bind(model=selection.model, **selection.parameters)
    config: Any = {"callbacks": [OptimizerCallback("bot", optimizer=told)], "metadata": metadata_of(selection)}
    model.invoke("hi", config=config)
    event = told.event()
    assert event.request_id == selection.request_id
    assert (event.arm, event.version, event.model) == ("big", 4, "big-1")


def test_langchain_completions_tell_their_usage_too(told):
    manager = CallbackManager.configure(inheritable_callbacks=[OptimizerCallback("chat", optimizer=told)])
    from langchain_core.outputs import Generation, LLMResult

    (run,) = manager.on_llm_start({}, ["hi"], invocation_params={"model_name": "old"})
    usage = {"token_usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    run.on_llm_end(LLMResult(generations=[[Generation(text="a secret")]], llm_output=usage))
    event = told.event()
    assert (event.model, event.input_tokens, event.output_tokens) == ("old", 7, 2)


# ---- LlamaIndex: events of the names and fields its core sends
class LLMChatStartEvent(BaseEvent):
    messages: list[Any]
    model_dict: dict[str, Any]

    @classmethod
    def class_name(cls) -> str:
        return "LLMChatStartEvent"


class LLMChatInProgressEvent(LLMChatStartEvent):
    messages: list[Any] = []
    model_dict: dict[str, Any] = {}

    @classmethod
    def class_name(cls) -> str:
        return "LLMChatInProgressEvent"


class ChatResponse:
    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.additional_kwargs: dict[str, Any] = {}
        self.message = "a secret answer"


class LLMChatEndEvent(BaseEvent):
    messages: list[Any] = []
    response: ChatResponse | None

    @classmethod
    def class_name(cls) -> str:
        return "LLMChatEndEvent"


class ExceptionEvent(BaseEvent):
    exception: BaseException

    @classmethod
    def class_name(cls) -> str:
        return "ExceptionEvent"


class SpanDropEvent(BaseEvent):
    err_str: str

    @classmethod
    def class_name(cls) -> str:
        return "SpanDropEvent"


OPENAI = {
    "model": "m-1", "system_fingerprint": "fp", "choices": [{"finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
}  # fmt: skip
ANTHROPIC = {
    "model": "m-1", "stop_reason": "stop",
    "usage": {"input_tokens": 10, "output_tokens": 3, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 5},
}  # fmt: skip


@pytest.fixture
def dispatcher(told):
    found = get_dispatcher("tests.llm_optimizer_client")
    handler = OptimizerHandler.of("chat", optimizer=told)
    found.add_event_handler(handler)
    yield found
    found.event_handlers.remove(handler)


def start(**more: Any) -> LLMChatStartEvent:
    return LLMChatStartEvent(messages=["a secret question"], model_dict={"model": "m"}, span_id="span", **more)


@pytest.mark.parametrize("raw", [OPENAI, ANTHROPIC])
def test_llamaindex_tells_of_an_answer(told, dispatcher, raw):
    dispatcher.event(start())
    dispatcher.event(LLMChatInProgressEvent(span_id="span"))
    dispatcher.event(LLMChatEndEvent(response=ChatResponse(raw), span_id="span"))
    event = told.event()
    assert (event.service, event.model, event.status, event.finish_reason) == ("chat", "m", "ok", "stop")
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (20, 3, 5)
    assert 0 < event.ttft_ms <= event.latency_ms


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ExceptionEvent(exception=TimeoutError("a secret"), span_id="span"), "TimeoutError"),
        (SpanDropEvent(err_str="a secret", span_id="span"), "error"),
    ],
)
def test_llamaindex_tells_of_an_error_once_and_not_of_those_of_other_spans(told, dispatcher, failure, said):
    dispatcher.event(start())
    dispatcher.event(ExceptionEvent(exception=ValueError(), span_id="another"))
    dispatcher.event(failure)
    dispatcher.event(SpanDropEvent(err_str="", span_id="span"))
    event = told.event()
    assert (event.status, event.error_type) == ("error", said)


def test_llamaindex_answers_without_usage_are_told_all_the_same(told, dispatcher):
    dispatcher.event(start(tags={"llm_optimizer_request_id": told.select_model("bot").request_id}))
    dispatcher.event(LLMChatEndEvent(response=None, span_id="span"))
    event = told.event()
    assert (event.arm, event.input_tokens) == ("big", 0)
    assert receipt_of(event.request_id) is not None


def test_requests_that_never_end_are_forgotten_and_counted(told):
    flights = Flights(told, "chat")
    for n in range(MAX_FLIGHTS + 2):
        flights.begin(n, "m")
    flights.end(0, {})
    flights.end(2, {"finish_reason": 7, "input_tokens": -1})
    assert (flights.counts["forgotten"], flights.counts["unknown"]) == (2, 1)
    assert told.event().input_tokens == 0


def test_a_client_that_cannot_be_told_is_refused():
    with pytest.raises(NotConfiguredError, match="LLM_OPTIMIZER_API"):
        OptimizerCallback("chat", optimizer=Client())
