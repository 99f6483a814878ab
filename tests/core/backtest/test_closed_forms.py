"""Back-tests against what can be worked out by hand: rewards, regret, the three estimates of a log and their intervals."""

from collections.abc import Mapping

import numpy as np
import pytest

from app.core.backtest.ope import estimates
from app.core.backtest.play import Played
from app.core.backtest.score import scored
from app.core.backtest.table import Table, TableError, objective_of, read, unread


def table(*rows: str, header: str = "q_a,cost_a,q_b,cost_b") -> Table:
    names = header.split(",")
    filled = [dict(zip(names, row.split(","), strict=False)) for row in rows]
    return read(names, ((f"line {i + 2}", row) for i, row in enumerate(filled)))


def always(table: Table, *arms: int) -> Played:
    return Played(np.arange(table.requests), np.array(arms))


def test_rewards_and_regret_of_a_full_table() -> None:
    full = table("1,0.1,0,0.2", "0,0.1,1,0.2")  # reward = 2/3 q + 1/3 (1 - c / .2)
    found = scored("hand", full, objective_of(full, cost_max_usd=0.2), always(full, 0, 1), None)
    assert found.reward_mean == pytest.approx(((2 / 3 + 1 / 6) + 2 / 3) / 2)  # .75
    assert found.best_fixed.reward_mean == pytest.approx(0.5)  # a: (5/6 + 1/6) / 2; b: 1/3
    assert found.best_fixed.arm == "a"
    assert found.random_reward_mean == pytest.approx((0.5 + 1 / 3) / 2)
    assert found.normalised_regret == pytest.approx((0.5 - 0.75) / (0.5 - 5 / 12))
    assert found.cost_usd == pytest.approx(0.3)


def test_the_three_estimates_of_a_log_by_hand() -> None:
    header = "q_a,cost_a,q_b,cost_b,propensity"
    log = table("1,1,,,0.5", ",,0.5,1,0.5", "0,1,,,0.25", "1,1,,,0.25", header=header)
    found = estimates(log, log.quality, always(log, 0, 0, 0, 0))
    assert found.replay.value == pytest.approx(2 / 3)
    assert found.replay.n == 3
    weights, values = np.array([2.0, 4.0, 4.0]), np.array([1.0, 0.0, 1.0])
    mean = (weights * values).sum() / weights.sum()
    assert found.inverse_propensity.value == pytest.approx(mean)  # .6
    error = np.sqrt(np.square(weights * (values - mean)).sum()) / weights.sum()
    assert found.inverse_propensity.high == pytest.approx(mean + 1.959964 * error)
    # the model of a before each row: 0 (nothing known), 1, 7/8, and so on: (total + anything) / (n + 1)
    model = [0.0, (1 + 1) / 2, (1 + 0.75) / 2, (1 + 0.5) / 3]
    terms = np.array(
        [model[0] + (1 - model[0]) / 0.5, model[1], model[2] + (0 - model[2]) / 0.25, model[3] + (1 - model[3]) / 0.25]
    )
    assert found.doubly_robust.value == pytest.approx(terms.mean())
    assert found.doubly_robust.low == pytest.approx(terms.mean() - 1.959964 * terms.std(ddof=1) / 2)


def test_ties_have_no_regret_and_one_arm_is_the_best_there_is() -> None:
    for full in (table("1,0.1,1,0.1", "0,0.1,0,0.1"), table("1,0.1", "0,0.1", header="q_a,cost_a")):
        found = scored("hand", full, objective_of(full), always(full, 0, 0), None)
        assert (found.regret, found.normalised_regret) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("q_a,cost_a,q_b,cost_b", "nan,0.1,1,0.1", "line 2, q_a: nan is not between 0 and 1"),
        ("q_a,cost_a,q_b,cost_b", "inf,0.1,1,0.1", "line 2, q_a: inf is not between 0 and 1"),
        ("q_a,cost_a,q_b,cost_b", "1,nan,1,0.1", "line 2, cost_a: nan is not between"),
        ("q_a,cost_a,q_b,cost_b", "1,,1,0.1", "line 2, cost_a: empty, though the arm was called"),
        ("q_a,cost_a,q_b,cost_b", ",,,", "line 2: no arm was called"),
        ("q_a,cost_a,propensity", "1,0.1,", "line 2, propensity: empty; every request needs one"),
        ("q_a,cost_a,propensity", "1,0.1,0", "line 2, propensity: 0 is not between 1e-06 and 1"),
        ("q_a,cost_b", "1,0.1", "line 1: the column cost_a is missing"),
        ("quality,cost", "1,0.1", "line 1: no column q_<arm>"),
    ],
)
def test_an_odd_table_is_refused_with_its_place(header: str, row: str, said: str) -> None:
    with pytest.raises(TableError) as caught:
        table(row, header=header)
    assert said in str(caught.value)


def test_a_row_that_is_longer_than_the_header_has_slipped() -> None:
    row: Mapping[str, str | None] = {"q_a": "1", "cost_a": "0.1", None: ["9", "9"]}  # type: ignore[dict-item]  # as the csv module has it
    with pytest.raises(TableError, match="line 7: 2 values more than the header has columns"):
        read(["q_a", "cost_a"], [("line 7", row)])
    assert read(["q_a", "cost_a"], [("line 7", {**row, None: [""]})]).requests == 1  # type: ignore[dict-item]  # as above


def test_columns_of_no_arm_are_named() -> None:
    assert unread(["q_a", "cost_a", "cost_b", "latency_ms_c", "note"]) == ["cost_b", "latency_ms_c"]
