"""Prices: what unpriced requests cost, exactly as if each had been priced alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.cell import Cell, Unpriced
from app.core.document import from_object
from app.core.prices import PriceBook, TokenPrice, cost_moments, costs, input_cost

JUNE_1 = 1_780_272_000
HOURLY = [
    {"model": "gpt", "input_usd": 3, "output_usd": 12, "valid_from": "2026-06-01T00:00:00Z"},
    {"model": "gpt", "input_usd": 2.5, "output_usd": 10, "cached_usd": 1.25},
    {"model": "haiku", "input_usd": 1, "output_usd": 5, "valid_from": "2026-06-01T00:00:00Z"},
]


def a_book() -> PriceBook:
    return PriceBook(from_object({"service": "s", "arms": [{"name": "large", "model": "gpt"}], "prices": HOURLY}))


def moments(requests: list[tuple[int, int, int]]) -> Unpriced:
    sums = Unpriced(n=len(requests))
    for i, o, c in requests:
        sums.input, sums.output, sums.cached = sums.input + i, sums.output + o, sums.cached + c
        sums.input_sq, sums.output_sq, sums.cached_sq = (
            sums.input_sq + i * i,
            sums.output_sq + o * o,
            sums.cached_sq + c * c,
        )
        sums.input_output, sums.input_cached = sums.input_output + i * o, sums.input_cached + i * c
        sums.output_cached += o * c
    return sums


def test_a_price_holds_from_its_moment_until_the_next() -> None:
    book = a_book()
    before, after = book.of_model("gpt", JUNE_1 - 1), book.of_model("gpt", JUNE_1)
    assert before is not None
    assert after is not None
    assert (before.input, after.input) == (2.5e-6, 3e-6)


def test_before_the_first_price_and_for_an_unknown_model_there_is_none() -> None:
    assert a_book().of_model("haiku", JUNE_1 - 60) is None
    assert a_book().of_model("mistral", JUNE_1) is None


def test_an_arm_costs_what_its_model_costs_and_an_undeclared_arm_is_its_own_model() -> None:
    book = a_book()
    assert book.of_arm("large", 0) == book.of_model("gpt", 0)
    assert book.of_arm("haiku", JUNE_1) == book.of_model("haiku", JUNE_1)


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_price() -> None:
    price = a_book().of_model("gpt", 0)
    assert price is not None
    assert price.cost(1_000_000, 0, 400_000) == pytest.approx(0.6 * 2.5 + 0.4 * 1.25)


def test_without_a_cached_price_cached_tokens_cost_what_the_others_do() -> None:
    price = a_book().of_model("haiku", JUNE_1)
    assert price is not None
    assert price.cost(1000, 10, 900) == pytest.approx(price.cost(1000, 10, 0))


token_counts = st.tuples(st.integers(0, 200_000), st.integers(0, 20_000), st.integers(0, 200_000)).map(
    lambda t: (max(t[0], t[2]), t[1], t[2])
)
per_token = st.floats(1e-8, 1e-4)


@given(st.lists(token_counts, max_size=20), per_token, per_token, per_token)
def test_the_moments_give_the_sums_over_the_single_requests(
    requests: list[tuple[int, int, int]], a: float, b: float, c: float
) -> None:
    price = TokenPrice(a, b, c)
    single = [price.cost(*request) for request in requests]
    total, squares = cost_moments(moments(requests), price)
    scale = max(a, b, c)
    assert total == pytest.approx(math.fsum(single), rel=1e-9, abs=scale * 1e-6)
    assert squares == pytest.approx(math.fsum(x * x for x in single), rel=1e-7, abs=scale**2 * 1e-3)
    crossed = math.fsum(i * x for (i, _, _), x in zip(requests, single, strict=True))
    assert input_cost(moments(requests), price) == pytest.approx(crossed, rel=1e-7, abs=scale)


def test_rounding_never_makes_a_sum_of_squares_negative() -> None:
    sums = moments([(10**9, 0, 10**9)] * 3)
    assert cost_moments(sums, TokenPrice(1e-6, 0, 0))[1] >= 0


def test_a_cell_adds_the_priced_rest_to_the_costs_that_came() -> None:
    rest = moments([(1000, 100, 0), (2000, 50, 0)])
    cell = Cell(n=3, cost_n=1, cost_usd=0.5, cost_sq=0.25, input_cost=100.0, unpriced=rest)
    price = TokenPrice(1e-6, 1e-5, 1e-6)
    found = costs(cell, price)
    assert (found.n, found.unknown) == (3, 0)
    assert found.total == pytest.approx(0.5 + price.cost(1000, 100) + price.cost(2000, 50))
    assert found.squares == pytest.approx(0.25 + price.cost(1000, 100) ** 2 + price.cost(2000, 50) ** 2)
    assert found.input_cost == pytest.approx(100 + 1000 * price.cost(1000, 100) + 2000 * price.cost(2000, 50))


def test_without_a_price_the_rest_is_unknown_and_in_no_sum() -> None:
    cell = Cell(n=3, cost_n=1, cost_usd=0.5, cost_sq=0.25, unpriced=moments([(1, 1, 0), (2, 2, 0)]))
    found = costs(cell, None)
    assert (found.n, found.total, found.unknown) == (1, 0.5, 2)


def test_a_cell_that_is_fully_priced_needs_no_book() -> None:
    assert costs(Cell(n=2, cost_n=2, cost_usd=0.5, cost_sq=0.2), None).unknown == 0
