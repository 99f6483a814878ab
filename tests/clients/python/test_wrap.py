"""OpenAI's and Anthropic's own clients, wrapped: every answer is told once, the application sees what it would see anyway."""

import asyncio
import json
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest
from llm_optimizer_client import Client, MemoryTransport, NotConfiguredError, receipt_of, request_id_of, session, wrap
from llm_optimizer_client.sources import Fetched

from app.adapters.codec import make_decode
from app.core.events import ResponseEvent
from app.core.split import ArmDefinition, encode
from tests.clients.python.providers import CALLED, MODEL_ANSWERED, Provider
from tests.core.splits import split, trial

WITHIN_S = 20
HI: Any = [{"role": "user", "content": "a secret question"}]
decode = make_decode()


class Told(Client):
    """A client whose events can be looked at."""

    def __init__(self, **more: Any) -> None:
        self.there = MemoryTransport()
        super().__init__(transport=self.there, **more)

    def events(self) -> list[Any]:
        assert self.flush(WITHIN_S)
        decoded = [
            decode(one.value, (("content-type", b"application/cloudevents+json"),)) for one in self.there.records
        ]
        assert all(isinstance(one, ResponseEvent) for one in decoded)
        assert b"secret" not in b"".join(one.value for one in self.there.records)
        assert b"hello" not in b"".join(one.value for one in self.there.records)
        return [one.data for one in decoded if isinstance(one, ResponseEvent)]

    def event(self) -> Any:
        (one,) = self.events()
        return one


class Splits:
    """Where splits come from, without a network."""

    poll_s = 3600.0

    def __init__(self, given: Any) -> None:
        self.given = given

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
        return Fetched(json.loads(encode(self.given)), b"", "e")


@pytest.fixture
async def provider():
    async with Provider() as there:
        yield there


@pytest.fixture
def told():
    with Told() as client:
        yield client


def choosing(given: Any) -> Told:
    return Told(splits=Splits(given))


class Clients:
    """The four kinds of clients, made when they are asked for. The synchronous ones are called in a thread: the provider
    answers in this one.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._made: list[Any] = []

    def _make(self, kind: Any, http: Any, path: str) -> Any:
        options: Any = {"api_key": "k", "max_retries": 0, "timeout": 10, "http_client": http(verify=False)}
        self._made.append(kind(base_url=self._provider.url + path, **options))
        return self._made[-1]

    @cached_property
    def openai(self) -> Any:
        return self._make(openai.OpenAI, openai.DefaultHttpxClient, "/v1")

    @cached_property
    def aopenai(self) -> Any:
        return self._make(openai.AsyncOpenAI, openai.DefaultAsyncHttpxClient, "/v1")

    @cached_property
    def anthropic(self) -> Any:
        return self._make(anthropic.Anthropic, anthropic.DefaultHttpxClient, "")

    @cached_property
    def aanthropic(self) -> Any:
        return self._make(anthropic.AsyncAnthropic, anthropic.DefaultAsyncHttpxClient, "")

    async def close(self) -> None:
        for client in self._made:
            closed = client.close()
            if closed is not None:
                await closed


@pytest.fixture
async def real(provider):
    found = Clients(provider)
    yield found
    await found.close()


def complete(event: Any, package: str, *, finish: str) -> None:
    assert (event.service, event.model, event.status) == ("chat", "m", "ok")
    assert (event.input_tokens, event.output_tokens, event.cached_tokens) == (200, 12, 50)
    assert (event.finish_reason, event.response_model) == (finish, MODEL_ANSWERED)
    assert 0 < event.latency_ms < 60_000
    assert event.request_id


# ---- whole answers
async def test_openai_chat(provider, real, told):
    client = wrap(real.openai, "chat", optimizer=told)
    answer = await asyncio.to_thread(client.chat.completions.create, model="m", messages=HI, temperature=0.5)
    assert answer.choices[0].message.content == "hello"
    assert provider.bodies == [{"model": "m", "messages": HI, "temperature": 0.5}]
    event = told.event()
    complete(event, "openai", finish="stop")
    assert (event.fingerprint, event.ttft_ms, event.arm) == ("fp1", None, None)
    assert request_id_of(answer) == event.request_id


async def test_openai_chat_async_with_tool_calls_untouched(provider, real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    tools: Any = [{"type": "function", "function": {"name": "look_up", "parameters": {}}}]
    answer = await client.chat.completions.create(model="m", messages=HI, tools=tools)
    assert [call.model_dump() for call in answer.choices[0].message.tool_calls] == CALLED
    assert provider.bodies[0]["tools"] == tools
    complete(told.event(), "openai", finish="tool_calls")


async def test_openai_responses(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    answer = await client.responses.create(model="m", input="a secret question")
    assert answer.output_text == "hello"
    complete(told.event(), "openai", finish="completed")


async def test_anthropic_messages_count_the_caches_tokens_as_input(real, told):
    client = wrap(real.anthropic, "chat", optimizer=told)
    answer = await asyncio.to_thread(client.messages.create, model="m", messages=HI, max_tokens=10)
    assert answer.content[0].text == "hello"
    complete(told.event(), "anthropic", finish="end_turn")


async def test_anthropic_async_and_beta(real, told):
    client = wrap(real.aanthropic, "chat", optimizer=told)
    await client.messages.create(model="m", messages=HI, max_tokens=10)
    await client.beta.messages.create(model="m", messages=HI, max_tokens=10)
    for event in told.events():
        complete(event, "anthropic", finish="end_turn")
    assert len(told.events()) == 2


async def test_parsed_and_raw_answers_are_told_as_well(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    await client.chat.completions.parse(model="m", messages=HI)
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=HI)
    assert raw.http_response.status_code == 200
    assert raw.parse().choices[0].message.content == "hello"
    for event in told.events():
        complete(event, "openai", finish="stop")
    assert len(told.events()) == 2


async def test_anthropic_raw_answers_are_told(real, told):
    client = wrap(real.aanthropic, "chat", optimizer=told)
    raw = await client.messages.with_raw_response.create(model="m", messages=HI, max_tokens=10)
    parsed: Any = raw.parse()
    parsed = await parsed if asyncio.iscoroutine(parsed) else parsed
    assert parsed.content[0].text == "hello"
    complete(told.event(), "anthropic", finish="end_turn")


async def test_a_body_the_application_reads_itself_is_let_through(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    async with client.chat.completions.with_streaming_response.create(model="m", messages=HI) as raw:
        assert b"hello" in await raw.read()
    assert told.events() == []


async def test_what_is_no_answer_of_a_model_passes_untouched(provider, real):
    told = choosing(split(1, arms=(ArmDefinition(name="big", model="big-1"),)))
    client = wrap(real.aopenai, "bot", optimizer=told)
    await client.embeddings.create(model="e", input="a secret text")
    other = wrap(real.aanthropic, "bot", optimizer=told)
    await other.messages.count_tokens(model="m", messages=HI)
    assert [body["model"] for body in provider.bodies] == ["e", "m"]
    assert told.events() == []
    told.close()


# ---- streams
async def test_openai_stream(provider, real, told):
    client = wrap(real.openai, "chat", optimizer=told)

    def read():
        stream = client.chat.completions.create(model="m", messages=HI, stream=True)
        return stream, [chunk.choices[0].delta.content for chunk in stream]

    stream, parts = await asyncio.to_thread(read)
    assert parts == ["", "hel", "lo", None]  # the chunk with the usage was asked for here, and is not shown
    assert provider.bodies[0]["stream_options"] == {"include_usage": True}
    event = told.event()
    complete(event, "openai", finish="stop")
    assert 0 < event.ttft_ms <= event.latency_ms
    assert request_id_of(stream) == event.request_id


async def test_openai_stream_async_whose_caller_wants_the_usage_shows_it(provider, real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    options: Any = {"include_usage": True}
    stream = await client.chat.completions.create(model="m", messages=HI, stream=True, stream_options=options)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage.prompt_tokens == 200
    complete(told.event(), "openai", finish="stop")


async def test_a_server_that_knows_no_stream_options_is_not_sent_any(provider, real, told):
    client = wrap(real.aopenai, "chat", optimizer=told, stream_usage=False)
    async for _ in await client.chat.completions.create(model="m", messages=HI, stream=True):
        pass
    assert "stream_options" not in provider.bodies[0]
    assert told.event().output_tokens == 0


async def test_openai_stream_helpers(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    async with client.chat.completions.stream(model="m", messages=HI) as stream:
        text = "".join([event.delta async for event in stream if event.type == "content.delta"])
    assert text == "hello"
    async with client.responses.stream(model="m", input="a secret question") as events:
        assert (await events.get_final_response()).output_text == "hello"
    one, two = told.events()
    complete(one, "openai", finish="stop")
    complete(two, "openai", finish="completed")
    assert two.ttft_ms > 0


async def test_anthropic_streams(real, told):
    client = wrap(real.anthropic, "chat", optimizer=told)

    def read():
        with client.messages.stream(model="m", messages=HI, max_tokens=10) as stream:
            text = "".join(stream.text_stream)
        return text, list(client.messages.create(model="m", messages=HI, max_tokens=10, stream=True))

    text, events = await asyncio.to_thread(read)
    assert (text, events[-1].type) == ("hello", "message_stop")
    for event in told.events():
        complete(event, "anthropic", finish="end_turn")
        assert 0 < event.ttft_ms <= event.latency_ms
    assert len(told.events()) == 2


async def test_anthropic_stream_async(real, told):
    client = wrap(real.aanthropic, "chat", optimizer=told)
    async with client.messages.stream(model="m", messages=HI, max_tokens=10) as stream:
        assert (await stream.get_final_message()).content[0].text == "hello"
    complete(told.event(), "anthropic", finish="end_turn")


async def test_raw_streams_are_told(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    raw = await client.chat.completions.with_raw_response.create(model="m", messages=HI, stream=True)
    assert len([chunk async for chunk in raw.parse()]) == 4
    complete(told.event(), "openai", finish="stop")


async def test_a_stream_nobody_reads_to_its_end_is_told_once(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
    async for _ in stream:
        break
    await stream.close()
    del stream
    event = told.event()
    assert (event.status, event.finish_reason) == ("ok", "cancelled")


async def test_a_stream_that_breaks_off_is_an_error_and_raised(provider, real, told):
    provider.cut = True
    client = wrap(real.aopenai, "chat", optimizer=told)
    with pytest.raises((openai.APIError, Exception)) as caught:
        async for _ in await client.chat.completions.create(model="m", messages=HI, stream=True):
            pass
    event = told.event()
    assert (event.status, event.error_type) == ("error", type(caught.value).__name__)


# ---- errors
async def test_errors_are_told_and_raised_as_they_are(provider, real, told):
    provider.broken = 503
    one, two = wrap(real.aopenai, "chat", optimizer=told), wrap(real.anthropic, "chat", optimizer=told)
    with pytest.raises(openai.InternalServerError, match="try later") as first:
        await one.chat.completions.create(model="m", messages=HI)
    with pytest.raises(anthropic.APIStatusError) as second:
        await asyncio.to_thread(two.messages.create, model="m", messages=HI, max_tokens=1)
    for event in told.events():
        assert (event.status, event.model) == ("error", "m")
        assert event.error_type in {type(first.value).__name__, type(second.value).__name__}
        assert event.latency_ms > 0


async def test_a_call_that_is_cancelled_is_told_as_that(provider, real, told):
    provider.hang.clear()
    client = wrap(real.aopenai, "chat", optimizer=told)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.chat.completions.create(model="m", messages=HI), 0.05)
    provider.hang.set()
    event = told.event()
    assert (event.status, event.error_type) == ("error", "cancelled")


async def test_an_optimizer_that_fails_fails_nothing_else(real, told, monkeypatch):
    client = wrap(real.aopenai, "chat", optimizer=told, select=True)

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Client, "response", fail)
    monkeypatch.setattr(Client, "select_model", fail)
    answer = await client.chat.completions.create(model="m", messages=HI)
    assert answer.choices[0].message.content == "hello"


# ---- models
async def test_the_arm_that_was_drawn_answers_with_its_parameters(provider, real):
    told = choosing(split(7))
    client = wrap(real.aopenai, "bot", optimizer=told)
    with session("user-1", tenant="acme") as here:
        answer = await client.chat.completions.create(model="m", messages=HI, temperature=0.1, max_tokens=5)
    assert provider.bodies == [{"model": "big-1", "messages": HI, "temperature": 0.7, "max_tokens": 5}]
    event = told.event()
    assert (event.arm, event.model, event.slice, event.version, event.served_arm) == ("big", "big-1", "main", 7, None)
    assert event.segment.tenant == "acme"
    receipt = receipt_of(event.request_id)
    assert receipt is not None
    assert (receipt.arm, receipt.version, receipt.tenant) == ("big", 7, "acme")
    assert here.request_id == request_id_of(answer) == event.request_id
    told.close()


async def test_a_session_keeps_its_slice_and_arm(real):
    told = choosing(trial(2))
    client = wrap(real.openai, "bot", optimizer=told)

    def ask():
        for name in [f"s{n}" for n in range(12)] * 2:
            with session(name):
                client.chat.completions.create(model="m", messages=HI)

    await asyncio.to_thread(ask)
    drawn = [(event.arm, event.slice, event.session_group) for event in told.events()]
    assert drawn[:12] == drawn[12:]
    assert len({group for _, _, group in drawn}) > 4
    told.close()


async def test_an_arm_of_another_provider_is_answered_by_one_that_can_be_called(provider, real):
    arms = (
        ArmDefinition(name="big", model="anthropic/claude", provider="anthropic"),
        ArmDefinition(name="small", model="openai/gpt", provider="openai", parameters={"top_p": 0.5}),
    )
    told = choosing(split(3, arms=arms))
    client = wrap(real.aopenai, "bot", optimizer=told, providers=frozenset(("openai",)))
    await client.chat.completions.create(model="m", messages=HI)
    event = told.event()
    assert (event.arm, event.served_arm, event.model, event.provider) == ("big", "small", "gpt", "openai")
    assert (provider.bodies[0]["model"], provider.bodies[0]["top_p"]) == ("gpt", 0.5)
    told.close()


async def test_no_parameter_of_an_arm_replaces_what_the_call_is_about(provider, real):
    evil = {"messages": [], "tools": [], "stream": True, "model": "x", "seed": 3}
    told = choosing(split(1, arms=(ArmDefinition(name="big", model="big-1", parameters=evil),)))
    client = wrap(real.aopenai, "bot", optimizer=told)
    await client.chat.completions.create(model="m", messages=HI)
    assert provider.bodies == [{"model": "big-1", "messages": HI, "seed": 3}]
    told.close()


async def test_without_a_split_the_applications_own_model_answers(provider, real):
    class Away(Splits):
        def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
            raise OSError("away")

    told = Told(splits=Away(None))
    client = wrap(real.aopenai, "bot", optimizer=told)
    with session("s", tenant="acme"):
        await client.chat.completions.create(model="m", messages=HI)
    event = told.event()
    assert (event.model, event.arm, event.version, event.segment.tenant) == ("m", None, 0, "acme")
    assert provider.bodies[0]["model"] == "m"
    told.close()


# ---- wrapping
async def test_the_client_that_is_given_stays_as_it_is_and_copies_are_wrapped(real, told):
    client = wrap(real.aopenai, "chat", optimizer=told)
    assert isinstance(client, openai.AsyncOpenAI)
    await real.aopenai.chat.completions.create(model="m", messages=HI)
    assert told.events() == []
    await client.with_options(timeout=5).chat.completions.create(model="m", messages=HI)
    await client.copy().copy().chat.completions.create(model="m", messages=HI)
    assert len(told.events()) == 2


def test_what_is_no_such_client_is_refused():
    with pytest.raises(TypeError, match="not SimpleNamespace"):
        wrap(SimpleNamespace(), "chat", optimizer=Client())


def test_an_optimizer_that_cannot_be_told_is_refused(monkeypatch):
    with openai.OpenAI(api_key="k") as plain, pytest.raises(NotConfiguredError, match="LLM_OPTIMIZER_API"):
        wrap(plain, "chat", optimizer=Client())
