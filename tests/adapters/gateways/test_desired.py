"""The desired-state document: signed, conditional, long-polled, and acknowledged by whoever fetches it."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from agents.actuate import Mirror, actuate
from app.adapters.gateways import signature
from app.adapters.gateways.desired import MAX_PULLERS, SEEN_S, DesiredGateway, DesiredState, document_etag
from app.adapters.gateways.desired_http import DesiredRoutes
from app.adapters.process.health import application
from app.core.actuator import Actuator, Rules
from app.core.freeze import Freezes
from app.core.outputs import ACCEPTED, FAILED
from app.core.split import decode
from tests.agents.world import types
from tests.core.splits import batch, command, decode_command, logged, split, trial

KEY = "a key from the settings"


class Puller:
    """Fetches as docs/gateways.md says; ``held`` is the etag of its last document."""

    def __init__(self, client: Any, name: str = "puller-1", key: str = KEY) -> None:
        self.client, self.name, self.key, self.held = client, name, key, ""

    async def get(self, path):
        proof = signature.signed(self.key, signature.request("GET", path), int(time.time()))
        etag = {"If-None-Match": f'"{self.held}"'} if self.held else {}
        sent = {"Authorization": f"HMAC-SHA256 {proof}", "X-Agent-ID": self.name, **etag}
        answer = await self.client.get(path, headers=sent)
        body = await answer.read()
        if answer.status == 200:
            self.held = answer.headers["ETag"].strip('"')
            message = signature.answer(self.held, body)
            assert signature.is_signed(KEY, message, answer.headers["X-Signature"], int(time.time()))
        return answer.status, body

    async def fetch(self, service="bot", wait_s=0):
        return await self.get(f"/v1/desired/{quote(service, safe='')}" + (f"?wait_s={wait_s}" if wait_s else ""))


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def state(now):
    made = DesiredState(lambda: now[0])
    made.complete = True
    return made


@pytest.fixture
async def client(state, aiohttp_client):
    async def look():
        raise NotImplementedError

    app = application(look)
    DesiredRoutes(state, KEY, max_waiting=2).add_to(app)
    return await aiohttp_client(app)


async def test_the_document_is_the_split_with_an_etag_of_its_content(state, client):
    state.offer(trial(3, service="a b/ü"), None, "k")
    puller = Puller(client)
    status, body = await puller.fetch("a b/ü")
    assert (status, decode(body), puller.held) == (
        200, trial(3, service="a b/ü"), document_etag(trial(3, service="a b/ü")),
    )  # fmt: skip


async def test_who_holds_it_gets_304_and_thereby_says_that_he_does(state, client):
    state.offer(split(1), None, "k")
    puller = Puller(client)
    await puller.fetch()
    assert not state.taken("bot")
    assert await puller.fetch() == (304, b"")
    assert state.taken("bot")


async def test_it_is_taken_when_every_puller_seen_lately_holds_it(state, client, now):
    ack = state.offer(split(1), None, "k")
    first, second = Puller(client, "one"), Puller(client, "two")
    for puller in (first, second, first, second):
        await puller.fetch()
    state.offer(split(2), ack.etag, "k2")
    await first.fetch()
    await first.fetch()
    assert not state.taken("bot")
    now[0] += SEEN_S + 1
    await first.fetch()
    assert state.taken("bot")
    assert state.counts["acknowledged"] == 3


async def test_a_long_poll_is_answered_when_there_is_something_newer(state, client):
    ack = state.offer(split(1), None, "k")
    puller = Puller(client)
    await puller.fetch()
    waiting = asyncio.create_task(puller.fetch(wait_s=30))
    while not state.waiting:
        await asyncio.sleep(0)
    state.offer(split(2), ack.etag, "k2")
    status, body = await waiting
    assert (status, decode(body)) == (200, split(2))
    assert state.waiting == 0


async def test_a_long_poll_for_a_service_without_a_split_gets_its_first_one(state, client):
    waiting = asyncio.create_task(Puller(client).fetch(wait_s=30))
    while not state.waiting:
        await asyncio.sleep(0)
    state.offer(split(1), None, "k")
    assert (await waiting)[0] == 200


async def test_a_long_poll_ends_unchanged_after_its_wait(state, client):
    state.offer(split(1), None, "k")
    puller = Puller(client)
    await puller.fetch()
    assert (await puller.fetch(wait_s=0.01))[0] == 304


async def test_only_so_many_may_wait(state, client):
    waiting = [asyncio.create_task(Puller(client).fetch(wait_s=30)) for _ in range(2)]
    while state.waiting < 2:
        await asyncio.sleep(0)
    assert (await Puller(client).fetch(wait_s=30))[0] == 429
    assert state.counts["too_many_waiting"] == 1
    state.offer(split(1), None, "k")
    assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200]


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer x",
        "HMAC-SHA256",
        "HMAC-SHA256 t=1,v1=",
        "HMAC-SHA256 t=x,v1=y",
        "HMAC-SHA256 t=²,v1=ü",
        "HMAC-SHA256 ,,=",
    ],
)
async def test_an_unsigned_call_is_refused_with_what_to_do(state, client, authorization):
    state.offer(split(1), None, "k")
    answer = await client.get("/v1/desired/bot", headers={"Authorization": authorization})
    assert answer.status == 401
    assert "gateway.desired_key" in await answer.text()
    assert state.counts["unauthorized"] == 1


async def test_another_key_an_old_signature_and_another_path_are_refused(state, client):
    assert (await Puller(client, key="another").fetch())[0] == 401
    for path, at in (("/v1/desired/bot", time.time() - signature.SKEW_S - 5), ("/v1/desired/other", time.time())):
        proof = signature.signed(KEY, signature.request("GET", path), int(at))
        answer = await client.get("/v1/desired/bot", headers={"Authorization": f"HMAC-SHA256 {proof}"})
        assert answer.status == 401


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "x", "1e9", "inf"])
async def test_a_wait_that_is_none_is_refused(state, client, wait):
    assert (await Puller(client).fetch(wait_s=wait))[0] == 400


async def test_an_unknown_service_is_404_but_503_while_the_log_is_read(state, client):
    assert (await Puller(client).fetch())[0] == 404
    state.complete = False
    assert (await Puller(client).fetch())[0] == 503
    assert (await Puller(client).get("/api/v1/edge/config"))[0] == 503


async def test_an_edge_agent_gets_every_service_at_once_and_acknowledges_all(state, client):
    state.offer(trial(1, service="a"), None, "k1")
    state.offer(split(1, service="b"), None, "k2")
    agent = Puller(client, "edge-agent-us-west-1")
    status, body = await agent.get("/api/v1/edge/config")
    config = msgspec.json.decode(body)
    assert status == 200
    assert [rule["service_id"] for rule in config["routing_rules"]] == ["a", "b"]
    assert config["routing_rules"][0]["deployment"]["initial_percentage"] == 5
    assert config["available_models"] == ["big-1", "small-1"]
    assert not state.taken("a")
    assert (await agent.get("/api/v1/edge/config"))[0] == 304
    assert state.taken("a") and state.taken("b")


async def test_pullers_are_bounded_and_their_loss_is_counted(state):
    state.offer(split(1), None, "k")
    for number in range(MAX_PULLERS + 3):
        state.acknowledge("bot", f"p{number}", "x")
    state.acknowledge("no such service", "p", "x")
    assert state.counts["forgotten_pullers"] == 3


# ---- with the actuator


def engine_of(deadline_s=60.0):
    freezes = Freezes(decode_command)
    freezes.complete()
    return Actuator(Rules(gateway="desired", recheck_s=5, deadline_s=deadline_s), freezes)


def said(engine):
    records = [record for phase in engine.cut().phases for record in phase]
    return types(records)


async def test_accepted_is_said_once_it_is_acknowledged(state):
    engine, gateway = engine_of(), DesiredGateway(state)
    engine.fold(logged(split(1)))
    await actuate(engine, gateway, 0.0)
    await actuate(engine, gateway, 1.0)
    assert said(engine) == []
    state.acknowledge("bot", "p", document_etag(split(1)))
    await actuate(engine, gateway, 2.0)
    assert said(engine) == [ACCEPTED]


async def test_a_split_nobody_fetches_has_failed_by_the_deadline_and_is_accepted_when_somebody_does(state):
    engine, gateway = engine_of(deadline_s=10), DesiredGateway(state)
    engine.fold(logged(split(1)))
    for now in range(12):
        await actuate(engine, gateway, float(now))
    assert said(engine) == [FAILED]
    state.acknowledge("bot", "p", document_etag(split(1)))
    await actuate(engine, gateway, 20.0)
    assert said(engine) == [FAILED, ACCEPTED]


async def test_every_worker_offers_all_services_and_a_freeze_takes_back_the_trial_there_too(now):
    state, freezes = DesiredState(lambda: now[0]), Freezes(decode_command)
    mirror = Mirror(state, freezes, 10)
    mirror.fold(logged(trial(2), split(1, service="other"), at_ms=1))
    await mirror.tick(0.0)
    assert [state.document("bot"), state.complete] == [None, False]
    freezes.complete()
    mirror.complete()
    await mirror.tick(0.0)
    assert state.complete and [one.split for one in state.documents()] == [trial(2), split(1, service="other")]
    freezes.fold(batch([command("freeze", "bot")], at_ms=2))
    mirror.fold(logged(trial(3), at_ms=3))
    await mirror.tick(1.0)
    document = state.document("bot")
    assert document is not None and document.split == split(2, frozen=True)


async def test_without_the_optimizer_a_held_freeze_keeps_the_open_trial(now):
    state, freezes = DesiredState(lambda: now[0]), Freezes(decode_command)
    mirror = Mirror(state, freezes, 10)
    freezes.complete()
    mirror.fold(logged(trial(2), at_ms=1))
    await mirror.tick(0.0)
    freezes.fold(batch([command("freeze", "bot", {"hold": True})], at_ms=2))
    mirror.fold(logged(trial(3), at_ms=3))
    await mirror.tick(1.0)
    document = state.document("bot")
    assert document is not None and document.split == trial(2)
