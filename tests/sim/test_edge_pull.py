"""The Edge-Agent fetches what it serves, believes only what is signed, and serves on when nobody answers."""

import time

import aiohttp
import msgspec
import pytest
from aiohttp import web

from app.adapters.gateways.desired import DesiredState
from app.adapters.gateways.desired_http import DesiredRoutes
from app.sim.edge_pull import EdgePull
from app.sim.orchestrator_state import OrchestratorState, RouteRequest
from tests.core.splits import split, trial


class Worker:
    """What the worker offers, and how the agent sees it."""

    def __init__(self) -> None:
        self.desired = DesiredState(time.monotonic)
        self.desired.complete = True
        self.url = ""

    def offer(self, one, key):
        held = self.desired.store.read(one.service)
        self.desired.offer(one, held.etag if held else None, key)


@pytest.fixture
async def worker(aiohttp_server):
    worker, app = Worker(), web.Application()
    DesiredRoutes(worker.desired, "k").add_to(app)
    worker.url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    return worker


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


def agent(worker, cache=None, key="k"):
    return EdgePull(OrchestratorState(), worker.url, key, "edge-1", cache)


async def test_what_is_offered_is_served_and_its_being_held_is_said_with_the_next_fetch(worker, session):
    edge = agent(worker)
    worker.offer(trial(3), "a")
    assert await edge.once(session)
    assert edge._state.serving("bot") == trial(3)
    assert not worker.desired.taken("bot")
    assert not await edge.once(session)
    assert worker.desired.taken("bot")
    routed = edge._state.route(RouteRequest(service="bot", request_id="r"))
    assert routed is not None
    assert routed.version == 3


async def test_all_services_come_at_once_and_one_that_is_gone_is_forgotten(worker, session):
    edge = agent(worker)
    worker.offer(split(1), "a")
    worker.offer(split(1, service="other"), "b")
    await edge.once(session)
    assert edge._state.store.services() == ("bot", "other")
    worker.desired._documents.pop("other")
    await edge.once(session)
    assert edge._state.store.services() == ("bot",)


async def test_another_key_is_an_error_and_the_last_good_split_is_served_on(worker, session):
    edge = agent(worker)
    worker.offer(split(1), "a")
    await edge.once(session)
    worker.offer(split(2), "b")
    edge._key = "other"
    with pytest.raises(ValueError, match="401"):
        await edge.once(session)
    assert edge._state.serving("bot") == split(1)


async def test_an_answer_without_a_signature_is_not_used(aiohttp_server, session, worker):
    async def forged(_request):
        return web.json_response({"version": "1", "routing_rules": []}, headers={"ETag": '"1"'})

    app = web.Application()
    app.router.add_get("/api/v1/edge/config", forged)
    worker.url = str((await aiohttp_server(app)).make_url("")).rstrip("/")
    with pytest.raises(ValueError, match="not signed"):
        await agent(worker).once(session)


async def test_a_rule_that_cannot_be_served_is_counted_and_the_document_is_not_acknowledged(worker, session):
    edge = agent(worker)
    worker.offer(split(1, service="other"), "a")
    worker.offer(split(1), "b")
    document = worker.desired._documents["other"]
    bad = msgspec.structs.replace(document.split, incumbent="nobody")
    worker.desired._documents["other"] = msgspec.structs.replace(document, split=bad)
    await edge.once(session)
    await edge.once(session)
    assert edge._state.store.services() == ("bot",)
    assert edge.counts["refused"] == 2
    assert not worker.desired.taken("bot"), "taken by an agent that did not take all of it"


async def test_a_restart_without_anybody_to_ask_serves_the_last_good_one(worker, session, tmp_path):
    cache = tmp_path / "edge.json"
    worker.offer(trial(4), "a")
    await agent(worker, cache).once(session)
    again = agent(worker, cache)
    assert again.load()
    assert again._state.serving("bot") == trial(4)


@pytest.mark.parametrize("content", [b"{", b"[]", None])
def test_a_damaged_or_missing_cache_is_passed_over(worker, tmp_path, content):
    cache = tmp_path / "edge.json"
    if content is not None:
        cache.write_bytes(content)
    assert not agent(worker, cache).load()


async def test_nobody_answering_is_counted_and_does_not_end_it(worker, unused_tcp_port, session):
    import asyncio

    worker.url = f"http://127.0.0.1:{unused_tcp_port}"
    edge = agent(worker)
    task = asyncio.create_task(edge.keep_up(session, 0.001))
    while edge.counts["failed"] < 2:
        await asyncio.sleep(0.001)
    assert not task.done()
    task.cancel()
