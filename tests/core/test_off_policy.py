"""The estimate before a trial: right on average where naive means are not, with intervals that hold; sources are said."""

import math
import random
from statistics import mean
from typing import Any

import msgspec
import numpy as np
import pytest

from app.core.cell import Cell, CellKey, Group, Score
from app.core.decision import Impact
from app.core.document import from_object
from app.core.expected import DOUBLY_ROBUST, INVERSE_PROPENSITY, LEVER, OWN_MEANS, PRICES, expected
from app.core.levers.lever import Candidate
from app.core.off_policy import METRICS, OffPolicy, estimates, learned, session_effect
from app.core.profile import Profile
from app.core.propensity import Shares
from app.core.row import Row

SHARES = {1: Shares(0.0, "big", {"easy": {"big": 0.9, "small": 0.1}, "hard": {"big": 0.5, "small": 0.5}})}


def cell_of(rnd: random.Random, n: int, cost: float, quality: float) -> Cell:
    """Cost grows with the tokens; quality is 0 or 1."""
    cell = Cell(quality={"judge": Score()})
    for _ in range(n):
        tokens = rnd.randrange(100, 2000)
        usd = cost * tokens / 1000 * rnd.uniform(0.9, 1.1)
        log = rnd.gauss(6.0, 0.4)
        score = float(rnd.random() < quality)
        cell.n += 1
        cell.cost_n += 1
        cell.cost_usd += usd
        cell.cost_sq += usd * usd
        cell.input_tokens += tokens
        cell.input_tokens_sq += tokens * tokens
        cell.input_cost += tokens * usd
        cell.log_latency += log
        cell.log_latency_sq += log * log
        judged = cell.quality["judge"]
        judged.n += 1
        judged.total += score
        judged.squares += score * score
    return cell


def world(seed: int, slopes: dict[str, float], panes: int = 12) -> OffPolicy:
    """Hard requests are drawn to small five times as often, and all of them score .4 less: a confounded mean is wrong."""
    rnd, state = random.Random(seed), OffPolicy()
    for _ in range(panes):
        cells: dict[CellKey, Cell] = {}
        for segment, share, quality in (("easy", 0.1, 0.9), ("hard", 0.5, 0.5)):
            small = sum(rnd.random() < share for _ in range(60))
            cells[CellKey("big", segment, "main", 1)] = cell_of(rnd, 60 - small, 0.010, quality)
            cells[CellKey("small", segment, "main", 1)] = cell_of(rnd, small, 0.002, quality - 0.05)
        state = learned(state, "big", cells, SHARES, slopes, "judge", ("big", "small"))
    return state


@pytest.mark.simulation
@pytest.mark.parametrize("slopes", [{}, {"big": 1e-5, "small": 2e-6}, {"big": 3e-5, "small": -1e-5}])
def test_it_is_unbiased_and_its_intervals_hold_whatever_the_regression(slopes: dict[str, float]) -> None:
    found = [estimates(world(seed, slopes), "small") for seed in range(80)]
    for metric, truth in (("quality", -0.05), ("cost", -0.8), ("latency", 0.0)):
        impacts = [one[metric] for one in found]
        held = [i.low <= truth <= i.high for i in impacts if i.low is not None and i.high is not None]
        assert mean(i.estimate for i in impacts) == pytest.approx(truth, abs=0.012), metric
        assert mean(held) >= 0.88, metric  # 95 %, less five standard errors of 80 worlds


@pytest.mark.simulation
def test_a_right_regression_narrows_the_interval_of_cost() -> None:
    plain, robust = (estimates(world(1, slopes), "small")["cost"] for slopes in ({}, {"big": 1e-5, "small": 2e-6}))
    assert robust.high is not None and robust.low is not None and plain.high is not None and plain.low is not None
    assert robust.high - robust.low < 0.5 * (plain.high - plain.low)


def pane(n: int, version: int = 1, arm: str = "small") -> dict[CellKey, Cell]:
    rnd = random.Random(1)
    return {
        CellKey("big", "easy", "main", version): cell_of(rnd, 50, 0.01, 0.9),
        CellKey(arm, "easy", "main", version): cell_of(rnd, n, 0.002, 0.9),
    }


def test_by_hand() -> None:
    cells = {
        CellKey("big", "easy", "main", 1): Cell(n=40, errors=4, cost_n=40, cost_usd=0.4, cost_sq=0.008),
        CellKey("small", "easy", "main", 1): Cell(n=25, errors=5, cost_n=25, cost_usd=0.05, cost_sq=0.0001),
    }
    found = estimates(learned(OffPolicy(), "big", cells, SHARES, {}, "judge", ("big", "small")), "small")
    errors = found["errors"]  # .2 - .1; squares around the means 4 and 3.6, of 24 and 39 degrees of freedom
    assert errors.estimate == pytest.approx(0.1)
    assert errors.high is not None
    assert errors.high - errors.estimate == pytest.approx(1.959964 * (4 / 24 / 25 + 3.6 / 39 / 40) ** 0.5)
    assert found["cost"].estimate == pytest.approx(0.002 / 0.01 - 1)
    assert errors.n == 25 and "quality" not in found


@pytest.mark.parametrize(
    "cells",
    [
        pane(19),
        pane(50, version=2),
        pane(50, arm="tiny"),
        {k: v for k, v in pane(50).items() if k.arm != "big"},
        {k if k.arm == "big" else CellKey("small", "easy", "shadow", 1): v for k, v in pane(50).items()},
    ],
    ids=["few", "version without propensities", "arm without a share", "no incumbent", "shadow"],
)
def test_nothing_is_estimated_from_what_was_not_drawn_beside_the_incumbent(cells: dict[CellKey, Cell]) -> None:
    state = learned(OffPolicy(), "big", cells, SHARES, {}, "judge", ("big", "small", "tiny"))
    assert not estimates(state, "small") and not estimates(state, "tiny")


def test_another_incumbent_begins_anew_and_arms_that_are_gone_are_forgotten() -> None:
    state = learned(OffPolicy(), "big", pane(50), SHARES, {}, "judge", ("big", "small"))
    assert set(state.arms) == {"small"}
    assert not learned(state, "small", {}, SHARES, {}, "judge", ("big", "small")).arms
    assert not learned(state, "big", {}, SHARES, {}, "judge", ("big",)).arms
    assert set(learned(state, "big", {}, SHARES, {}, "judge", ("big", "small")).arms) == {"small"}


def test_every_expectation_says_where_it_comes_from() -> None:
    document = from_object({"service": "chat", "arms": [{"name": "big"}, {"name": "small"}]})
    row = Row(service="chat", document=document, incumbent="big")
    idea = Candidate("small", 0.1, {"cost": Impact(estimate=-0.7), "quality": Impact(estimate=0.0)})
    assert expected(row, idea)[1] == {"cost": PRICES, "quality": LEVER}
    seen: Any = msgspec.structs.replace(
        row, profiles={"small": Profile(n=50, cost_n=50, cost_usd=1, scores=50, quality=40)}
    )
    assert expected(seen, idea)[1] == {"cost": OWN_MEANS, "quality": OWN_MEANS}
    drawn = learned(OffPolicy(), "big", pane(50), SHARES, {"big": 1e-5, "small": 2e-6}, "judge", ("big", "small"))
    impacts, sources = expected(msgspec.structs.replace(row, off_policy=drawn), idea)
    assert sources["cost"] == DOUBLY_ROBUST and sources["quality"] == INVERSE_PROPENSITY
    assert impacts["cost"].low is not None and impacts["cost"].n == 50


def in_sessions(seed: int, panes: int, size: int) -> OffPolicy:
    """An equal arm; the requests of a session share most of their cost and stay on one arm. ``size`` 1: independent."""
    rng, state = np.random.default_rng(seed), OffPolicy()
    shares = {1: Shares(0.0, "big", {"*": {"big": 0.5, "small": 0.5}})}
    for _ in range(panes):
        cells: dict[CellKey, Cell] = {}
        for arm in ("big", "small"):
            cell = cells[CellKey(arm, "*", "main", 1)] = Cell(quality={"judge": Score()})
            for group, shared in zip(rng.integers(64, size=100 // size), rng.normal(size=100 // size), strict=True):
                usd = 0.01 * np.exp(0.5 * shared + 0.1 * rng.normal(size=size))
                own = cell.groups.setdefault(int(group), Group())
                own.n, own.cost = own.n + size, own.cost + float(usd.sum())
                cell.n, cell.cost_n = cell.n + size, cell.cost_n + size
                cell.cost_usd, cell.cost_sq = cell.cost_usd + float(usd.sum()), cell.cost_sq + float((usd**2).sum())
        state = learned(state, "big", cells, shares, {}, "judge", ("big", "small"))
    return state


@pytest.mark.simulation
def test_intervals_are_as_much_wider_as_sessions_tell_less() -> None:
    alone, together = (
        [in_sessions(seed, 20, 1) for seed in range(40)],
        [in_sessions(seed, 20, 10) for seed in range(40)],
    )
    assert mean(session_effect(state, 0) for state in alone) == pytest.approx(1.1, abs=0.25)
    assert 5 < mean(session_effect(state, 0) for state in together) < 12
    for states in (alone, together):
        impacts = [estimates(state, "small")["cost"] for state in states]
        assert mean(i.low <= 0.0 <= i.high for i in impacts if i.low is not None and i.high is not None) >= 0.85


def test_a_few_session_groups_say_nothing_of_their_variance() -> None:
    cell = Cell(n=40, cost_n=40, cost_usd=0.4, cost_sq=0.008, groups={1: Group(n=40, cost=0.4)})
    cells = {CellKey(arm, "easy", "main", 1): cell for arm in ("big", "small")}
    state = learned(OffPolicy(), "big", cells, SHARES, {}, "judge", ("big", "small"))
    assert session_effect(state, METRICS.index("cost")) == math.inf
    assert "cost" not in estimates(state, "small")
