"""The body of requirements/004."""

import msgspec
import pytest

from app.adapters.gateways.configuration import ConfigurationUpdate, Deployment, decode, encode, split_of, update_of
from tests.core.splits import split, trial

EXAMPLE = b"""{
  "service_id": "customer-support-bot",
  "configuration": {"model": "claude-3-haiku-20240307", "temperature": "0.7", "max_tokens": "500",
    "system_prompt": "You are a helpful customer support agent...", "routing_strategy": "cost_optimized"},
  "deployment": {"strategy": "canary", "initial_percentage": 5, "progression": [5, 25, 50, 100],
    "progression_interval_minutes": 15, "rollback_on_error_rate": 0.05}
}"""


def test_the_plain_keys_are_the_challengers_and_the_split_is_whole():
    update = update_of(trial(3))
    assert update.service_id == "bot"
    assert update.configuration["model"] == "small-1"
    assert (update.deployment.strategy, update.deployment.initial_percentage) == ("canary", 5)
    assert split_of(update) == trial(3)


def test_without_a_trial_the_plain_keys_are_the_incumbents_as_text():
    update = update_of(split(3))
    assert update.configuration["model"] == "big-1"
    assert update.configuration["temperature"] == "0.7"
    assert update.deployment == Deployment()


def test_it_survives_the_wire():
    assert decode(encode(update_of(trial(3)))) == update_of(trial(3))


def test_the_example_of_the_requirements_is_one_arm_of_version_0():
    plain = split_of(decode(EXAMPLE))
    assert (plain.service, plain.version, plain.incumbent) == ("customer-support-bot", 0, "claude-3-haiku-20240307")
    assert plain.arms[0].parameters["max_tokens"] == "500"
    assert plain.weights == {"*": {"claude-3-haiku-20240307": 1.0}}


@pytest.mark.parametrize(
    ("configuration", "named"),
    [
        ({}, "split"),
        ({"split": "{"}, "configuration.split"),
        ({"split": '{"service": "bot"}'}, "configuration.split"),
        ({"split": update_of(split(1, service="other")).configuration["split"]}, "'other'"),
    ],
)
def test_what_is_wrong_with_a_body_is_named(configuration, named):
    with pytest.raises(ValueError, match=named):
        split_of(ConfigurationUpdate("bot", configuration))


def test_the_body_is_bounded():
    with pytest.raises(msgspec.ValidationError):
        decode(msgspec.json.encode({"service_id": "bot", "configuration": {f"k{n}": "" for n in range(201)}}))
