"""What an open pane counts besides answers: which models answered, and what was paid for in vain."""

from typing import Any

import pytest

from app.core.cell import MAX_MODELS, MAX_PROMPTS, SEPARATOR, Cell, Waste, add_cell
from app.core.events import Response
from app.core.native import Buckets
from app.core.open_pane import Counted


def cell(*answers: dict[str, Any]) -> Cell:
    counted = Counted(Buckets(), compared=False)
    for answer in answers:
        counted.add(Response(service="s", model="m", latency_ms=1.0, **answer))
    return counted.cell()


def test_models_are_a_set_of_pairs_in_order() -> None:
    found = cell(
        {"response_model": "b", "fingerprint": "2"},
        {"response_model": "a"},
        {"response_model": "b", "fingerprint": "2"},
    )
    assert found.models == [f"a{SEPARATOR}", f"b{SEPARATOR}2"]


def test_an_answer_that_names_no_model_changes_nothing() -> None:
    assert cell({"response_model": "a"}, {"status": "error"}, {"response_model": "a"}).models == [f"a{SEPARATOR}"]


def test_models_are_bounded_alike_however_they_are_merged() -> None:
    names = [f"m{i:02}" for i in range(3 * MAX_MODELS)]
    whole = cell(*({"response_model": name} for name in names))
    merged = Cell()
    for part in (names[::2], names[1::2]):
        add_cell(merged, cell(*({"response_model": name} for name in reversed(part))))
    assert merged.models == whole.models == [name + SEPARATOR for name in names[:MAX_MODELS]]


def test_what_was_paid_in_vain_is_summed() -> None:
    found = cell(
        {"cost_usd": 1.0, "retry_of": "r1"},
        {"cost_usd": 2.0, "valid_json": False},
        {"cost_usd": 4.0, "valid_json": True, "max_tokens": 500, "output_tokens": 20},
        {"cost_usd": 8.0, "prompt_hash": "p"},
        {"cost_usd": 16.0, "prompt_hash": "p"},
    )
    assert found.waste == Waste(
        retries=1, retries_usd=1.0, invalid=1, invalid_usd=2.0, limited=1, limits=500, written=20,
        hashed=2, repeats=1, repeats_usd=16.0,
    )  # fmt: skip


def test_ordinary_answers_carry_no_waste() -> None:
    assert cell({}, {"valid_json": True}).waste is None


@pytest.mark.parametrize("times", [1, 3])
def test_waste_adds_up(times: int) -> None:
    total = Cell()
    for _ in range(times):
        add_cell(total, cell({"retry_of": "r", "cost_usd": 0.5}))
    assert total.waste is not None and (total.waste.retries, total.waste.retries_usd) == (times, 0.5 * times)


def test_prompts_remembered_are_bounded() -> None:
    answers = [{"prompt_hash": f"p{i}"} for i in range(2 * MAX_PROMPTS)]
    found = cell(*answers, *answers)
    assert found.waste is not None
    assert (found.waste.hashed, found.waste.repeats) == (4 * MAX_PROMPTS, MAX_PROMPTS)
