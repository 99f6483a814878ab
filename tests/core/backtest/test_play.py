"""Checks every policy must pass, and what single policies promise."""

from typing import Any

import numpy as np
import pytest

from app.core.backtest.named import POLICIES
from app.core.backtest.play import Terms, degraded, play, problem_of
from app.core.backtest.score import Score, gaps, scored
from app.core.backtest.table import Table, TableError, objective_of
from tests.core.backtest.worlds import logged, table

PLAIN = table()
LEARNING = [name for name in POLICIES if name not in {"random", "best-fixed", "cheapest"}]


def result(name: str, of: Table, **terms: Any) -> Score:
    objective, given = objective_of(of), Terms(**terms)
    played = play(of, POLICIES[name](problem_of(of, objective, given.seed)), given)
    return scored(name, of, objective, played, given.degrade)


@pytest.mark.parametrize("name", POLICIES)
def test_every_request_gets_one_arm_and_the_same_seed_the_same_arms(name):
    first, again = (result(name, table(n=600, latency=True), seed=3) for _ in range(2))
    assert first == again
    assert sum(first.pulls.values()) == first.requests == 600
    assert 0.0 <= first.quality_mean <= 1.0


@pytest.mark.simulation
@pytest.mark.parametrize("name", LEARNING)
def test_what_learns_finds_the_best_of_three_arms(name):
    found = result(name, PLAIN)
    assert found.best_fixed.arm == "arm2"
    assert max(found.pulls, key=lambda arm: found.pulls[arm]) == "arm2"
    assert found.normalised_regret < 0.3


@pytest.mark.simulation
@pytest.mark.parametrize("name", LEARNING)
def test_late_and_rare_scores_are_enough_to_beat_random(name):
    assert result(name, PLAIN, delay=200, score_rate=0.3).normalised_regret < 0.6


@pytest.mark.parametrize("name", LEARNING)
def test_a_policy_that_is_told_nothing_still_answers(name):
    assert result(name, table(n=300), delay=1000).requests == 300
    assert result(name, table(n=300), score_rate=0.0).requests == 300


def test_best_fixed_is_the_zero_of_regret_and_random_its_one():
    assert result("best-fixed", PLAIN).normalised_regret == 0.0
    assert result("best-fixed", PLAIN).regret == 0.0
    assert result("random", PLAIN).normalised_regret == pytest.approx(1.0, abs=0.1)


def test_cheapest_is_the_arm_of_the_lowest_mean_cost():
    of = table(n=200)
    cheap = Table(of.arms, of.quality, of.cost * np.array([1.0, 0.2, 1.0]), None, of.segment, of.segments)
    assert result("cheapest", cheap).pulls["arm1"] == 200


@pytest.mark.simulation
def test_thompson_loses_little():
    assert result("thompson", table((0.3, 0.6, 0.8), n=6000)).normalised_regret < 0.06


@pytest.mark.simulation
@pytest.mark.parametrize("name", ["segments", "contextual", "weights", "q-learning"])
def test_where_segments_differ_the_best_fixed_arm_is_beaten(name):
    of = table((0.5, 0.5, 0.55), n=4000, segments=3, best_by_segment=0.4)
    assert result(name, of).regret < -0.05


@pytest.mark.simulation
@pytest.mark.parametrize("name", ["thompson", "weights"])
def test_a_best_arm_that_degrades_is_left(name):
    of = table((0.3, 0.6, 0.9), n=6000)
    terms = Terms()
    degrade = degraded("arm2", 0.5, of, terms)
    found = result(name, of, degrade=degrade)
    assert found.best_fixed.arm == "arm1"
    assert found.normalised_regret < 0.3
    assert found.pulls["arm1"] > 1800


def test_passes_repeat_the_table_in_new_orders():
    of = table(n=50)
    played = play(of, POLICIES["random"](problem_of(of, objective_of(of), 0)), Terms(passes=2))
    first, second = played.rows[:50], played.rows[50:]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first.tolist() != second.tolist()
    in_order = play(of, POLICIES["random"](problem_of(of, objective_of(of), 0)), Terms(in_order=True))
    assert in_order.rows.tolist() == list(range(50))


def test_gaps_add_up_to_the_regret():
    of, terms = table(n=800), Terms()
    terms = Terms(degrade=degraded("arm2", 0.5, of, terms))
    objective = objective_of(of)
    played = play(of, POLICIES["thompson"](problem_of(of, objective, 0)), terms)
    found = scored("thompson", of, objective, played, terms.degrade)
    behind = gaps(of, objective, played, terms.degrade).mean()
    assert behind == pytest.approx(found.best_fixed.reward_mean - found.reward_mean)


def test_an_arm_that_is_not_there_cannot_degrade():
    with pytest.raises(TableError, match="it has arm0, arm1, arm2"):
        degraded("gpt", 0.5, PLAIN, Terms())


def test_a_log_is_played_once_and_teaches_only_what_it_holds():
    log = logged(table(n=600), np.full((600, 3), 1 / 3))
    with pytest.raises(TableError, match="played once"):
        play(log, POLICIES["random"](problem_of(log, objective_of(log), 0)), Terms(passes=2))

    class Spy:
        def __init__(self) -> None:
            self.learned: list[tuple[int, int]] = []

        def choose(self, row):
            return 1

        def learn(self, row, arm, quality, cost_usd, latency_ms):
            assert quality == log.quality[row, arm]
            self.learned.append((row, arm))

    spy = Spy()
    play(log, spy, Terms(delay=0))
    assert sorted(row for row, _ in spy.learned) == np.flatnonzero(log.called[:, 1]).tolist()


def test_answers_come_late_by_the_delay_and_in_order():
    of = table(n=40)

    class Spy:
        def __init__(self) -> None:
            self.events: list[tuple[str, int]] = []

        def choose(self, row):
            self.events.append(("choose", row))
            return 0

        def learn(self, row, arm, quality, cost_usd, latency_ms):
            self.events.append(("learn", row))

    spy = Spy()
    play(of, spy, Terms(delay=5, in_order=True))
    assert spy.events.index(("learn", 0)) == spy.events.index(("choose", 5)) + 1
    assert [row for what, row in spy.events if what == "learn"] == list(range(35))
