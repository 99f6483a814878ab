"""Minute weights: the best arm wins soon, a degraded one is left, nothing happens without a reason."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cell import Cell, Score
from app.core.stats.reward import Objective
from app.core.weights import (
    CAP,
    FLOOR_TOTAL,
    HYSTERESIS,
    Mix,
    reset_if_changed,
    reweighed,
    update,
    weights_of,
    with_arms,
)

pytestmark = pytest.mark.simulation

OBJECTIVE = Objective(quality=0.7, cost=0.3, latency=0.0, cost_max_usd=0.02)
ARMS = ("a", "b", "c", "d")
Levels = dict[tuple[str, str], float]


def cell(rng: np.random.Generator, n: int, quality: float, cost: float = 0.004) -> Cell:
    good, costs = float(rng.binomial(n, quality)), rng.gamma(2, cost / 2, n)
    return Cell(
        n=n, latency_ms=500.0 * n, log_latency=6.2 * n, log_latency_sq=(6.2**2 + 0.1) * n, cost_n=n,
        cost_usd=float(costs.sum()), cost_sq=float((costs * costs).sum()), quality={"judge": Score(n, good, good)},
    )  # fmt: skip


class Service:
    """A service under minute weights: ``play`` serves minutes and returns the share of the best arm in the last one."""

    def __init__(self, levels: Levels, seed: int, incumbent: str = "", rate: int = 100) -> None:
        self.levels, self.rate, self.rng = levels, rate, np.random.default_rng(seed)
        self.segments = tuple(sorted({segment for _, segment in levels}))
        self.mix = with_arms(Mix(), tuple(sorted({arm for arm, _ in levels})), self.segments, incumbent)
        self.minute, self.regret, self.resets = 0, 0.0, 0

    def play(self, minutes: int) -> "Service":
        for _ in range(minutes):
            cells = {}
            for segment, weights in weights_of(self.mix).items():
                pulls = self.rng.multinomial(self.rate // len(self.segments), list(weights.values()))
                best = max(self.levels[arm, segment] for arm in weights)
                for arm, n in zip(weights, pulls.tolist(), strict=True):
                    self.regret += OBJECTIVE.quality * n * (best - self.levels[arm, segment])
                    if n:
                        cells[arm, segment] = cell(self.rng, n, self.levels[arm, segment])
            self.mix = update(self.mix, self.minute, cells)
            self.mix, changed = reset_if_changed(self.mix, self.minute, OBJECTIVE)
            self.resets += len(changed)
            self.mix = reweighed(self.mix, self.minute, OBJECTIVE, service="s", requests_per_minute=self.rate)
            self.minute += 1
        return self

    def weight(self, arm: str, segment: str = "*") -> float:
        return weights_of(self.mix)[segment][arm]


def plain(*qualities: float) -> Levels:
    return {(arm, "*"): quality for arm, quality in zip(ARMS, qualities, strict=False)}


@pytest.mark.parametrize("seed", range(3))
def test_the_best_arm_has_nine_tenths_within_half_an_hour(seed: int) -> None:
    service = Service(plain(0.6, 0.9, 0.7, 0.65), seed).play(30)
    assert service.weight("b") > 0.9
    random = 30 * 100 * OBJECTIVE.quality * (0.9 - (0.6 + 0.9 + 0.7 + 0.65) / 4)
    assert service.regret < 0.25 * random


@pytest.mark.parametrize("seed", range(3))
def test_a_best_arm_that_degrades_is_left_within_ten_minutes(seed: int) -> None:
    service = Service(plain(0.75, 0.9), seed).play(120)
    assert service.weight("b") > 0.9
    service.levels["b", "*"] = 0.5
    assert service.play(10).weight("b") < 0.5
    assert service.play(10).weight("a") > 0.9


def test_nothing_is_forgotten_while_nothing_changes() -> None:
    assert [Service(plain(0.8, 0.82, 0.7), seed).play(150).resets for seed in range(2)] == [0, 0]


def test_segments_get_the_arm_that_is_best_for_them() -> None:
    levels = {("big", "code"): 0.9, ("big", "chat"): 0.8, ("small", "code"): 0.6, ("small", "chat"): 0.92}
    service = Service(levels, 1, rate=200).play(60)
    assert service.weight("big", "code") > 0.9
    assert service.weight("small", "chat") > 0.9


def test_the_start_is_the_incumbents_and_moves_away_at_most_a_fifth_a_tick() -> None:
    service = Service(plain(0.5, 0.95), 2, incumbent="a")
    assert service.weight("a") == 1.0
    last = 1.0
    for _ in range(15):
        now = service.play(1).weight("a")
        assert last - now <= CAP + 1e-9
        last = now
    assert last < 0.1


def test_an_arm_that_is_new_is_first_forced_a_few_requests_then_judged() -> None:
    service = Service(plain(0.9, 0.2), 3, incumbent="a")
    assert service.play(1).weight("b") == pytest.approx(0.05)
    service.play(2)
    assert sum(sums.n for sums in service.mix.arms[1].sums) >= 2


def test_small_moves_are_not_published_and_floors_stay_small() -> None:
    service = Service(plain(0.95, 0.3, 0.3, 0.3), 4).play(40)
    before = service.mix.weights
    assert service.play(1).mix.weights == before
    assert all(0 < service.weight(arm) <= FLOOR_TOTAL / 4 + HYSTERESIS for arm in "bcd")


def test_an_arm_without_a_single_success_is_never_preferred() -> None:
    rng = np.random.default_rng(5)
    mix = with_arms(Mix(), ("broken", "fine"))
    for minute in range(20):
        failing = Cell(n=50, errors=50, latency_ms=500.0, log_latency=115.0, log_latency_sq=265.0, cost_n=50)
        mix = update(mix, minute, {("broken", "*"): failing, ("fine", "*"): cell(rng, 50, 0.8)})
        mix = reweighed(mix, minute, OBJECTIVE, requests_per_minute=100.0)
    assert weights_of(mix)["*"]["fine"] > 0.9


def test_changing_arms_and_segments_keeps_what_is_still_true() -> None:
    service = Service(plain(0.6, 0.9, 0.7), 6).play(30)
    grown = with_arms(service.mix, ("a", "b", "c", "d"), incumbent="a")
    assert grown.arms[:3] == service.mix.arms
    assert weights_of(grown)["*"] == pytest.approx({**weights_of(service.mix)["*"], "d": 0.0})
    shrunk = with_arms(grown, ("a", "c"))
    assert sum(weights_of(shrunk)["*"].values()) == pytest.approx(1)
    split = with_arms(grown, ("a", "b", "c", "d"), ("*", "code"), incumbent="a")
    assert weights_of(split)["code"] == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}
    assert split.arms[0].sums[0] == service.mix.arms[0].sums[0]


def test_weights_depend_on_service_and_minute_only_through_the_seed() -> None:
    mix = Service(plain(0.8, 0.81), 7).play(3).mix
    again = [reweighed(mix, 9, OBJECTIVE, service="s", requests_per_minute=100.0) for _ in range(2)]
    assert again[0] == again[1]


def test_no_arms_one_arm_and_no_traffic_are_fine() -> None:
    assert reweighed(Mix(), 0, OBJECTIVE) == Mix()
    one = reweighed(with_arms(Mix(), ("a",)), 0, OBJECTIVE)
    assert weights_of(one) == {"*": {"a": 1.0}}
    idle = reweighed(with_arms(Mix(), ("a", "b"), ("x", "y")), 0, OBJECTIVE)
    assert all(sum(row.values()) == pytest.approx(1) for row in weights_of(idle).values())


def test_the_largest_state_fits_its_part_of_a_row() -> None:
    arms, segments = tuple(f"arm{i}" for i in range(10)), tuple(f"segment{i}" for i in range(5))
    rng, mix = np.random.default_rng(8), with_arms(Mix(), arms, segments)
    for minute in range(40):
        mix = update(mix, minute, {(arm, s): cell(rng, 60, 0.8) for arm in arms for s in segments})
    assert len(msgspec.msgpack.encode(mix)) < 32_000


counts = st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1), st.floats(0, 0.1)), min_size=4, max_size=4)


@given(st.lists(counts, max_size=8), st.floats(0, 1e5))
@settings(max_examples=25, deadline=None)
def test_weights_always_sum_to_one_and_survive_storage(
    minutes: list[list[tuple[int, float, float]]], rate: float
) -> None:
    rng, mix = np.random.default_rng(9), with_arms(Mix(), ("a", "b"), ("x", "y"), "a")
    for minute, four in enumerate(minutes):
        keys = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
        cells = {key: cell(rng, n, q, c + 1e-9) for key, (n, q, c) in zip(keys, four, strict=True)}
        mix = msgspec.msgpack.decode(msgspec.msgpack.encode(update(mix, minute, cells)), type=Mix)
        mix, _ = reset_if_changed(mix, minute, OBJECTIVE)
        mix = reweighed(mix, minute, OBJECTIVE, service="s", requests_per_minute=rate)
    for row in mix.weights:
        assert math.isclose(sum(row), 1.0, rel_tol=1e-9)
        assert all(weight >= 0 for weight in row)
