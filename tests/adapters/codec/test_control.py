"""What is no evidence passes through, addressed to one service or to all."""

import json

import pytest

from app.core.commands import COMMAND
from app.core.events import ControlEvent, Ignored, Rejected
from app.core.outputs import ACCEPTED, FAILED, FINDING, ROLLED_BACK, VERIFIED
from tests.adapters.codec.samples import TIME, envelope, headers, structured

ALERT = "io.llm-platform.sentinel.alert"
OUTCOME = {"decision_id": "d-1", "service": "chatbot", "version": 13, "gateway": "litellm"}


def test_the_data_passes_through_byte_for_byte(decode):
    raw = b'{ "severity" : "high",\n "value": 1.50 }'
    expected = ControlEvent("e-1", "/orchestrator", ALERT, "*", raw, TIME)
    assert decode(raw, headers(type=ALERT)) == expected
    value = json.dumps(envelope("DATA", ALERT)).encode().replace(b'"DATA"', raw)
    assert decode(value, ()) == expected


@pytest.mark.parametrize(
    "type_",
    [
        ALERT,
        "io.llm-platform.sentinel.anomaly-resolved",
        "com.llmdevops.sentinel.anomaly.v1",
        "com.llmdevops.sentinel.security.alert.v1",
        "io.llm-platform.governance.policy-violation",
        "io.llm-platform.governance.budget-alert",
        "io.llm-platform.registry.model-updated",
        "io.llm-platform.observatory.threshold-exceeded",
        "com.llmdevops.observatory.metric.v1",
        FINDING,
    ],
)
def test_the_events_of_the_platforms_other_parts_pass(decode, type_):
    assert decode(structured({"service": "chatbot"}, type_), ()).service == "chatbot"


@pytest.mark.parametrize(
    "type_",
    ["io.llm-platform.optimization.applied", "io.llm-platform.request.routed", "io.llm-platform.sentinel", VERIFIED],
)
def test_other_types_are_ignored(decode, type_):
    assert decode(structured({"service": "chatbot"}, type_), ()) == Ignored(type_)


@pytest.mark.parametrize(
    ("data", "service"),
    [
        ({"service": "a", "service_id": "b", "affected_services": ["c"]}, "a"),
        ({"service_id": "b"}, "b"),
        ({"attributes": {"service": "c"}}, "c"),
        ({"context": {"application_id": "d", "team_id": "t"}}, "d"),
        ({"affected_services": ["e"]}, "e"),
        ({"affected_services": ["e", "f"]}, "*"),
        ({"affected_services": []}, "*"),
        ({"affected_services": "e"}, "*"),
        ({"service": None, "affected_services": ["e"]}, "e"),
        ({"service": ""}, "*"),
        ({"service": {"name": "g"}}, "g"),
        ({"team_id": "t"}, "*"),
        ({}, "*"),
    ],
)
def test_an_alert_addresses_one_service_or_all(decode, data, service):
    assert decode(structured(data, ALERT), ()).service == service


@pytest.mark.parametrize("data", [{"service": 5}, {"service": "x" * 201}, {"affected_services": [5]}])
def test_a_service_that_is_no_name_is_rejected_rather_than_told_to_all(decode, data):
    assert decode(structured(data, ALERT), ()).reason == "bad_data"


def test_a_command_is_checked_where_its_mistake_can_still_be_said(decode):
    good = {"service": "chatbot", "command": "pause", "args": {}, "actor": "ada", "reason": "maintenance"}
    assert decode(structured(good, COMMAND), ()).service == "chatbot"
    assert decode(structured({**good, "service": "*"}, COMMAND), ()).service == "*"
    bad = decode(structured({**good, "command": "pauze"}, COMMAND), ())
    assert isinstance(bad, Rejected)
    assert bad.reason == "bad_command"
    assert "did you mean 'pause'" in bad.detail


@pytest.mark.parametrize("type_", [ACCEPTED, FAILED, ROLLED_BACK])
def test_outcomes_of_others_are_checked_and_pass(decode, type_):
    assert decode(structured(OUTCOME, type_), ()).service == "chatbot"
    missing = {name: value for name, value in OUTCOME.items() if name != "decision_id"}
    assert decode(structured(missing, type_), ()).detail == "Object missing required field `decision_id`"


@pytest.mark.parametrize(("data", "why"), [(None, "missing_data"), ([1], "not_an_object"), ("text", "not_an_object")])
def test_control_data_is_an_object(decode, data, why):
    assert decode(structured(data, ALERT), ()).reason == why
