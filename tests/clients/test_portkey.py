"""The header for Portkey, without Portkey: what is asked for, and what its answers say."""

import json
from collections import Counter

import msgspec
import pytest

from app.adapters.codec import make_decode
from app.core.assign import expected_shares
from app.core.events import ResponseEvent, SegmentParts
from app.core.ids import receipt_of
from app.core.split import TrialSlice, encode
from tests.clients.test_shared import load
from tests.core.splits import ARMS, split, trial

client = load("clients/portkey/llm_optimizer_portkey.py")

TARGETS = {
    "bot": {
        "big": {"provider": "openai", "api_key": "k-big", "custom_host": "http://big/v1"},
        "small": {"provider": "anthropic", "api_key": "k-small"},
    }
}


@pytest.fixture
def optimizer():
    return client.Portkey(client.Desired("http://127.0.0.1:1", "k", TARGETS), TARGETS)


def follow(optimizer, one):
    optimizer._desired.splits[one.service] = client.Split(json.loads(encode(one)))


def config(routed):
    return json.loads(routed.headers["x-portkey-config"])


def models(targets):
    return [target["override_params"]["model"] for target in targets]


def used(index):
    return {"X-Portkey-Last-Used-Option-Index": index}


def test_the_drawn_arm_is_asked_first_with_its_parameters_and_then_the_others(optimizer):
    follow(optimizer, split(3))
    asked = config(optimizer.route("bot", session_id="s"))
    assert asked["strategy"] == {"mode": "fallback", "on_status_codes": list(client.FALL_BACK_ON)}
    assert models(asked["targets"]) == ["big-1", "small-1"]
    first = asked["targets"][0]
    assert (first["custom_host"], first["override_params"]["temperature"]) == ("http://big/v1", 0.7)


def test_an_arm_names_its_fallbacks_first(optimizer):
    arms = (*ARMS, msgspec.structs.replace(ARMS[1], name="tiny", model="tiny-1"))
    arms = (msgspec.structs.replace(arms[0], features={"fallbacks": ["tiny"]}), *arms[1:])
    optimizer._targets = {"bot": {**TARGETS["bot"], "tiny": {"provider": "openai"}}}
    follow(optimizer, split(3, arms=arms))
    assert models(config(optimizer.route("bot"))["targets"]) == ["big-1", "tiny-1", "small-1"]


def test_what_a_target_overrides_itself_stays(optimizer):
    optimizer._targets = {"bot": {"big": {"provider": "azure-openai", "override_params": {"model": "my-deployment"}}}}
    follow(optimizer, split(3))
    assert models(config(optimizer.route("bot"))["targets"]) == ["my-deployment"]


def test_a_session_keeps_its_arm_and_the_shares_are_those_asked_for(optimizer):
    follow(optimizer, trial(2, holdout_share=0.1))
    for number in range(20):
        assert len({optimizer.route("bot", session_id=f"s{number}").headers["x-portkey-metadata"] for _ in "ab"}) == 1
    drawn = Counter(
        optimizer.route("bot", session_id=f"s{n}").told(used("config.targets[0]"))["slice"] for n in range(2000)
    )
    assert drawn["holdout"] == pytest.approx(200, abs=60)
    assert drawn["trial"] == pytest.approx(90, abs=45)


def test_metadata_names_what_was_drawn_for_portkeys_own_records(optimizer):
    follow(optimizer, split(3))
    said = json.loads(optimizer.route("bot", request_id="r-1").headers["x-portkey-metadata"])
    assert said == {"service": "bot", "version": "3", "arm": "big", "slice": "main"}
    assert optimizer.route("bot", request_id="r-1").headers["x-portkey-trace-id"] == "r-1"


def test_the_answer_says_who_answered_and_the_optimizer_reads_it(optimizer):
    arms = (ARMS[0], msgspec.structs.replace(ARMS[1], prompt_version="p7", provider="anthropic"))
    follow(optimizer, split(3, arms=arms))
    routed = optimizer.route("bot", request_id="r-1", session_id="s", parts={"tenant": "acme"})
    told = routed.told(used("config.targets[1]")) | {"latency_ms": 12.5}
    event = msgspec.json.encode(
        {"specversion": "1.0", "id": "e", "source": "/app", "type": "io.llm-platform.response.completed",
         "time": "2026-01-31T09:15:02Z", "data": told}
    )  # fmt: skip
    found = make_decode()(event, ())
    assert isinstance(found, ResponseEvent)
    body = found.data
    assert (body.arm, body.served_arm, body.model, body.version, body.provider) == (
        "big",
        "small",
        "small-1",
        3,
        "anthropic",
    )
    assert body.segment == SegmentParts("acme")
    assert body.labels == {"prompt_version": "p7"}
    receipt = receipt_of(told["request_id"])
    assert receipt is not None
    assert (receipt.arm, receipt.version, receipt.session_group) == ("big", 3, body.session_group)


@pytest.mark.parametrize("index", ["", "config", "config.targets[9]", "config.targets[0].targets[0]", "garbage"])
def test_an_answer_that_names_no_target_is_an_error_and_no_guess(optimizer, index):
    follow(optimizer, split(3))
    with pytest.raises(ValueError, match="last-used-option-index"):
        optimizer.route("bot").told(used(index) if index else {})


SEVERAL = TrialSlice("t", "small", "big", 0.2, 0.1, arms=("small", "tiny"))


@pytest.mark.parametrize(
    "one",
    [
        split(1),
        trial(2, holdout_share=0.05),
        split(
            3, weights={"*": {"big": 0.3, "small": 0.7}, "eu": {"small": 1.0}}, segment_by="region", segments=("eu",)
        ),
        split(4, trial=SEVERAL, arms=(*ARMS, msgspec.structs.replace(ARMS[1], name="tiny"))),
    ],
    ids=lambda one: str(one.version),
)
@pytest.mark.parametrize("segment", ["*", "eu"])
def test_shares_are_those_of_the_engine(one, segment):
    found = client.shares(client.Split(json.loads(encode(one))), segment)
    assert found == pytest.approx(expected_shares(one, segment))


def test_one_header_for_many_requests_has_a_weight_for_every_slice_and_arm(optimizer):
    follow(optimizer, trial(2, holdout_share=0.1))
    routed = optimizer.weighted("bot")
    asked = config(routed)
    assert asked["strategy"] == {"mode": "loadbalance"}
    assert [target["weight"] for target in asked["targets"]] == pytest.approx([0.1, 0.045, 0.045, 0.81])
    told = routed.told(used("config.targets[1].targets[1]"), "r-9")
    assert (told["slice"], told["arm"], told["served_arm"]) == ("trial", "small", "big")
    receipt = receipt_of(told["request_id"])
    assert receipt is not None
    assert receipt.slice == "trial"
    assert routed.told(used("config.targets[0].targets[0]"))["request_id"] != told["request_id"]


def test_one_header_for_a_single_arm_needs_no_weights(optimizer):
    follow(optimizer, split(1))
    routed = optimizer.weighted("bot")
    assert config(routed)["strategy"]["mode"] == "fallback"
    assert routed.told(used("config.targets[0]"), "r.1")["request_id"].startswith("r-1.")


def test_before_the_first_split_the_first_target_serves_and_it_is_counted(optimizer):
    routed = optimizer.route("bot", request_id="r")
    assert [target["provider"] for target in config(routed)["targets"]] == ["openai", "anthropic"]
    told = routed.told(used("config.targets[0]"))
    assert (told["arm"], told["version"], told["request_id"]) == ("big", 0, "r")
    assert optimizer.counts["undrawn"] == 1


def test_an_arm_without_a_target_is_passed_over_and_counted(optimizer):
    optimizer._targets = {"bot": {"small": {"provider": "openai"}}}
    follow(optimizer, split(3))
    routed = optimizer.route("bot")
    assert models(config(routed)["targets"]) == ["small-1"]
    assert routed.told(used("config.targets[0]"))["served_arm"] == "small"
    assert optimizer.counts["unreachable"] == 1


def test_a_service_without_a_target_for_any_arm_is_an_error(optimizer):
    optimizer._targets = {"bot": {"other": {"provider": "openai"}}}
    follow(optimizer, split(3))
    with pytest.raises(ValueError, match="no target for any arm of 'bot'"):
        optimizer.route("bot")
    with pytest.raises(KeyError):
        optimizer.route("another")


@pytest.mark.parametrize("content", ["{", "[]", '{"bot": {}}', None])
def test_what_is_wrong_in_the_environment_is_named(tmp_path, content):
    env = {"LLM_OPTIMIZER_URL": "http://x", "LLM_OPTIMIZER_KEY": "k", "LLM_OPTIMIZER_TARGETS": str(tmp_path / "t.json")}
    if content is not None:
        (tmp_path / "t.json").write_text(content)
    with pytest.raises(ValueError, match="LLM_OPTIMIZER_TARGETS"):
        client.from_environment(env)
    with pytest.raises(ValueError, match="set LLM_OPTIMIZER_URL, LLM_OPTIMIZER_KEY, LLM_OPTIMIZER_TARGETS"):
        client.from_environment({})
