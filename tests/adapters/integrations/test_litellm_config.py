"""A LiteLLM configuration becomes service documents; nothing secret comes along, every fault is named by its place."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.integrations.litellm_config import document, documents, read_deployments
from app.core.document import DocumentError, ServiceDocument, parse_toml, to_toml

EXAMPLE = Path(__file__).parents[3] / "examples" / "litellm-config.yaml"


def made(text: str) -> list[ServiceDocument]:
    return documents(read_deployments(text, "c.yaml"))


def entry(group: str = "chat", model: str = "openai/gpt-4o", info: dict[str, object] | None = None, **params: object):
    return {"model_name": group, "litellm_params": {"model": model, **params}, "model_info": info or {}}


def config(*entries: object) -> str:
    return yaml.safe_dump({"model_list": list(entries)})


def test_the_example_becomes_an_observing_service():
    [found] = made(EXAMPLE.read_text())
    assert (found.service, found.mode, found.gateway, found.incumbent) == ("chat", "observe", "litellm", "gpt-4o-eu")
    assert [(a.name, a.model, a.provider) for a in found.arms] == [
        ("gpt-4o-eu", "gpt-4o", "openai"), ("haiku", "claude-haiku", "anthropic"),
    ]  # fmt: skip
    assert [(p.model, p.input_usd, p.output_usd) for p in found.prices] == [("gpt-4o", 2.5, 10.0)]
    assert parse_toml(to_toml(found)) == found


def test_keys_and_addresses_stay_where_they_are():
    text = to_toml(made(config(entry(api_key="sk-secret", api_base="https://secret.example", top_p=0.5)))[0])
    assert "secret" not in text
    assert "top_p" in text


def test_every_group_is_a_service_or_all_are_one():
    deployments = read_deployments(config(entry("a"), entry("b", "x/small"), entry("a", "x/large")))
    assert [(d.service, d.arm_names) for d in documents(deployments)] == [
        ("a", ("gpt-4o", "large")), ("b", ("small",)),
    ]  # fmt: skip
    assert document("all", deployments).arm_names == ("gpt-4o", "small", "large")


def test_two_deployments_of_one_model_are_two_arms():
    assert made(config(entry(), entry(), entry(info={"id": "eu"})))[0].arm_names == ("gpt-4o", "gpt-4o-2", "eu")


def test_the_heaviest_serves_now():
    assert made(config(entry(rpm=100), entry(model="x/b", rpm=900)))[0].incumbent == "b"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: [", "c.yaml:1: not YAML"),
        ("- 1", "c.yaml: model_list: has no deployments"),
        ("model_list: []", "model_list: has no deployments"),
        ("model_list: [7]", "model_list[0].model_name: is required"),
        ("model_list: [{model_name: a}]", "model_list[0].litellm_params.model: is required"),
        (config(*(entry(model=f"x/{n}") for n in range(17))), "arms"),
        (config(entry(group="*")), "service"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_place(text: str, said: str):
    with pytest.raises(DocumentError, match=said.replace("[", r"\[")):
        made(text)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | values.map(yaml.safe_dump) | st.builds(lambda e: config({**entry(), **e}), st.dictionaries(
    st.sampled_from(["model_name", "litellm_params", "model_info"]), values)))  # fmt: skip
def test_any_text_gives_documents_or_a_named_fault(text: str):
    try:
        assert made(text)
    except DocumentError as error:
        assert str(error)
