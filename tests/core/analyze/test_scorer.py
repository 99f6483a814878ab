import math
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.analyze.fatigue import Fatigue
from app.core.analyze.scored import NOTHING, Scored
from app.core.analyze.scorer import SURE, THRESHOLD, Scorer

MINUTES_5 = 300.0
DAY = 288


def run(values, scorer=None, step_s=MINUTES_5, start=0):
    scorer = scorer or Scorer.new()
    return [scorer.step(step_s * (start + i), value) for i, value in enumerate(values)]


def alerts(scored):
    return [i for i, one in enumerate(scored) if one.alert]


def noise(n, seed=1):
    random = Random(seed)
    return [random.gauss(0.0, 1.0) for _ in range(n)]


def daily(n, seed=1):
    return [20.0 + 10.0 * math.sin(2 * math.pi * i / DAY) + x for i, x in enumerate(noise(n, seed))]


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-300, 123_456_789.123, 1e300, -1e300])
def test_a_constant_stream_scores_nothing(value: float):
    assert {one.score for one in run([value] * 5000)} == {0.0}


def test_stationary_noise_seldom_alerts():
    found = [alerts(run(noise(4000, seed))) for seed in range(5)]
    assert sum(map(len, found)) <= 3


def test_a_daily_rhythm_is_no_anomaly_once_it_is_known():
    assert [i for i in alerts(run(daily(6 * DAY))) if i > 2 * DAY] == []


@pytest.mark.parametrize(
    ("change", "within"),
    [
        (lambda x: x + 12.0, 0),
        (lambda x: x + 4.0, 40),
        (lambda x: 8.0 * x, 10),
        (lambda x: x - 12.0, 0),
    ],
    ids=["spike", "level", "scatter", "dip"],
)
def test_a_change_is_found_soon(change, within):
    values = noise(1500)
    found = alerts(run([*values[:1000], *map(change, values[1000:])]))
    assert found[0] - 1000 in range(within + 1)


def test_a_missing_rush_hour_is_found():
    values = daily(8 * DAY)
    start = 6 * DAY + 20
    values[start : start + 100] = [20.0 + x for x in noise(100, 7)]
    found = [i for i in alerts(run(values)) if i > 2 * DAY]
    assert found
    assert start < found[0] < start + 100


def test_a_free_saturday_is_no_anomaly_once_the_week_is_known():
    def value(i):
        weekend = i // 24 % 7 in {2, 3}  # 1970 began on a Thursday
        return (5.0 if weekend else 20.0 + 10.0 * math.sin(2 * math.pi * i / 24)) + noise_of[i]

    noise_of = noise(10 * 168)
    values = [value(i) for i in range(10 * 168)]
    assert [i for i in alerts(run(values, step_s=3600.0)) if i > 3 * 168] == []


def test_scores_of_a_prefix_are_the_prefix_of_the_scores():
    values = [*noise(700), 30.0, *noise(300, 2)]
    whole = run(values)
    for cut in (1, 50, 700, 701, 900):
        assert run(values[:cut]) == whole[:cut]


def test_a_point_is_scored_before_it_is_learned():
    values = noise(1000)
    assert run([*values, 50.0])[-1].score > 20.0


@pytest.mark.parametrize(("a", "b"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4), (-1.0, 5.0), (250.0, -1e5)])
def test_scale_sign_and_offset_do_not_matter(a: float, b: float):
    values = daily(2500)
    values[1200] += 25.0
    values[2000:] = [x + 30.0 for x in values[2000:]]
    plain, changed = run(values), run([a * x + b for x in values])
    assert alerts(plain)
    assert alerts(changed) == alerts(plain)
    assert [one.score for one in changed] == pytest.approx([one.score for one in plain], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("cut", [0, 1, 30, 150, 801, 850])
def test_a_restored_scorer_goes_on_as_if_nothing_had_happened(cut: int):
    values = [*noise(800), 40.0, *noise(300, 5)]
    scorer = Scorer.new()
    run(values[:cut], scorer)
    restored = Scorer.restore(scorer.snapshot())
    assert restored.snapshot() == scorer.snapshot()
    assert run(values[cut:], restored, start=cut) == run(values[cut:], scorer, start=cut)
    assert restored.snapshot() == scorer.snapshot()


def test_the_state_does_not_grow():
    scorer = Scorer.new()
    run(noise(3000), scorer)
    assert len(scorer.snapshot()) < 4096


def test_what_is_no_snapshot_is_refused():
    with pytest.raises(msgspec.DecodeError):
        Scorer.restore(b"\x01")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_scores_nothing_and_teaches_nothing(value: float):
    scorer = Scorer.new()
    run(noise(300), scorer)
    before = scorer.snapshot()
    assert scorer.step(0.0, value) == NOTHING
    assert scorer.step(value, 1.0) == NOTHING
    assert scorer.snapshot() == before


def test_one_absurd_value_does_not_blind_it():
    values = noise(2000)
    values[1000] = 1e300
    values[1500] = 15.0
    found = alerts(run(values))
    assert 1000 in found
    assert 1500 in found


def test_a_new_scale_is_learned():
    values = [*noise(1000), *(1000.0 * x for x in noise(9000, 2))]
    assert len([i for i in alerts(run(values)) if i > 2000]) <= 3


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), st.integers(0, 400))
@settings(max_examples=30, deadline=None)
def test_whatever_comes_scores_are_finite_and_bounded(values, before):
    scorer = Scorer.new()
    run(noise(before), scorer)
    for one in run(values * 4, scorer):
        assert 0.0 <= one.score <= SURE
        assert one.alert == (one.score >= THRESHOLD)
    Scorer.restore(scorer.snapshot())


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=50, deadline=None)
def test_any_finite_time_will_do(time_s: float):
    scorer = Scorer.new()
    for _ in range(3):
        assert math.isfinite(scorer.step(time_s, 1.0).score)


def test_a_quiet_time_follows_an_alert():
    fatigue = Fatigue(threshold=5.0, quiet=3)
    assert [fatigue.step(9.0).alert for _ in range(7)] == [True, False, False, True, False, False, True]


def test_each_recent_alert_raises_the_bar_and_time_lowers_it():
    fatigue = Fatigue(threshold=5.0, quiet=1, memory=100.0, weight=0.2)
    assert fatigue.step(5.5) == Scored(5.5, alert=True)
    tired = fatigue.step(5.5)
    assert not tired.alert
    assert tired.score == pytest.approx(5.5 / (1 + 0.2 * 0.99))
    for _ in range(300):
        fatigue.step(0.0)
    assert fatigue.step(5.5).alert
