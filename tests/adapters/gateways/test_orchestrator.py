"""The REST client against a server that answers what the test says."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from app.adapters.gateways import http_calls
from app.adapters.gateways.configuration import encode, update_of
from app.adapters.gateways.orchestrator import OrchestratorGateway, OrchestratorOptions
from app.core.ports import Conflict, Refused, Unavailable
from tests.core.splits import split


class Script:
    """Answers each request with the next response of the script (the last one repeats) and remembers requests."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.requests: list[web.Request] = []
        self.before: Callable[[], Awaitable[object]] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if self.before is not None:
            await self.before()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        headers = {name: value for name, value in answer.headers.items() if name in {"ETag", "Retry-After"}}
        return web.Response(status=answer.status, body=answer.body, headers=headers)


@pytest.fixture
def script():
    return Script()


@pytest.fixture
async def gateway(aiohttp_server, script):
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", script.answer)
    server = await aiohttp_server(app)
    options = OrchestratorOptions(
        url=str(server.make_url("/")), token="secret", attempts=3, pause_s=0.001, timeout_s=0.2
    )
    async with aiohttp.ClientSession() as session:
        yield OrchestratorGateway(session, options)


def ok(body=b'{"status": "applied"}', status=200):
    return web.Response(status=status, body=body, headers={"ETag": '"e1"'})


def held(one=None):
    return ok(encode(update_of(one or split(1))))


async def test_a_call_without_an_answer_is_tried_again_with_the_same_key(gateway, script):
    script.answers = [web.Response(status=503), web.Response(status=502), ok()]
    ack = await gateway.apply(split(1), "e0", "k")
    assert (ack.status, ack.etag) == ("applied", "e1")
    assert [request.headers["Idempotency-Key"] for request in script.requests] == ["k"] * 3
    assert script.requests[0].headers["If-Match"] == '"e0"'


async def test_it_gives_up_after_its_attempts(gateway, script):
    script.answers = [web.Response(status=500)]
    with pytest.raises(Unavailable, match="500"):
        await gateway.read("bot")
    assert len(script.requests) == 3


async def test_a_pause_the_gateway_asks_for_is_left_to_the_caller(gateway, script):
    script.answers = [web.Response(status=429, headers={"Retry-After": "7"})]
    with pytest.raises(Unavailable) as caught:
        await gateway.read("bot")
    assert (caught.value.retry_after_s, len(script.requests)) == (7.0, 1)


async def test_a_pause_in_words_is_not_read(gateway, script):
    script.answers = [web.Response(status=503, headers={"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})]
    with pytest.raises(Unavailable) as caught:
        await gateway.read("bot")
    assert caught.value.retry_after_s == 0.0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Refused), (401, Refused), (403, Refused), (413, Refused), (422, Refused), (302, Refused),
        (409, Conflict), (412, Conflict), (408, Unavailable), (429, Unavailable), (500, Unavailable), (504, Unavailable),
    ],
)  # fmt: skip
async def test_a_status_means_what_the_caller_should_do(gateway, script, status, error):
    script.answers = [web.Response(status=status, body=b'{"detail": "so it is"}')]
    with pytest.raises(error, match=f"{status} so it is"):
        await gateway.apply(split(1), None, "k")
    assert script.requests[0].headers["If-None-Match"] == "*"


async def test_only_unavailable_is_tried_again(gateway, script):
    script.answers = [web.Response(status=422)]
    with pytest.raises(Refused):
        await gateway.apply(split(1), None, "k")
    assert len(script.requests) == 1


async def test_a_server_without_this_interface_is_refused_with_the_question(gateway, script):
    script.answers = [web.Response(status=404)]
    with pytest.raises(Refused, match="is this an Orchestrator"):
        await gateway.apply(split(1), None, "k")
    assert await gateway.read("bot") is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"{}", b'{"status": "maybe"}', b"\xff\xfe", b'{"service_id": "bot", "configuration": {}}',
        b'{"x":' + b"[" * 50_000,
    ],
    ids=range(8),
)  # fmt: skip
async def test_an_unreadable_answer_is_unavailable(gateway, script, body):
    script.answers = [ok(body)]
    with pytest.raises(Unavailable):
        await gateway.read("bot")
    with pytest.raises(Unavailable):
        await gateway.apply(split(1), None, "k")


async def test_an_answer_without_etag_is_unavailable(gateway, script):
    script.answers = [web.Response(body=encode(update_of(split(1))))]
    with pytest.raises(Unavailable, match="ETag"):
        await gateway.read("bot")


async def test_an_endless_answer_is_cut(gateway, script, monkeypatch):
    monkeypatch.setattr(http_calls, "MAX_ANSWER_BYTES", 1000)
    script.answers = [ok(b" " * 2000)]
    with pytest.raises(Unavailable, match="longer than 1000"):
        await gateway.read("bot")


async def test_an_answer_that_does_not_come_is_unavailable(gateway, script, monkeypatch):
    answered = asyncio.Event()
    script.answers, script.before = [held()], answered.wait
    monkeypatch.setattr(gateway._call, "_timeout", aiohttp.ClientTimeout(total=0.02))
    with pytest.raises(Unavailable, match="GET"):
        await gateway.read("bot")
    answered.set()


async def test_nobody_listening_is_unavailable(unused_tcp_port):
    options = OrchestratorOptions(url=f"http://127.0.0.1:{unused_tcp_port}", attempts=2, pause_s=0.001)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unavailable):
            await OrchestratorGateway(session, options).read("bot")


async def test_the_token_is_sent_and_the_service_is_quoted(gateway, script):
    script.answers = [held(split(1, service="a/b c"))]
    await gateway.read("a/b c")
    (request,) = script.requests
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.raw_path == "/api/v1/configurations/a%2Fb%20c"
