"""Savings against the holdout: unbiased, honest about what is not proven, the same in pieces as at once."""

import msgspec
import numpy as np
import pytest

from app.core.cell import Cell, Group
from app.core.propensity import Shares
from app.core.savings import Answered, InGroup, Moments, Savings, add_minute, estimate, groups_of, moments_of

pytestmark = pytest.mark.simulation

H = 0.05


def minute(rnd: np.random.Generator, weights: dict[str, float], cost: dict[str, float], n: int = 120) -> list[Answered]:
    """One minute of traffic under ``weights`` outside a holdout on arm "big"; cost grows with the prompt, lognormal noise."""
    shares = Shares(H, "big", {"*": weights})
    arms = sorted(weights)
    held = rnd.random(n) < H
    drawn = np.where(held, "big", rnd.choice(arms, n, p=[weights[a] for a in arms]))
    x = rnd.lognormal(6, 0.7, n).round()
    y = np.array([cost[a] for a in drawn]) * x / 500 * rnd.lognormal(0, 0.8, n)
    parts = []
    for arm in arms:
        both = [_moments(x[mine], y[mine]) for mine in ((drawn == arm) & ~held, (drawn == arm) & held)]
        parts.append(Answered(shares, "*", arm, both[0], both[1]))
    return parts


def _moments(x: "np.ndarray", y: "np.ndarray") -> Moments:
    return Moments(*map(float, (len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum())))


def run(seed: int, weights: dict[str, float], cost: dict[str, float], minutes: int = 120) -> Savings:
    rnd, savings = np.random.default_rng(seed), Savings()
    for _ in range(minutes):
        savings = add_minute(savings, minute(rnd, weights, cost))
    return savings


MEAN_X = float(np.exp(6 + 0.7**2 / 2)) / 500 * float(np.exp(0.8**2 / 2))


def test_the_interval_holds_the_true_saving_in_nearly_every_run() -> None:
    weights, cost = {"big": 0.2, "small": 0.8}, {"big": 0.01, "small": 0.004}
    truth = 0.8 * 0.006 * MEAN_X
    ends = [estimate(run(seed, weights, cost), baseline="big", holdout=H, sticky=False) for seed in range(40)]
    assert sum(e.low is not None and e.high is not None and e.low <= truth <= e.high for e in ends) >= 38
    assert abs(float(np.mean([e.saving for e in ends])) / truth - 1) < 0.05
    assert all(e.proven for e in ends)


@pytest.mark.parametrize("small", [0.01, 0.0105])
def test_no_saving_is_not_called_proven(small: float) -> None:
    weights, cost = {"big": 0.3, "small": 0.7}, {"big": 0.01, "small": small}
    assert not any(
        estimate(run(seed, weights, cost, 60), baseline="big", holdout=H, sticky=False).proven for seed in range(30)
    )


def test_before_the_burn_in_nothing_is_proven_and_it_says_so() -> None:
    early = estimate(
        run(1, {"big": 0.2, "small": 0.8}, {"big": 0.1, "small": 0.001}, 5), baseline="big", holdout=H, sticky=False
    )
    assert not early.proven
    assert "of 100 holdout requests" in early.why_not


def sticky_run(seed: int, weights: dict[str, float], cost: dict[str, float], size: int = 20) -> Savings:
    """60 minutes of sessions of ``size`` requests that share their arm, their prompt and half of their noise."""
    rnd, savings, shares = np.random.default_rng(seed), Savings(), Shares(H, "big", {"*": weights})
    arms = sorted(weights)
    for _ in range(60):
        sessions = 1200 // size
        held = rnd.random(sessions) < H
        drawn = np.where(held, "big", rnd.choice(arms, sessions, p=[weights[a] for a in arms]))
        group, x, shared = (
            rnd.integers(64, size=sessions),
            rnd.lognormal(6, 0.7, sessions).round(),
            rnd.normal(size=sessions),
        )
        held, drawn, group = held.repeat(size), drawn.repeat(size), group.repeat(size)
        x, shared = x.repeat(size), shared.repeat(size)
        noise = np.exp(0.8 * (shared + rnd.normal(size=len(x))) / 2**0.5)
        y = np.array([cost[a] for a in drawn]) * x / 500 * noise
        parts = []
        for arm in arms:
            masks = [(drawn == arm) & ~held, (drawn == arm) & held]
            rest, kept = (_moments(x[m], y[m]) for m in masks)
            parts.append(Answered(shares, "*", arm, rest, kept, *(_grouped(group[m], x[m], y[m]) for m in masks)))
        savings = add_minute(savings, parts)
        savings = msgspec.structs.replace(savings, in_session=savings.in_session + len(x))
    return savings


def _grouped(group: "np.ndarray", x: "np.ndarray", y: "np.ndarray") -> tuple[InGroup, ...]:
    sums = [np.bincount(group, values, 64) for values in (None, x, y)]
    return tuple((g, float(sums[0][g]), float(sums[1][g]), float(sums[2][g])) for g in range(64) if sums[0][g])


def test_sticky_sessions_are_counted_by_what_they_tell() -> None:
    weights, cost = {"big": 0.3, "small": 0.7}, {"big": 0.01, "small": 0.005}
    truth = 0.7 * 0.005 * MEAN_X
    ends = [estimate(sticky_run(seed, weights, cost), baseline="big", holdout=H, sticky=True) for seed in range(12)]
    assert all(e.session_effect is not None and 4 < e.session_effect < 20 for e in ends)
    assert sum(e.low is not None and e.high is not None and e.low <= truth <= e.high for e in ends) >= 11
    assert all(e.proven for e in ends)


def test_sticky_sessions_without_a_saving_are_not_called_proven() -> None:
    weights, cost = {"big": 0.3, "small": 0.7}, {"big": 0.01, "small": 0.01}
    ends = [sticky_run(seed, weights, cost) for seed in range(100, 112)]
    assert not any(estimate(end, baseline="big", holdout=H, sticky=True).proven for end in ends)


def test_sessions_without_groups_are_not_called_proven() -> None:
    savings = msgspec.structs.replace(run(1, {"big": 0.2, "small": 0.8}, {"big": 0.01, "small": 0.001}), in_session=7)
    ungrouped = estimate(savings, baseline="big", holdout=H, sticky=True)
    assert not ungrouped.proven
    assert "session_group" in ungrouped.why_not
    assert estimate(savings, baseline="big", holdout=H, sticky=False).proven


def test_traffic_that_all_goes_to_the_baseline_saves_nothing() -> None:
    assert estimate(
        run(3, {"big": 1.0, "small": 0.0}, {"big": 0.01, "small": 0.001}), baseline="big", holdout=H, sticky=False
    ).saving == pytest.approx(0, abs=1e-4)


def test_the_state_survives_its_changelog() -> None:
    savings = run(2, {"big": 0.5, "small": 0.5}, {"big": 0.01, "small": 0.002}, 10)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(savings), type=Savings)
    more = minute(np.random.default_rng(9), {"big": 0.5, "small": 0.5}, {"big": 0.01, "small": 0.002})
    assert add_minute(again, more) == add_minute(savings, more)


def test_nothing_and_no_holdout_are_answered_without_a_number_that_means_something() -> None:
    assert "no costed requests" in estimate(Savings(), baseline="big", holdout=H, sticky=False).why_not
    assert "no holdout" in estimate(Savings(n=50.0), baseline="big", holdout=0.0, sticky=False).why_not


def test_a_cell_with_requests_of_unknown_cost_is_left_out_whole() -> None:
    assert moments_of(Cell(n=3, cost_n=2, cost_usd=1.0)) == Moments()


def test_groups_are_those_of_sessions_alone() -> None:
    cell = Cell(
        n=3,
        in_session=2,
        groups={9: Group(n=1, cost=0.5, input_tokens=7), 4: Group(n=1, cost=0.25), 5: Group(scores=1)},
    )
    assert groups_of(cell) == ((4, 1.0, 0.0, 0.25), (9, 1.0, 7.0, 0.5))
    cell.in_session = 0
    assert groups_of(cell) == ()


def test_a_segment_a_version_does_not_name_has_the_shares_of_all_traffic() -> None:
    shares = Shares(H, "big", {"*": {"big": 0.2, "small": 0.8}, "x": {"big": 1.0}})
    assert shares.probability("y", "small") == pytest.approx(0.95 * 0.8)
    assert shares.probability("x", "small") == 0.0
    assert shares.probability("x", "big") == pytest.approx(1.0)
