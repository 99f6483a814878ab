"""Models are selected by the newest split, from a worker's desired state or the API; the last good one outlives both."""

import asyncio
import json
import time
from typing import Any, Self

import pytest
from aiohttp import web
from llm_optimizer_client import Client, NoModelError
from llm_optimizer_client.follow import MAX_SERVICES, Follower
from llm_optimizer_client.sources import DesiredSource, Fetched

from app.adapters.gateways.desired import DesiredState
from app.adapters.gateways.desired_http import DesiredRoutes
from app.core.assign import assign
from app.core.ids import receipt_of as core_receipt_of
from app.core.split import encode
from tests.api.harness import api, world
from tests.core.splits import split, trial

KEY = "a key"
WITHIN_S = 20


class Worker:
    """The routes a worker serves its desired state by, on loopback."""

    def __init__(self) -> None:
        self.state = DesiredState(time.monotonic)
        self.state.complete = True

    async def __aenter__(self) -> Self:
        app = web.Application()
        DesiredRoutes(self.state, KEY).add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.fixture
async def worker():
    async with Worker() as there:
        yield there


async def until(condition: Any) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_it_draws_as_everybody_and_the_receipt_says_so(worker):
    made = trial(3, holdout_share=0.2)
    worker.state.offer(made, None, "k")
    client = Client(desired=worker.url, desired_key=KEY)
    await client.aselect_model("bot", patience_s=WITHIN_S)
    for n in range(200):
        got = client.select_model("bot", session=f"s{n}", tenant="acme")
        expected = assign(made, f"s{n}")
        assert (got.slice, got.arm, got.session_group) == (expected.slice, expected.arm, expected.session_group)
        receipt = core_receipt_of(got.request_id)
        assert receipt is not None
        assert (receipt.arm, receipt.slice, receipt.version, receipt.segment.tenant) == (got.arm, got.slice, 3, "acme")
        assert got.model == f"{got.arm}-1"
    client.close()


async def test_a_new_split_is_used_and_acknowledged(worker):
    worker.state.offer(split(1), None, "k")
    client = Client(desired=worker.url, desired_key=KEY)
    assert (await client.aselect_model("bot", patience_s=WITHIN_S)).version == 1
    await until(lambda: worker.state.taken("bot"))
    worker.state.offer(split(2), worker.state.store.read("bot").etag, "k2")
    await until(lambda: client.select_model("bot").version == 2)
    await until(lambda: worker.state.taken("bot"))
    client.close()


async def test_the_last_good_split_outlives_the_worker_and_the_program(worker, tmp_path):
    worker.state.offer(split(5), None, "k")
    first = Client(desired=worker.url, desired_key=KEY, cache=tmp_path)
    assert (await first.aselect_model("bot", patience_s=WITHIN_S)).version == 5
    await until(lambda: list(tmp_path.glob("*.split.json")))
    first.close()
    second = Client(desired="http://127.0.0.1:9", desired_key=KEY, cache=tmp_path)
    assert second.select_model("bot").version == 5
    second.close()
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    third = Client(desired="http://127.0.0.1:9", desired_key=KEY, cache=tmp_path)
    assert third.select_model("bot", default="mine", patience_s=WITHIN_S).origin == "default"
    third.close()


async def test_without_any_split_the_default_or_an_error(worker):
    client = Client(desired=worker.url, desired_key=KEY)
    got = await client.aselect_model("bot", default="mine", patience_s=WITHIN_S, request_id="r.1")
    assert (got.model, got.arm, got.request_id, got.receipt, got.origin) == ("mine", "", "r", None, "default")
    with pytest.raises(NoModelError, match="give a default"):
        client.select_model("bot")
    client.close()


@pytest.mark.parametrize("spoiled", ["key", "body"])
async def test_a_split_that_is_not_signed_is_not_used(worker, spoiled, monkeypatch):
    worker.state.offer(split(1), None, "k")
    if spoiled == "body":
        monkeypatch.setattr("app.adapters.gateways.signature.answer", lambda etag, body: b"something else")
    source = DesiredSource(worker.url, KEY if spoiled == "body" else "another")
    with pytest.raises(ValueError, match=r"not signed|answered 401"):
        await asyncio.to_thread(source.fetch, "bot", "", 0)


async def test_the_api_gives_the_same_split_and_answers_itself(tmp_path):
    async with api(world(tmp_path)) as running:
        names = [one["service"] for one in (await running.get("/services"))[1]["services"]]
        splits = [(name, (await running.get(f"/services/{name}/split"))) for name in names]
        name = next(name for name, (status, *_) in splits if status == 200)
        client = Client(api=running.url)
        local = await client.aselect_model(name, session="s", request_id="r", patience_s=WITHIN_S)
        remote = await client.aask_model(name, session="s", request_id="r", timeout_s=WITHIN_S)
        assert (local.origin, remote.origin) == ("split", "api")
        assert (local.arm, local.model, local.request_id) == (remote.arm, remote.model, remote.request_id)
    away = await client.aask_model(name, session="s", request_id="r", timeout_s=0.5)
    assert (away.origin, away.arm) == ("split", local.arm)
    unknown = await client.aask_model("never", default="mine", timeout_s=0.5)
    assert unknown.origin == "default"
    client.close(0)


class Scripted:
    poll_s = 3600.0

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "bad",
    [
        OSError("away"),
        Fetched({"not": "a split"}, b"", "e"),
        Fetched([], b"", "e"),
        Fetched(json.loads(encode(split(1, service="another"))), b"", "e"),
    ],
)
def test_a_bad_answer_is_counted_and_nothing_else(bad):
    follower = Follower(Scripted(bad))
    assert follower.split("bot", WITHIN_S) is None
    assert follower.counts["fetch_failed"] == 1
    follower.stop()


def test_no_more_services_are_followed_than_there_are_threads_for():
    follower = Follower(Scripted())
    for n in range(MAX_SERVICES + 3):
        follower.split(f"s{n}", WITHIN_S)
    assert follower.counts["not_followed"] == 3
    follower.stop()
