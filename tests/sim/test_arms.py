import msgspec
import numpy as np
import pytest

from app.sim.arms import ArmModel, LatencyLaw, Price, QualityLaw, answer, cost_usd

ARM = ArmModel(
    name="small",
    model="small-1",
    price=Price(0.5, 2.0),
    latency=LatencyLaw(base_ms=200, per_token_ms=4, sigma=0.4),
    quality=QualityLaw(mean=0.85, sd=0.11, tasks={"hard": -0.2}),
    error_rate=0.02,
)


def ask(arm=ARM, *, requests=1_500, task="", seed=1):
    return [
        answer(arm, seed=seed, request=f"r-{k}", task=task, input_tokens=1_000, output_tokens=100)
        for k in range(requests)
    ]


@pytest.fixture(scope="module")
def answers():
    return ask(requests=4_000)


def test_the_same_request_to_the_same_arm_gets_the_same_answer_and_another_seed_another():
    assert ask(requests=50) == ask(requests=50)
    assert ask(requests=50) != ask(requests=50, seed=2)


def test_two_arms_have_their_own_luck_with_the_same_request():
    other = msgspec.structs.replace(ARM, name="other")
    pairs = zip(ask(requests=500), ask(other, requests=500), strict=True)
    agree = sum(a.latency_ms == b.latency_ms for a, b in pairs)
    assert agree == 0


def test_latency_has_the_stated_median_and_sigma(answers):
    logs = np.log([a.latency_ms for a in answers if a.ok])
    assert np.exp(np.median(logs)) == pytest.approx(600, rel=0.03)
    assert logs.std() == pytest.approx(0.4, rel=0.05)


def test_beta_scores_have_the_stated_mean_and_spread_and_stay_between_zero_and_one(answers):
    scores = np.array([a.quality for a in answers if a.quality is not None])
    assert scores.mean() == pytest.approx(0.85, abs=0.006)
    assert scores.std() == pytest.approx(0.11, rel=0.05)
    assert 0 <= scores.min() <= scores.max() <= 1


def test_a_task_shifts_the_mean_by_its_offset():
    scores = [a.quality for a in ask(task="hard") if a.quality is not None]
    assert np.mean(scores) == pytest.approx(0.65, abs=0.01)


def test_without_a_spread_scores_are_right_or_wrong():
    arm = msgspec.structs.replace(ARM, quality=QualityLaw(mean=0.9))
    scores = [a.quality for a in ask(arm) if a.quality is not None]
    assert set(scores) == {0.0, 1.0}
    assert np.mean(scores) == pytest.approx(0.9, abs=0.02)


def test_a_spread_wider_than_a_beta_law_allows_is_narrowed_not_an_error():
    arm = msgspec.structs.replace(ARM, quality=QualityLaw(mean=0.99, sd=0.4))
    scores = [a.quality for a in ask(arm) if a.quality is not None]
    assert np.mean(scores) == pytest.approx(0.99, abs=0.01)


def test_failed_answers_come_at_the_stated_rate_cost_their_input_and_have_no_score(answers):
    failed = [a for a in answers if not a.ok]
    assert len(failed) / 4_000 == pytest.approx(0.02, abs=0.007)
    assert {(a.output_tokens, a.cost_usd, a.quality) for a in failed} == {(0, 0.0005, None)}


def test_cost_is_price_times_tokens():
    assert cost_usd(Price(2.5, 10.0), 1_000, 200) == pytest.approx(0.0045)
