"""The client for LiteLLM without LiteLLM: it draws like everybody else, follows, falls over, and tells what was answered."""

import importlib.util
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from app.adapters.codec import make_decode
from app.adapters.gateways.desired import DesiredState
from app.adapters.gateways.desired_http import DesiredRoutes
from app.core.events import Receipt, Response, SegmentParts
from app.core.ids import receipt_of
from app.core.split import encode
from tests.core.splits import ARMS, TRIAL, split, trial

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location(
    "llm_optimizer_litellm", ROOT / "clients/litellm/llm_optimizer_litellm.py"
)
assert spec is not None and spec.loader is not None
client: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)

GOLDEN = json.loads((ROOT / "tests" / "golden" / "assign.json").read_text())
DEPLOYMENTS = [
    {"model_info": {"id": name}, "litellm_params": {"model": f"openai/{name}-1"}} for name in ("big", "small")
]


class FakeProducer:
    """Kafka's producer: keeps what it gets; ``full`` refuses."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, dict[str, str], bytes]] = []
        self.full = False
        self.error: object = None

    def produce(self, topic, key, value, headers, on_delivery):
        if self.full:
            raise BufferError
        self.sent.append((key, {name: text.decode() for name, text in headers}, value))
        on_delivery(self.error, None)

    def poll(self, timeout):
        time.sleep(0.001)

    def flush(self, timeout):
        return 0


class Call:
    """One request as LiteLLM takes it through the hooks."""

    def __init__(self, optimizer: Any, call_id: str = "call-1", **data: Any) -> None:
        self.optimizer = optimizer
        self.data: dict[str, Any] = {"model": "bot", "litellm_call_id": call_id, **data}

    async def enter(self):
        await self.optimizer.async_pre_call_hook(SimpleNamespace(end_user_id=None), None, self.data, "completion")
        return self

    @property
    def state(self):
        return self.data["metadata"].get(client.STATE)

    async def route(self, healthy=None):
        found = await self.optimizer.async_filter_deployments("bot", healthy or DEPLOYMENTS, [], self.data)
        return [deployment["model_info"]["id"] for deployment in found]

    async def answered(self, served: str, **more: Any):
        end = datetime.now(UTC)
        kwargs = {
            "litellm_call_id": self.data["litellm_call_id"], "response_cost": 0.002,
            "litellm_params": {"metadata": self.data["metadata"]},
            "standard_logging_object": {"model_id": served, "prompt_tokens": 9, "completion_tokens": 4}, **more,
        }  # fmt: skip
        response = SimpleNamespace(model="big-1-0613", choices=[SimpleNamespace(finish_reason="stop")])
        await self.optimizer.async_log_success_event(kwargs, response, end - timedelta(seconds=0.5), end)


@pytest.fixture
def producer():
    return FakeProducer()


@pytest.fixture
def optimizer(producer):
    desired = client.Desired("http://127.0.0.1:1", "k", ["bot"])
    emitter = client.Emitter("", "llm.responses", 10, desired.counts, producer)
    yield client.LLMOptimizer(desired, emitter)
    emitter.close()


def follow(optimizer, one):
    optimizer._desired.splits[one.service] = client.Split(json.loads(encode(one)))


# ---- the draw


@pytest.mark.parametrize(("salt", "identity", "u"), GOLDEN["hash01"])
def test_it_hashes_as_the_vectors_say(salt, identity, u):
    assert client.hash01(salt, identity) == u


def test_it_groups_sessions_as_the_vectors_say():
    assert {identity: client.session_group(identity) for identity in GOLDEN["session_group"]} == GOLDEN["session_group"]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_it_draws_as_the_vectors_say(case):
    drawer = client.Split(case["split"])
    for segment, drawn in case["assignments"].items():
        for identity, (slice_, arm, *_) in drawn.items():
            assert drawer.draw(identity, segment) == (slice_, arm)


@pytest.mark.parametrize("version", [0, 127, 128, 70_000, 2**40])
def test_its_receipts_are_read_by_the_codec(version):
    parts = {"tenant": "größe", "task_type": "x" * 199, "region": ""}
    state = {"service": "bot", "arm": "a" * 40, "segment": parts, "slice": "trial", "version": version, "group": 63}
    receipt = receipt_of(client.with_receipt("unique", state))
    assert receipt == Receipt("bot", "a" * 40, SegmentParts("größe", "x" * 199, ""), "trial", version, 63)


@pytest.mark.parametrize(
    "document",
    ["{}", "[]", '{"service":1}', json.dumps({**msgspec.to_builtins(split(1)), "incumbent": "nobody"}),
     json.dumps({**msgspec.to_builtins(trial(1)), "trial": {"id": "t"}})],
)  # fmt: skip
def test_what_is_no_split_is_not_taken(document):
    with pytest.raises(ValueError, match="not a split"):
        client.Split(json.loads(document))


# ---- a request


async def test_a_session_keeps_its_arm_and_a_caller_may_not_choose_it(optimizer):
    follow(optimizer, split(1, trial=msgspec.structs.replace(TRIAL, share=0.5, control_share=0.5)))
    drawn = set()
    for number in range(30):
        forged = {"session_id": "s-7", client.STATE: {"arm": "forged"}}
        call = await Call(optimizer, f"call-{number}", metadata=forged).enter()
        drawn.add((call.state["slice"], call.state["arm"]))
        headers = {"proxy_server_request": {"headers": {"x-litellm-session-id": "s-7"}}}
        same = await Call(optimizer, f"other-{number}", **headers).enter()
        drawn.add((same.state["slice"], same.state["arm"]))
    assert len(drawn) == 1


async def test_the_drawn_arm_is_forced_with_its_parameters(optimizer):
    follow(optimizer, split(1))
    call = await Call(optimizer, temperature=0.1).enter()
    assert await call.route() == ["big"]
    sent = await optimizer.async_pre_call_deployment_hook({**call.data, **DEPLOYMENTS[0]}, None)
    assert (sent["temperature"], sent["model"]) == (0.7, "bot")


async def test_parameters_never_replace_what_a_call_is_made_of(optimizer):
    arms = (msgspec.structs.replace(ARMS[0], parameters={"model": "x", "api_key": "y", "messages": [], "top_p": 0.5}),)
    follow(optimizer, split(1, arms=arms))
    call = await Call(optimizer).enter()
    sent = await optimizer.async_pre_call_deployment_hook({**call.data, **DEPLOYMENTS[0]}, None)
    assert (sent["model"], sent["top_p"], "api_key" in sent, "messages" in sent) == ("bot", 0.5, False, False)


async def test_a_second_try_goes_to_the_next_arm_and_the_event_says_who_answered(optimizer, producer):
    follow(optimizer, split(1))
    call = await Call(optimizer).enter()
    assert [await call.route(), await call.route(), await call.route()] == [["big"], ["small"], ["big"]]
    await call.answered("small")
    event = json.loads(producer.sent[0][2])
    assert (event["arm"], event["served_arm"], event["model"]) == ("big", "small", "small-1")
    assert optimizer.counts["fell_over"] == 1


async def test_the_event_names_the_prompt_of_the_arm_that_answered(optimizer, producer):
    follow(optimizer, split(1, arms=(ARMS[0], msgspec.structs.replace(ARMS[1], prompt_version="p7"))))
    call = await Call(optimizer).enter()
    await call.answered("small")
    await (await Call(optimizer, "call-2").enter()).answered("big")
    first, second = (msgspec.json.decode(value, type=Response) for _, _, value in producer.sent)
    assert (first.labels, second.labels) == ({"prompt_version": "p7"}, None)


async def test_an_arm_that_is_cooling_down_is_passed_over(optimizer):
    follow(optimizer, split(1))
    call = await Call(optimizer).enter()
    assert await call.route(DEPLOYMENTS[1:]) == ["small"]


async def test_an_arm_names_its_fallbacks_first(optimizer):
    arms = (*ARMS, msgspec.structs.replace(ARMS[1], name="third", features={"fallbacks": ["small", "gone", 7]}))
    follow(optimizer, split(1, arms=arms, incumbent="third", weights={"*": {"third": 1.0}}))
    call = await Call(optimizer).enter()
    assert call.state["order"] == ["third", "small", "big"]


async def test_without_a_deployment_for_any_arm_litellm_chooses_itself_and_it_is_counted(optimizer):
    follow(optimizer, split(1))
    call = await Call(optimizer).enter()
    assert await call.route([{"model_info": {"id": "x"}, "litellm_params": {"model": "openai/x"}}]) == ["x"]
    assert optimizer.counts["unmapped"] == 1


async def test_before_the_first_split_litellm_chooses_and_evidence_is_told_all_the_same(optimizer, producer):
    call = await Call(optimizer).enter()
    assert await call.route() == ["big", "small"]
    await call.answered("small")
    event = json.loads(producer.sent[0][2])
    assert (event["arm"], event["slice"], event["version"], event["request_id"]) == ("small", "main", 0, "call-1")


async def test_other_models_are_none_of_our_business(optimizer, producer):
    call = await Call(optimizer, model="something else").enter()
    assert call.state is None
    assert await call.route() == ["big", "small"]
    await call.answered("big")
    assert producer.sent == []


# ---- what is told


async def test_the_event_is_one_the_optimizer_reads_and_its_receipt_comes_back(optimizer, producer):
    follow(optimizer, trial(3))
    call = await Call(optimizer, user="acme", metadata={"task_type": "chat"}).enter()
    headers = await optimizer.async_post_call_response_headers_hook(call.data, None, None)
    await call.answered(call.state["arm"])
    key, sent, value = producer.sent[0]
    seen: Counter[str] = Counter()
    event = make_decode(lambda what: seen.update([what]))(value, tuple((k, v.encode()) for k, v in sent.items()))
    response = event.payload if hasattr(event, "payload") else event
    found = msgspec.to_builtins(response)
    text = json.dumps(found)
    assert (key, sent["ce_id"], sent["ce_type"]) == (b"call-1", "call-1", "io.llm-platform.response.completed")
    assert "acme" in text and call.state["arm"] in text and seen == Counter()
    assert msgspec.json.decode(value, type=Response).cost_usd == 0.002
    receipt = receipt_of(headers["x-llm-optimizer-request-id"])
    assert receipt is not None
    assert (receipt.service, receipt.version, receipt.segment.tenant) == ("bot", 3, "acme")


async def test_a_call_that_is_told_twice_is_sent_once(optimizer, producer):
    call = await Call(optimizer).enter()
    await call.answered("big")
    await call.answered("big")
    assert (len(producer.sent), optimizer.counts["repeated"]) == (1, 1)


async def test_a_request_that_failed_for_good_is_an_error_of_its_arm(optimizer, producer):
    follow(optimizer, split(1))
    call = await Call(optimizer).enter()
    await call.route()
    await optimizer.async_post_call_failure_hook(call.data, TimeoutError("slow"), None)
    event = msgspec.json.decode(producer.sent[0][2], type=Response)
    assert (event.status, event.error_type, event.arm, event.served_arm) == ("error", "TimeoutError", "big", None)


async def test_the_first_token_of_a_stream_is_timed(optimizer, producer):
    follow(optimizer, split(1))
    call = await Call(optimizer).enter()
    await call.answered("big", stream=True, completion_start_time=datetime.now(UTC) - timedelta(seconds=0.4))
    event = msgspec.json.decode(producer.sent[0][2], type=Response)
    assert event.ttft_ms is not None and event.ttft_ms < event.latency_ms


async def test_what_kafka_does_not_take_is_counted_and_nobody_waits(optimizer, producer):
    producer.full = True
    await (await Call(optimizer, "a").enter()).answered("big")
    producer.full, producer.error = False, "broker away"
    await (await Call(optimizer, "b").enter()).answered("big")
    assert (optimizer.counts["dropped"], optimizer.counts["lost"], optimizer.counts["emitted"]) == (1, 1, 1)


# ---- the desired state


@pytest.fixture
async def served(aiohttp_server):
    state = DesiredState(time.monotonic)
    state.complete = True
    app = web.Application()
    DesiredRoutes(state, "k").add_to(app)
    return state, str((await aiohttp_server(app)).make_url("")).rstrip("/")


async def fetched(desired, etag=""):
    import asyncio

    return await asyncio.to_thread(desired._fetch, "bot", etag)


async def test_it_fetches_what_the_worker_serves_and_keeps_it_over_a_restart(served, tmp_path):
    state, url = served
    state.offer(trial(4), None, "key")
    desired = client.Desired(url, "k", ["bot"], cache=str(tmp_path))
    etag = await fetched(desired)
    assert (desired.splits["bot"].version, etag) == (4, state.document("bot").etag)
    again = client.Desired("http://127.0.0.1:1", "k", ["bot"], cache=str(tmp_path))
    again._load("bot")
    assert again.splits["bot"].version == 4


async def test_another_key_is_an_error_and_the_last_good_split_stays(served):
    state, url = served
    state.offer(split(1), None, "key")
    desired = client.Desired(url, "k", ["bot"])
    await fetched(desired)
    desired._key = "another"
    with pytest.raises(ValueError, match="401"):
        await fetched(desired)
    assert desired.splits["bot"].version == 1


async def test_an_answer_signed_with_another_key_is_not_used(aiohttp_server):
    async def lie(request):
        return web.Response(
            body=encode(split(9)), headers={"ETag": '"9"', "X-Signature": f"t={int(time.time())},v1=00"}
        )

    app = web.Application()
    app.router.add_get("/v1/desired/{service}", lie)
    desired = client.Desired(str((await aiohttp_server(app)).make_url("")), "k", ["bot"])
    with pytest.raises(ValueError, match="not signed"):
        await fetched(desired)
    assert desired.splits == {}


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"service":"other"}'])
def test_a_damaged_cache_is_passed_over_and_counted(tmp_path, damage):
    desired = client.Desired("http://127.0.0.1:1", "k", ["bot"], cache=str(tmp_path))
    desired._file("bot").write_bytes(damage)
    desired._load("bot")
    assert (desired.splits, desired.counts["cache_failed"]) == ({}, 1)


def test_what_is_missing_in_the_environment_is_named():
    with pytest.raises(ValueError, match="LLM_OPTIMIZER_KEY, LLM_OPTIMIZER_SERVICES"):
        client.from_environment({"LLM_OPTIMIZER_URL": "http://x"})


def test_only_so_many_services_are_followed():
    with pytest.raises(ValueError, match="at most 64"):
        client.Desired("http://x", "k", [f"s{i}" for i in range(65)])
