"""Events over HTTP: the optimizer's own API takes them, and a bad answer of any kind loses and repeats nothing."""

import asyncio
import json
from typing import Any, Self

import pytest
from aiohttp import web
from llm_optimizer_client import Client, Record, Sent
from llm_optimizer_client.events import response_record
from llm_optimizer_client.http import HttpTransport

from tests.api.harness import api, keys_file, world

WITHIN_S = 20


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return world(tmp_path_factory.mktemp("http"))


async def sent_by(transport: HttpTransport, records: list[Record]) -> Sent:
    try:
        return await asyncio.to_thread(transport.send, records)
    finally:
        transport.close()


def ids_of(values: list[bytes]) -> list[str]:
    return [json.loads(value)["id"] for value in values]


async def test_the_api_takes_what_the_client_sends(model):
    async with api(model) as running, Client(api=running.url) as client:
        for n in range(30):
            client.response("chat", "m", 2.0, event_id=f"e{n}", input_tokens=n)
        client.feedback(service="chat", quality=1.0, event_id="f")
        assert await client.aflush(WITHIN_S)
        assert sorted(ids_of(running.events.values)) == sorted([*(f"e{n}" for n in range(30)), "f"])
        assert client.counts().sent == 31


async def test_what_the_api_refuses_is_counted_with_its_reason_and_the_rest_counts(model):
    bad = Record(
        "response", b"k", b'{"specversion":"1.0","id":"bad","source":"/s","type":"io.llm-platform.response.completed"}'
    )
    async with api(model) as running, Client(api=running.url) as client:
        client.emit(bad)
        client.response("chat", "m", 2.0, event_id="good")
        assert await client.aflush(WITHIN_S)
        counts = client.counts()
        assert (counts.sent, counts.rejected, counts.reasons) == (1, 1, {"missing_data": 1})
        assert [one.record for one in client.rejections()] == [bad]


async def test_a_key_is_sent_and_without_the_right_one_nothing_is_lost(model, tmp_path):
    file, keys = keys_file(tmp_path, {"app": ("producer:chat",), "looker": ("viewer:chat",)})
    settings: dict[str, Any] = {"auth": "required", "keys_file": str(file)}
    async with api(model, **settings) as running:
        one = response_record("/s", "chat", "m", 1.0, {})
        assert (await sent_by(HttpTransport(running.url, keys["app"]), [one])).delivered == 1
        elsewhere = response_record("/s", "other", "m", 1.0, {})
        sent = await sent_by(HttpTransport(running.url, keys["app"]), [elsewhere])
        assert [rejection.reason for rejection in sent.rejected] == ["forbidden"]
        for key in ("", keys["looker"]):
            sent = await sent_by(HttpTransport(running.url, key), [one])
            assert (sent.again, sent.pause_s) == ([one], 10.0)
            assert "answered 40" in sent.error


class Server:
    """Answers as it is told: ``(status, body, headers)``, then takes everything."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.taken: list[str] = []
        self.bodies: list[bytes] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/base/api/v1/events", self._events)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/base/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        events = json.loads(body)
        step = self.script.pop(0) if self.script else None
        if callable(step):
            step = step(events)
        if step is not None:
            status, answer, headers = step
            self.taken += [events[index]["id"] for index in answer.pop("taken", ())]
            return web.json_response(answer, status=status, headers=headers)
        self.taken += [event["id"] for event in events]
        return web.json_response({"accepted": len(events), "rejected": []}, status=202)


def partly(events):
    """Of every three: one taken, one refused, one not written."""
    rejected = [
        {"index": n, "reason": ("bad_data", "not_written")[n % 3 - 1], "detail": "d"}
        for n in range(len(events))
        if n % 3
    ]
    taken = [n for n in range(len(events)) if n % 3 == 0]
    return 207, {"accepted": len(taken), "rejected": rejected, "taken": taken}, {}


@pytest.mark.parametrize(
    "script",
    [
        [(503, {}, {"Retry-After": "0"}), (429, {}, {}), (500, {}, {}), (408, {}, {})],
        [(202, {"accepted": 77, "rejected": []}, {})],  # an answer that does not add up
        [(202, {"what": "is this"}, {}), (200, {}, {})],
        [(207, {"accepted": 0, "rejected": [{"index": 99, "reason": "not_written", "detail": ""}]}, {})],
    ],
)
async def test_the_same_events_come_again_after_a_bad_answer(script):
    async with Server(*script) as there, Client(api=there.url) as client:
        for n in range(9):
            client.response("chat", "m", 1.0, event_id=f"e{n}")
        assert await client.aflush(WITHIN_S)
        assert sorted(set(there.taken)) == sorted(there.taken) == [f"e{n}" for n in range(9)]
        assert client.counts().retries >= len(script)


async def test_of_a_partly_taken_batch_only_what_was_not_written_comes_again():
    async with Server() as there:
        records = [response_record("/s", "chat", "m", 1.0, {"event_id": f"e{n}"}) for n in range(9)]
        there.script = [partly]
        sent = await sent_by(HttpTransport(there.url), records)
        assert (sent.delivered, sent.again) == (3, [records[2], records[5], records[8]])
        assert [(one.record, one.reason) for one in sent.rejected] == [(records[n], "bad_data") for n in (1, 4, 7)]


async def test_one_unreadable_event_is_found_among_many():
    def unreadable(events):
        return (400, {}, {}) if any(event["id"] == "e5" for event in events) else None

    async with Server(*[unreadable] * 20) as there:
        records = [response_record("/s", "chat", "m", 1.0, {"event_id": f"e{n}"}) for n in range(8)]
        sent = await sent_by(HttpTransport(there.url), records)
        assert (sent.delivered, sent.again) == (7, [])
        assert [(one.record, one.reason) for one in sent.rejected] == [(records[5], "http_400")]


async def test_batches_stay_below_the_servers_limits():
    async with Server() as there:
        records = [response_record("/s", "chat", "m", 1.0, {"event_id": f"e{n}"}) for n in range(50)]
        transport = HttpTransport(there.url, max_records=20, max_bytes=3_000)
        left = records
        while left:
            left = (await sent_by(transport, left)).again
        assert there.taken == [f"e{n}" for n in range(50)]
        assert max(map(len, there.bodies)) <= 3_000


async def test_a_server_that_goes_away_and_comes_back_gets_everything_once():
    first = Server()
    async with first:
        client = Client(api=first.url)
        client.response("chat", "m", 1.0, event_id="before")
        assert await client.aflush(WITHIN_S)
    client.response("chat", "m", 1.0, event_id="while")
    assert not await client.aflush(0.2)
    port = int(first.url.split(":")[2].split("/")[0])
    app = web.Application()
    app.router.add_post("/base/api/v1/events", first._events)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    try:
        assert await client.aclose(WITHIN_S)
        assert first.taken == ["before", "while"]
    finally:
        await runner.cleanup()
