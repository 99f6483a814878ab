"""Quality beside the saving: the interval holds the truth, and what is missing is said."""

import math

import msgspec
import numpy as np
import pytest

from app.core.propensity import Shares
from app.core.quality_kept import Judged, Kept, QualityKept, Scores, add_minute, kept

H, W = 0.05, 0.3


def minute(rnd: np.random.Generator, change: float, n: int = 2_000, size: int = 1, rate: float = 0.2) -> list[Judged]:
    """One minute: 30 % moved to "small", whose scores are ``change`` different; sessions of ``size`` share their luck."""
    shares = Shares(H, "big", {"*": {"big": 1 - W, "small": W}})
    held, small = rnd.random(n // size) < H, rnd.random(n // size) < W
    group, luck = rnd.integers(64, size=n // size), 0.15 * rnd.normal(size=n // size)
    small, held = (small & ~held).repeat(size), held.repeat(size)
    group, luck = group.repeat(size), luck.repeat(size)
    score = np.clip(0.7 + change * small + (luck if size > 1 else 0.0) + 0.1 * rnd.normal(size=len(held)), 0, 1)
    scored, parts = rnd.random(len(held)) < rate, list[Judged]()
    for arm, is_held in (("big", False), ("big", True), ("small", False)):
        mine = (held == is_held) & (small == (arm == "small"))
        q, g = score[mine & scored], group[mine & scored]
        sums = np.bincount(g, minlength=64), np.bincount(g, q, 64)
        groups = tuple((i, float(sums[0][i]), float(sums[1][i])) for i in range(64) if sums[0][i])
        scores = Scores(float(len(q)), float(q.sum()), float((q * q).sum()))
        parts.append(Judged(shares, "*", arm, is_held, float(mine.sum()), scores, groups))
    return parts


def run(seed: int, change: float, minutes: int = 20, size: int = 1) -> Kept:
    rnd, state = np.random.default_rng(seed), QualityKept()
    for _ in range(minutes):
        state = add_minute(state, minute(rnd, change, size=size))
    return kept(state, baseline="big", holdout=H, sessions=size > 1)


@pytest.mark.simulation
@pytest.mark.parametrize("size", [1, 10])
def test_the_interval_holds_the_true_change(size: int) -> None:
    ends = [run(seed, -0.05, size=size) for seed in range(20)]
    assert sum(e.low is not None and e.high is not None and e.low <= W * -0.05 <= e.high for e in ends) >= 19
    assert float(np.mean([e.change for e in ends])) == pytest.approx(W * -0.05, abs=0.005)


@pytest.mark.simulation
def test_a_loss_beyond_the_margin_is_never_called_non_inferior_and_none_soon_is() -> None:
    assert not any(run(seed, -0.02 / W).non_inferior for seed in range(20))
    assert all(run(seed, 0.0).non_inferior for seed in range(20))


def test_before_enough_scores_it_says_what_lacks() -> None:
    assert "no scored" in kept(QualityKept(), baseline="big", holdout=H, sessions=False).why_not
    assert "no holdout" in kept(QualityKept(n=9.0, scored=9.0), baseline="big", holdout=0.0, sessions=False).why_not
    assert "of 100 scored holdout answers" in run(1, 0.0, minutes=1).why_not


def test_sessions_whose_scores_have_no_group_carry_no_claim() -> None:
    state, rnd = QualityKept(), np.random.default_rng(1)
    for _ in range(3):
        state = add_minute(state, [msgspec.structs.replace(one, groups=()) for one in minute(rnd, 0.0)])
    assert not kept(state, baseline="big", holdout=H, sessions=True).non_inferior
    assert kept(state, baseline="big", holdout=H, sessions=True).low is None


def test_before_any_change_the_change_is_nothing() -> None:
    shares = Shares(H, "big", {"*": {"big": 1.0}})
    one = Judged(shares, "*", "big", False, 100.0, Scores(50.0, 40.0, 35.0))
    state = add_minute(
        QualityKept(), [one, msgspec.structs.replace(one, held=True, requests=5.0, scores=Scores(2.0, 1.0, 1.0))]
    )
    assert state.z == pytest.approx(0.0, abs=1e-12)
    assert math.isfinite(state.zz)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=QualityKept)
    assert add_minute(again, [one]) == add_minute(state, [one])
