"""The stream of events, over the read model of the tests; what is decided later is added to its store."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from app.api import hub as hubs
from app.api.hub import Hub, Listener
from tests.adapters.readmodel.worlds import records
from tests.api.harness import api, keys_file, world


@pytest.fixture
def model(tmp_path):
    made = world(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(hubs, "POLL_S", 0.01)


class Events:
    """Reads server-sent events as a browser does."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.last_id = ""

    async def next(self, name: str = "") -> tuple[str, Any]:
        kind, data = "message", ""
        async with asyncio.timeout(30):
            while True:
                line = (await self._answer.content.readline()).decode()
                assert line, "the stream ended"
                field, _, value = line.rstrip("\n").partition(": ")
                if field == "id":
                    self.last_id = value
                elif field == "event":
                    kind = value
                elif field == "data":
                    data = value
                elif not line.strip():
                    if data and name in {"", kind}:
                        return kind, msgspec.json.decode(data)
                    kind, data = "message", ""


@asynccontextmanager
async def following(running: Any, path: str = "/stream", key: str = "", last_id: str = ""):
    headers = {**({"X-API-Key": key} if key else {}), **({"Last-Event-ID": last_id} if last_id else {})}
    async with running.session.get(f"{running.url}/api/v1{path}", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Events(answer)


def decided_again(model, number: int, service: str = "chat") -> str:
    """One more decision reaches the read model; returns its event id."""
    old = next(record for record in records() if record.type.endswith("decided"))
    headers = tuple((n, b"again-%d" % number if n == "ce_id" else v) for n, v in old.headers)
    value = old.value.replace(b'"service":"chat"', f'"service":"{service}"'.encode())
    model.store.take([msgspec.structs.replace(old, offset=90_000 + number, headers=headers, value=value)])
    return f"again-{number}"


async def test_it_begins_with_everything_that_can_change_and_goes_on_with_decisions(model):
    async with api(model) as running, following(running) as events:
        assert (await events.next())[0] == "hello"
        _, changed = await events.next("changed")
        while changed["service"] != "chat":
            _, changed = await events.next("changed")
        assert {"aggregates", "events", "splits", "documents"} <= set(changed["what"])
        identity = decided_again(model, 1)
        _, decision = await events.next("decision")
        assert decision["id"] == events.last_id == identity
        _, body, _ = await running.get("/decisions?limit=500")
        assert decision in body["decisions"]


async def test_who_comes_back_is_told_what_was_missed_each_once(model):
    async with api(model) as running:
        async with following(running) as events:
            await events.next("hello")
            seen = decided_again(model, 1)
            assert (await events.next("decision"))[1]["id"] == seen
        missed = [decided_again(model, n) for n in (2, 3)]
    async with api(model) as running, following(running, last_id=seen) as events:  # another process, the same log
        assert [(await events.next("decision"))[1]["id"] for _ in missed] == missed
        after = decided_again(model, 4)
        assert (await events.next("decision"))[1]["id"] == after


async def test_who_missed_too_much_is_told_to_load_anew(model, monkeypatch):
    async with api(model) as running:
        first = decided_again(model, 1)
        for number in range(2, 5):
            decided_again(model, number)
        monkeypatch.setattr(hubs, "QUEUE", 3)
        async with following(running, last_id=first) as events:
            assert (await events.next("reset"))[1]["missed"]


async def test_a_role_and_a_filter_hide_other_services(model, tmp_path):
    path, keys = keys_file(tmp_path, {"one": ("viewer:chat",), "all": ("viewer",), "none": ("producer:chat",)})
    async with api(model, keys, auth="required", keys_file=str(path)) as running:
        async with (
            following(running, key=keys["one"]) as named,
            following(running, "/stream?service=chat", keys["all"]) as chosen,
        ):
            await named.next("hello")
            await chosen.next("hello")
            decided_again(model, 1, "other")
            seen = decided_again(model, 2)
            for events in (named, chosen):
                assert (await events.next("decision"))[1]["id"] == seen
        assert (await running.get("/stream", keys["none"]))[0] == 403
        assert (await running.get("/stream"))[0] == 401


async def test_more_streams_than_the_setting_allows_are_refused_and_counted(model):
    async with api(model, max_streams=1) as running, following(running) as events:
        await events.next("hello")
        status, body, headers = await running.get("/stream")
        assert (status, body["error"], headers["Retry-After"]) == (429, "too_many_streams", "30")
        _, text, _ = await running.ask("GET", "/metrics")
        assert b'why="refused"' in text
        assert b"api_streams 1" in text


async def test_who_does_not_keep_up_is_ended_and_counted(model, monkeypatch):
    monkeypatch.setattr(hubs, "QUEUE", 3)
    hub, slow, other = Hub(model), Listener(None, ""), Listener(None, "quiet")
    await hub.start()
    for listener in (slow, other):
        await hub.join(listener, "")
    for number in range(5):
        decided_again(model, number)
    async with asyncio.timeout(30):
        while not slow.ended:
            await asyncio.sleep(0.01)
    assert (slow.ended, other.ended) == ("too_slow", "")
    for listener in (slow, other):
        hub.leave(listener)
    await hub.stop()
    assert hub.ended == {"too_slow": 1, "left": 1}


async def test_the_server_ends_its_streams_when_it_stops(model):
    async with api(model) as running, following(running) as events:
        await events.next("hello")
        await running.server._parts.hub.stop()
        with pytest.raises(AssertionError, match="the stream ended"):
            await events.next("never")
