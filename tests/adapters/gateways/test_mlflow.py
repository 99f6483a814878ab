"""What a real MLflow does beyond the common suite (`make mlflow`): calls that break off, what people made, its caches."""

import asyncio
import contextlib
import time

import pytest

from app.core.actuation import idempotency_key
from app.core.ports import Conflict, Refused, Unavailable
from app.core.split import ArmDefinition
from tests.adapters.gateways.mlflow_rig import rig_of
from tests.core.splits import split, trial
from tests.e2e.harness.mlflow import Mlflow, need_mlflow
from tests.e2e.harness.providers import Provider, Providers

pytestmark = pytest.mark.e2e


async def put(rig, one, if_match=None):
    return await rig.gateway.apply(one, if_match, idempotency_key(one, if_match))


async def put_level(rig, one):
    """As the actuator does it: read, put, and again until it stands."""
    for _ in range(6):
        try:
            held = await rig.gateway.read(one.service)
            if held is not None and held.split == one:
                return
            await put(rig, one, held.etag if held else None)
        except (Unavailable, Conflict):
            continue


async def test_broken_off_at_any_call_it_is_the_old_split_or_the_new_one(mlflow):
    first, second = split(1), trial(2, score_rates={"x" * 9_000: 0.5})
    for broken_at in range(1, 16):
        mlflow.store.clear()
        mlflow.proxy.requests = mlflow.proxy.broken_at = 0
        ack = await put(mlflow, first)
        before, calls = mlflow.store.changes, mlflow.proxy.requests
        mlflow.proxy.broken_at = calls + broken_at
        with contextlib.suppress(Unavailable):
            await put(mlflow, second, ack.etag)
        assert (await mlflow.gateway.read("bot")).split in (first, second), broken_at
        await put_level(mlflow, second)
        assert (await mlflow.gateway.read("bot")).split == second, broken_at
        assert mlflow.store.changes == before + 1, "acted twice"


async def test_a_first_split_that_breaks_off_leaves_no_endpoint_under_the_services_name(mlflow):
    for broken_at in range(1, 9):
        mlflow.store.clear()
        mlflow.proxy.requests, mlflow.proxy.broken_at = 0, broken_at
        with contextlib.suppress(Unavailable):
            await put(mlflow, split(1))
        names = {endpoint["name"] for endpoint in mlflow.gateway_server.endpoints()}
        held = await mlflow.gateway.read("bot")
        assert (held is not None and held.split == split(1)) or "bot" not in names, broken_at
        await put_level(mlflow, split(1))
        assert {endpoint["name"] for endpoint in mlflow.gateway_server.endpoints()} == {"bot"}, broken_at


async def test_an_endpoint_people_made_is_taken_over_with_its_fallbacks(mlflow):
    server = mlflow.gateway_server
    there = server.call("GET", "/gateway/model-definitions/list")["model_definitions"]
    ids = {one["name"]: one["model_definition_id"] for one in there}
    server.call(
        "POST", "/gateway/endpoints/create", name="bot", usage_tracking=False,
        model_configs=[
            {"model_definition_id": ids["small"], "linkage_type": "PRIMARY", "weight": 1.0},
            {"model_definition_id": ids["small"], "linkage_type": "FALLBACK", "weight": 1.0, "fallback_order": 0},
        ],
        fallback_config={"strategy": "SEQUENTIAL", "max_attempts": 2},
    )  # fmt: skip
    assert await mlflow.gateway.read("bot") is None
    await put(mlflow, split(1))
    endpoint = mlflow.store.endpoint("bot")
    kinds = sorted((mapping.model_definition.name, mapping.linkage_type) for mapping in endpoint.model_mappings)
    assert kinds == [("big", "PRIMARY"), ("small", "FALLBACK")]
    assert bytes(endpoint.fallback_config["max_attempts"]) == b"2"
    assert not endpoint.usage_tracking, "switched on what its owner had switched off"


async def test_weights_set_by_hand_are_seen(mlflow):
    ack = await put(mlflow, trial(2))
    mlflow.store.put(split(2, weights={"*": {"small": 0.5, "big": 0.5}}), ack.etag)
    held = await mlflow.gateway.read("bot")
    assert held.etag != ack.etag
    assert held.split.weights == {"*": {"small": 0.5, "big": 0.5}}
    assert "weights" in "".join(mlflow.gateway.plan(trial(2), held.split).changes)


async def test_weights_by_segment_are_refused(mlflow):
    with pytest.raises(Refused, match="segments"):
        await put(mlflow, split(1, weights={"*": {"big": 1.0}, "eu": {"small": 1.0}}))


async def test_a_model_that_is_not_there_is_refused_by_name(mlflow):
    arms = (*split(1).arms, ArmDefinition(name="tiny", model="tiny-1"))
    with pytest.raises(Refused, match=r"arms\[tiny\]: MLflow has none"):
        await put(mlflow, split(1, arms=arms, weights={"*": {"tiny": 1.0}}))


async def test_only_the_splits_before_and_in_force_are_kept(mlflow):
    etag = None
    for version in range(1, 6):
        etag = (await put(mlflow, trial(version), etag)).etag
    assert len(mlflow.store.endpoint("bot").tags) == 2


async def test_a_split_is_taken_when_the_traffic_follows_and_not_when_mlflow_says_yes():
    """MLflow answers at once; its processes follow when their caches run out. Taken must not come before that."""
    need_mlflow()
    with Providers({"big": Provider(0.001), "small": Provider(0.001)}) as there, Mlflow(workers=2) as server:
        server.models({arm: f"{there.url}/{arm}/v1" for arm in ("big", "small")})
        async with rig_of(server) as rig:
            ack = await put(rig, split(1))
            await asyncio.to_thread(lambda: [server.ask("bot") for _ in range(25)])
            taken = (await put(rig, split(2, weights={"*": {"small": 1.0}}), ack.etag)).taken
            assert not taken
            deadline = time.monotonic() + 240
            while not taken and time.monotonic() < deadline:
                await asyncio.to_thread(lambda: [server.ask("bot") for _ in range(5)])
                taken = (await rig.gateway.read("bot") or ack).taken
            assert taken, "never taken"
            after = await asyncio.to_thread(lambda: [server.ask("bot") for _ in range(20)])
            assert after.count("small-1") == 20, "taken before the traffic followed"
