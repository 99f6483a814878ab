"""The seven generators: pure, harmless to code, quotations and placeholders, and finished after one turn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.document import VARIANTS, PromptPlan
from app.core.levers.prompt_variants import GENERATORS

PLAN = PromptPlan(
    text="x",
    examples=("Q: 2 + 2? A: 4",),
    schema={"type": "object", "properties": {"answer": {"type": "string"}}},
    rules=("Never promise a refund.",),
)
BARE = PromptPlan(text="x")
BASE = (
    "You are a support agent. Please make sure that you utilize a friendly tone. "
    'Quote prices as "please  note". Use {customer} and `make sure that`. You are a support agent.\n'
)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("redundancy_removal", 'You are a support agent. Please make sure that you utilize a friendly tone. Quote prices as "please  note". Use {customer} and `make sure that`.'),
        ("compression", 'You are a support agent. Ensure you utilize a friendly tone. Quote prices as "please  note". Use {customer} and `make sure that`. You are a support agent.'),
        ("simpler_language", BASE.replace("utilize", "use")),
        ("constraints", BASE.rstrip() + "\n\nKeep to these rules:\n- Never promise a refund."),
        ("few_shot", BASE.rstrip() + "\n\nExamples:\nQ: 2 + 2? A: 4"),
    ],
)  # fmt: skip
def test_what_each_writes(name, written):
    assert GENERATORS[name](BASE, PLAN) == written


def test_the_schema_is_stated_and_steps_are_asked_for():
    assert '"properties":{"answer":{"type":"string"}}' in GENERATORS["structured_output"](BASE, PLAN)
    assert GENERATORS["chain_of_thought"](BASE, PLAN).endswith("Answer:")


@pytest.mark.parametrize("name", ["structured_output", "constraints", "few_shot"])
def test_without_material_there_is_no_variant(name):
    assert GENERATORS[name](BASE, BARE) == BASE


@pytest.mark.parametrize("name", VARIANTS)
@given(text=st.text(alphabet='ab. \n"`{}!please', max_size=80))
def test_any_text_is_survived_and_a_second_turn_adds_nothing_twice(name, text):
    once = GENERATORS[name](text, PLAN)
    assert isinstance(once, str)
    if name in ("constraints", "few_shot", "chain_of_thought"):
        assert GENERATORS[name](once, PLAN) == once


def test_every_generator_of_the_document_exists():
    assert set(GENERATORS) == set(VARIANTS)
