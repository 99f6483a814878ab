"""A split as an endpoint of MLflow, and back."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.gateways import mlflow_endpoint as endpoints
from app.adapters.gateways.mlflow_endpoint import Endpoint, Kept, ModelDefinition, ModelMapping, Tag
from app.core.ports import Refused
from app.core.split import ArmDefinition, Split
from tests.core.splits import split, trial

BIG = ModelDefinition("d-1", "big", "openai", "big-1")
SMALL = ModelDefinition("d-2", "small", "openai", "small-1")
DEFINITIONS = {"big": BIG, "small": SMALL}
MODELS = {"big": "openai/big-1", "small": "openai/small-1"}


def endpoint(one: Split, *, by: str = "llm-optimizer/x/y", **changes: Any) -> Endpoint:
    """As MLflow says it after an update with ``one``."""
    by_id = {definition.model_definition_id: definition for definition in DEFINITIONS.values()}
    configs: list[dict[str, Any]] = endpoints.configs_of(one, DEFINITIONS, None)
    mappings = tuple(
        ModelMapping(f"m-{n}", config["model_definition_id"], by_id[config["model_definition_id"]], config["weight"])
        for n, config in enumerate(configs)
    )
    fields = {"model_mappings": mappings, "routing_strategy": endpoints.TRAFFIC_SPLIT, "last_updated_by": by}
    return Endpoint("e-1", "bot", **{**fields, **changes})


def test_a_trial_gives_its_arm_its_share_and_the_rest_to_the_others():
    assert endpoints.arm_shares(trial(1)) == pytest.approx({"small": 0.05, "big": 0.95})


@pytest.mark.parametrize(("service", "name"), [("bot", "bot"), ("a.b_c-D9", "a.b_c-D9")])
def test_a_service_is_the_endpoint_of_its_name(service, name):
    assert endpoints.endpoint_name(service) == name


def test_services_mlflow_has_no_name_for_get_one_each():
    names = {endpoints.endpoint_name(service) for service in ("a b", "a/b", "a?b", "ü", "a-b")}
    assert len(names) == 5
    assert all(name.isascii() and not set(name) & set(" /?") for name in names)


@given(st.integers(min_value=0, max_value=100_000))
def test_shares_survive_the_cut_to_whole_numbers(points):
    share = points / 100_000
    one = split(1, weights={"*": {"big": 1 - share, "small": share}})
    assert endpoints.in_force(endpoint(one), Kept(one, MODELS)) == one


def test_other_weights_than_the_splits_own_were_set_by_hand():
    one = trial(2)
    other = endpoint(split(1, weights={"*": {"big": 0.5, "small": 0.5}}))
    found = endpoints.in_force(other, Kept(one, MODELS))
    assert (found.version, found.trial) == (2, None)
    assert found.weights["*"] == pytest.approx({"big": 0.5, "small": 0.5}, abs=1e-4)


def test_a_model_nobody_knows_is_named_in_what_was_changed_by_hand():
    stranger = ModelMapping("m-9", "d-9", ModelDefinition("d-9", "stranger", "openai", "stranger-1"), 1.0)
    found = endpoints.in_force(endpoint(split(1), model_mappings=(stranger,)), Kept(split(1), MODELS))
    assert found.weights == {"*": {"stranger": 1.0}}


def test_without_a_traffic_split_mlflow_serves_the_first_model_alone():
    one = split(1, weights={"*": {"big": 0.5, "small": 0.5}})
    assert endpoints.model_shares(endpoint(one, routing_strategy="")) == {"big": 1.0}


def test_an_arm_is_the_definition_of_its_name_else_the_only_one_of_its_model():
    other = ModelDefinition("d-3", "whatever", "openai", "small-1")
    both = split(1, weights={"*": {"big": 0.5, "small": 0.5}})
    assert endpoints.definitions_of(both, [BIG, other]) == {"big": BIG, "small": other}
    assert endpoints.definitions_of(both, [BIG, SMALL, other]) == {"big": BIG, "small": SMALL}


@pytest.mark.parametrize(
    ("there", "complaint"),
    [
        ([BIG], r"arms\[small\]: MLflow has none of its model definitions for it: name one 'small'"),
        ([BIG, *(ModelDefinition(f"d-{n}", f"s{n}", "openai", "small-1") for n in (3, 4))], r"2 \(s3, s4\)"),
    ],
)
def test_an_arm_without_its_model_is_refused_with_what_to_do(there, complaint):
    with pytest.raises(Refused, match=complaint):
        endpoints.definitions_of(trial(1), there)


def test_two_arms_that_are_one_model_there_cannot_be_told_apart():
    arms = (ArmDefinition(name="big", model="m"), ArmDefinition(name="small", model="m"))
    with pytest.raises(Refused, match="are the same model definition"):
        endpoints.definitions_of(trial(1, arms=arms), [ModelDefinition("d-1", "other", "openai", "m")])


def test_arms_that_get_no_traffic_need_no_model():
    assert endpoints.definitions_of(split(1), [BIG]) == {"big": BIG}


def test_fallbacks_that_are_there_stay():
    fallback = ModelMapping("m-7", "d-7", None, 1.0, "FALLBACK", 2)
    held = msgspec.structs.replace(endpoint(split(1)), model_mappings=(*endpoint(split(1)).model_mappings, fallback))
    kept = endpoints.configs_of(trial(2), DEFINITIONS, held)[-1]
    assert kept == {"model_definition_id": "d-7", "linkage_type": "FALLBACK", "weight": 1.0, "fallback_order": 2}
    assert endpoints.model_shares(held) == {"big": 1.0}


@pytest.mark.parametrize("size", [0, 20_000])
def test_a_split_of_any_size_is_kept_in_tags_that_fit(size):
    kept = Kept(split(1, score_rates={"x" * size: 0.5}), MODELS)
    tags = endpoints.tags_of(kept, "id")
    assert max(len(tag.value) for tag in tags) <= endpoints.CHUNK
    assert endpoints.kept_in(endpoint(split(1), tags=(*reversed(tags), Tag("other", "x")))) == {"id": kept}


def test_a_split_kept_by_halves_or_unreadable_is_not_there():
    tags = endpoints.tags_of(Kept(split(1, score_rates={"x" * 9_000: 0.5}), MODELS), "id")
    for some in (tags[1:], [*tags[:-1], Tag(tags[-1].key, "{")], [Tag("llm-optimizer.split.a.b.c", "{}")]):
        assert endpoints.kept_in(endpoint(split(1), tags=tuple(some))) == {}


def test_who_wrote_last_is_read_back():
    assert endpoints.referred(endpoint(split(1), by=endpoints.reference("id", "key")))[0] == "id"
    assert endpoints.referred(endpoint(split(1), by="somebody")) == ("", "")


def test_an_etag_names_the_mappings_in_any_order():
    one = endpoint(trial(1))
    turned = msgspec.structs.replace(one, model_mappings=one.model_mappings[::-1])
    renewed = msgspec.structs.replace(one, model_mappings=(ModelMapping("m-8", "d-1", BIG, 1.0),))
    assert turned.etag == one.etag != renewed.etag
