import numpy as np
import pytest

from app.core.backtest.table import TableError, objective_of, read, rewards

HEADER = ("q_a", "cost_a", "q_b", "cost_b")


def rows(*cells: tuple[str, ...], header=HEADER):
    return [(f"line {i + 2}", dict(zip(header, row, strict=True))) for i, row in enumerate(cells)]


def test_a_full_table_holds_every_answer():
    table = read(HEADER, rows(("1", "0.002", "0.5", "0.001"), ("0", "0.004", "1", "0.001")))
    assert table.arms == ("a", "b")
    assert not table.logged
    assert table.latency is None and table.prompts is None and table.propensity is None
    assert table.quality.tolist() == [[1.0, 0.5], [0.0, 1.0]]
    assert table.segments == ("*",)


def test_an_empty_quality_means_not_called_whatever_else_the_row_says():
    table = read(HEADER, rows(("1", "0.002", " ", "0.001"), ("", "", "1", "0.001")))
    assert table.logged
    assert table.called.tolist() == [[True, False], [False, True]]
    assert np.isnan(table.cost[0, 1])


def test_optional_columns_are_read():
    header = (*HEADER, "latency_ms_a", "latency_ms_b", "segment", "prompt", "in_tokens")
    table = read(header, rows(("1", "1", "1", "1", "10", "20", "maths", "2+2?", "7"), header=header))
    assert table.latency is not None and table.latency.tolist() == [[10.0, 20.0]]
    assert table.segments == ("maths",)
    assert table.prompts == ("2+2?",)
    assert table.in_tokens is not None and table.in_tokens.tolist() == [7.0]


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (("x",), ("1",), "no column q_<arm>"),
        (("q_a",), ("1",), "the column cost_a is missing"),
        ((*HEADER, "latency_ms_a"), ("1", "1", "1", "1", "1"), "latency_ms_b is missing"),
        (("q_a", "cost_a", "q_a", "cost_b"), ("1", "1", "1", "1"), "each arm once"),
        (HEADER, ("1.5", "1", "1", "1"), "line 2, q_a: 1.5 is not between 0 and 1"),
        (HEADER, ("nan", "1", "1", "1"), "line 2, q_a: nan is not between"),
        (HEADER, ("good", "1", "1", "1"), "line 2, q_a: 'good' is no number"),
        (HEADER, ("1", "-1", "1", "1"), "line 2, cost_a: -1 is not between"),
        (HEADER, ("1", "", "1", "1"), "line 2, cost_a: empty, though the arm was called"),
        (HEADER, ("", "", "", ""), "line 2: no arm was called"),
        (HEADER, ("1", "1", "", ""), "q_b: the arm was never called"),
    ],
)
def test_what_cannot_be_read_is_named(header, row, said):
    with pytest.raises(TableError, match=r".*" + said.replace("(", r"\(")):
        read(header, [("line 2", dict(zip(header, row, strict=True)))])


def test_a_table_without_rows_says_so():
    with pytest.raises(TableError, match="no rows"):
        read(HEADER, [])


def test_the_dearest_arms_99th_percentile_earns_nothing_for_cost():
    cells = [("1", str(i), "1", "0.5") for i in range(101)]
    objective = objective_of(read(HEADER, rows(*cells)))
    assert objective.cost_max_usd == pytest.approx(99)
    assert (objective.quality, objective.cost, objective.latency) == pytest.approx((2 / 3, 1 / 3, 0))
    assert objective_of(read(HEADER, rows(*cells)), 50.0).cost_max_usd == 50.0


def test_the_reward_of_the_means_is_the_mean_of_the_rewards():
    header = (*HEADER, "latency_ms_a", "latency_ms_b")
    table = read(header, rows(("1", "1", "1", "1", "10", "20"), ("0", "3", "1", "1", "30", "20"), header=header))
    objective = objective_of(table, 4.0, 100.0)
    expected = 0.6 * 0.5 + 0.3 * (1 - 2 / 4) + 0.1 * (1 - 20 / 100)
    assert rewards(table, objective).mean(axis=0)[0] == pytest.approx(expected)


def test_free_answers_do_not_divide_by_nothing():
    objective = objective_of(read(HEADER, rows(("1", "0", "1", "0"))))
    assert objective.cost_max_usd == 1.0
