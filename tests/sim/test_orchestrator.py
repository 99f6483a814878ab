"""The reference Orchestrator over HTTP, as a person with curl meets it."""

import io

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.gateways.configuration import encode, update_of
from app.core.ids import receipt_of
from app.sim.orchestrator import MAX_BODY_BYTES, create_app
from app.sim.orchestrator_state import OrchestratorState
from tests.core.splits import split, trial

ALL = "/api/v1/configurations"
BOT = "/api/v1/configurations/bot"
ROUTING = "/api/v1/config/routing"


@pytest.fixture
def state():
    return OrchestratorState()


@pytest.fixture
async def client(aiohttp_client, state):
    return await aiohttp_client(create_app(state, faults=True))


def body(one):
    return encode(update_of(one))


async def problem(answer, status):
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    told = await answer.json(content_type=None)
    assert told["status"] == status
    return told["detail"]


class TestConfigurations:
    async def test_post_creates_and_get_shows_it(self, client):
        answer = await client.post(ALL, data=body(trial(1)))
        assert answer.status == 201
        taken = await answer.json()
        assert (taken["status"], taken["version"]) == ("applied", 1)
        shown = await client.get(BOT)
        assert shown.headers["ETag"] == answer.headers["ETag"] == f'"{taken["etag"]}"'
        told = await shown.json()
        assert told["configuration"]["model"] == "small-1"
        assert msgspec.json.decode(told["configuration"]["split"])["version"] == 1

    async def test_put_replaces(self, client):
        await client.post(ALL, data=body(split(1)))
        answer = await client.put(BOT, data=body(split(2)))
        assert answer.status == 200
        assert (await answer.json())["version"] == 2

    async def test_an_older_version_is_ignored_and_the_answer_says_why(self, client):
        await client.post(ALL, data=body(split(5)))
        told = await (await client.put(BOT, data=body(split(4)))).json()
        assert told["status"] == "ignored"
        assert "version 5" in told["detail"]

    async def test_if_match_guards_every_change(self, client):
        etag = (await client.post(ALL, data=body(trial(1)))).headers["ETag"]
        for method, path in ((client.put, BOT), (client.post, BOT + "/rollback"), (client.delete, BOT)):
            data = body(split(2, frozen=True)) if method is not client.delete else None
            await problem(await method(path, data=data, headers={"If-Match": '"other"'}), 412)
        assert (await client.put(BOT, data=body(split(2)), headers={"If-Match": etag})).status == 200
        assert (await client.put(BOT, data=body(split(3)), headers={"If-Match": "*"})).status == 200

    async def test_if_match_of_anything_needs_something(self, client):
        await problem(await client.put(BOT, data=body(split(1)), headers={"If-Match": "*"}), 412)

    async def test_if_none_match_creates_only(self, client):
        headers = {"If-None-Match": "*"}
        assert (await client.put(BOT, data=body(split(1)), headers=headers)).status == 201
        await problem(await client.put(BOT, data=body(split(2)), headers=headers), 412)

    async def test_who_has_the_newest_gets_no_body(self, client):
        etag = (await client.post(ALL, data=body(split(1)))).headers["ETag"]
        assert (await client.get(BOT, headers={"If-None-Match": etag})).status == 304

    async def test_other_content_under_the_same_version_is_a_conflict(self, client):
        await client.post(ALL, data=body(split(1)))
        other = split(1, weights={"*": {"small": 1.0}})
        assert "If-Match" in await problem(await client.put(BOT, data=body(other)), 409)

    async def test_the_same_key_acts_once_and_another_body_is_refused(self, client, state):
        headers = {"Idempotency-Key": "k"}
        answers = [await client.put(BOT, data=body(split(1)), headers=headers) for _ in range(2)]
        assert answers[0].headers["ETag"] == answers[1].headers["ETag"]
        assert state.store.changes == 1
        await problem(await client.put(BOT, data=body(split(2)), headers=headers), 422)
        await problem(await client.put(BOT, data=body(split(2)), headers={"Idempotency-Key": "k" * 301}), 400)

    async def test_delete_forgets(self, client):
        await client.post(ALL, data=body(split(1)))
        assert (await client.delete(BOT)).status == 204
        await problem(await client.get(BOT), 404)
        await problem(await client.delete(BOT), 404)

    async def test_an_unsound_split_is_named(self, client):
        assert "incumbent" in await problem(await client.post(ALL, data=body(split(1, incumbent="nobody"))), 422)

    async def test_the_path_and_the_body_must_agree(self, client):
        assert "'other'" in await problem(await client.put(BOT, data=body(split(1, service="other"))), 400)

    async def test_a_plain_update_serves_one_arm_and_says_what_it_cannot_do(self, client):
        plain = {"service_id": "bot", "configuration": {"model": "m", "temperature": "0.7"}}
        update = {**plain, "deployment": {"strategy": "canary", "initial_percentage": 5}}
        told = await (await client.post(ALL, json=update)).json()
        assert told["status"] == "applied"
        assert "configuration.split" in told["detail"]
        routed = await (await client.post("/v1/route", json={"service": "bot", "request_id": "r"})).json()
        assert (routed["arm"], routed["parameters"]) == ("m", {"temperature": "0.7"})

    async def test_too_much_is_refused(self, client):
        await problem(await client.post(ALL, data=io.BytesIO(b" " * (MAX_BODY_BYTES + 1))), 413)

    async def test_unknown_paths_and_methods_are_problems_too(self, client):
        await problem(await client.get("/nowhere"), 404)
        await problem(await client.patch(BOT), 405)


class TestRollback:
    async def test_without_a_body_it_takes_back_the_open_trial(self, client, state):
        await client.post(ALL, data=body(trial(3)))
        assert (await client.post(BOT + "/rollback")).status == 200
        assert state.serving("bot") == split(3, frozen=True)
        assert "no open trial" in await problem(await client.post(BOT + "/rollback"), 409)

    async def test_without_a_body_it_is_guarded_too(self, client):
        etag = (await client.post(ALL, data=body(trial(3)))).headers["ETag"]
        await problem(await client.post(BOT + "/rollback", headers={"If-Match": '"other"'}), 412)
        assert (await client.post(BOT + "/rollback", headers={"If-Match": etag})).status == 200

    async def test_with_a_body_it_takes_a_frozen_split_only(self, client, state):
        await client.post(ALL, data=body(trial(3)))
        await problem(await client.post(BOT + "/rollback", data=body(split(4))), 422)
        assert (await client.post(BOT + "/rollback", data=body(split(4, frozen=True)))).status == 200
        assert state.serving("bot") == split(4, frozen=True)

    async def test_an_unknown_service_has_nothing_to_roll_back(self, client):
        await problem(await client.post(BOT + "/rollback"), 404)


class TestRoutingConfiguration:
    async def test_rules_are_taken_together_and_come_back(self, client):
        rules = [msgspec.to_builtins(update_of(split(1, service=name))) for name in ("a", "b")]
        told = await (await client.put(ROUTING, json={"routing_rules": rules, "version": "v2.1.0"})).json()
        assert (told["version"], told["status"]) == ("v2.1.0", "active")
        assert told["validation_result"] == {"valid": True, "warnings": []}
        shown = await (await client.get(ROUTING)).json()
        assert shown["config_id"] == told["config_id"]
        assert [rule["service_id"] for rule in shown["routing_rules"]] == ["a", "b"]

    async def test_one_bad_rule_and_none_is_taken(self, client):
        rules = [msgspec.to_builtins(update_of(one)) for one in (split(1), split(1, service="b", incumbent="x"))]
        assert "[b]" in await problem(await client.put(ROUTING, json={"routing_rules": rules, "version": "1"}), 422)
        await problem(await client.get(BOT), 404)

    async def test_what_is_not_taken_is_a_warning(self, client):
        await client.post(ALL, data=body(split(5)))
        for one in (split(4), split(5, weights={"*": {"small": 1.0}})):
            update = {"routing_rules": [msgspec.to_builtins(update_of(one))], "version": "1"}
            told = await (await client.put(ROUTING, json=update)).json()
            assert len(told["validation_result"]["warnings"]) == 1

    @pytest.mark.parametrize(
        ("time", "status"),
        [("2999-01-01T00:00:00Z", 422), ("2001-01-01T00:00:00Z", 200), ("noon", 400), ("2001-01-01T00:00:00", 400)],
    )
    async def test_nothing_is_scheduled(self, client, time, status):
        update = {"routing_rules": [], "version": "1", "effective_time": time}
        assert (await client.put(ROUTING, json=update)).status == status


class TestTraffic:
    async def test_a_request_is_routed_with_its_receipt(self, client):
        await client.post(ALL, data=body(split(4)))
        asked = {"service": "bot", "request_id": "r1", "session_id": "s", "tenant": "acme"}
        routed = await (await client.post("/v1/route", json=asked)).json()
        assert (routed["arm"], routed["model"], routed["slice"], routed["version"]) == ("big", "big-1", "main", 4)
        receipt = receipt_of(routed["request_id"])
        assert receipt is not None
        assert receipt.segment.tenant == "acme"

    async def test_an_unknown_service_is_not_routed(self, client):
        await problem(await client.post("/v1/route", json={"service": "bot", "request_id": "r1"}), 404)

    async def test_it_goes_on_while_the_configuration_is_down(self, client):
        await client.post(ALL, data=body(split(4)))
        await client.put("/v1/faults", json={"down": True})
        answer = await client.put(BOT, data=body(split(5)))
        await problem(answer, 503)
        assert answer.headers["Retry-After"]
        routed = await client.post("/v1/route", json={"service": "bot", "request_id": "r1"})
        assert (await routed.json())["version"] == 4
        await client.put("/v1/faults", json={"dark": True})
        await problem(await client.post("/v1/route", json={"service": "bot", "request_id": "r1"}), 503)
        assert (await client.get("/health")).status == 200

    async def test_a_slow_one_answers_all_the_same(self, client):
        await client.put("/v1/faults", json={"slow_s": 0.01})
        assert (await client.post(ALL, data=body(split(4)))).status == 201


async def test_faults_exist_only_where_asked_for(aiohttp_client):
    client = await aiohttp_client(create_app(OrchestratorState()))
    await problem(await client.put("/v1/faults", json={"down": True}), 404)


async def test_with_a_token_only_who_has_it_may_call(aiohttp_client):
    client = await aiohttp_client(create_app(OrchestratorState(), token="secret"))
    await problem(await client.get(BOT), 401)
    await problem(await client.get(BOT, headers={"Authorization": "Bearer other"}), 401)
    await problem(await client.get(BOT, headers={"Authorization": "Bearer secret"}), 404)
    assert (await client.get("/health")).status == 200


NASTY = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff",
    b'{"service_id": "\xff"}',
    b'{"x":' + b"[" * 50_000,
    b'{"service_id": 1}',
]


@pytest.mark.parametrize("garbage", NASTY, ids=range(len(NASTY)))
async def test_garbage_is_a_problem_everywhere(client, garbage):
    for method, path in ((client.post, ALL), (client.put, BOT), (client.put, ROUTING), (client.post, "/v1/route")):
        await problem(await method(path, data=garbage), 400)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=50), service=st.text(max_size=20))
async def test_no_text_breaks_it(client, text, service):
    update = {"service_id": service, "configuration": {"split": text, "model": text}}
    answer = await client.post(ALL, data=msgspec.json.encode(update))
    await problem(answer, 400)
