import numpy as np
import pytest

from app.adapters.readmodel import changes
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.series import _Ratio, plan, series
from tests.adapters.readmodel.stores import BOTH, opener
from tests.adapters.readmodel.worlds import records


@pytest.fixture(scope="module", params=BOTH)
def model(request, tmp_path_factory):
    store = opener(request, request.param, tmp_path_factory.mktemp("series"))()
    store.take(records())
    yield Model(store)
    store.close()


def test_the_points_add_up_to_the_counted_windows(model):
    found = series(model.store, "chat", 1_440, model.newest_s("chat"), "judge")
    counted = {w["arm"]: 0 for w in model.windows("chat", 60, 0, 2**40) if w["arm"] != "*"}
    cost = dict.fromkeys(counted, 0.0)
    for window in model.windows("chat", 60, 0, 2**40):
        if window["arm"] != "*" and window["slice"] == "*":
            counted[window["arm"]] += window["count"]
            cost[window["arm"]] += window["cost_usd"]
    assert {arm.arm: sum(arm.count) for arm in found.arms} == counted
    for arm in found.arms:
        assert len(arm.count) == len(found.times) == 289  # the last one is not whole
        told = sum(point.mean * point.n for point in arm.cost_usd_per_1000 if point)
        assert told == pytest.approx(1000 * cost[arm.arm])


def test_shares_of_a_bucket_sum_to_one_and_intervals_hold_their_mean(model):
    found = series(model.store, "chat", 60, model.newest_s("chat"), "judge")
    for shares in zip(*(arm.share for arm in found.arms), strict=True):
        known = [share for share in shares if share is not None]
        assert not known or sum(known) == pytest.approx(1.0)
    points = [p for arm in found.arms for p in (*arm.quality, *arm.latency_ms) if p]
    bounds = [(p.low, p.mean, p.high) for p in points if p.low is not None and p.high is not None]
    assert bounds
    assert all(low <= mean <= high for low, mean, high in bounds)


def test_nothing_counted_is_an_empty_series(model):
    found = series(model.store, "nobody", 60, None, "judge")
    assert (found.arms, found.times, found.end) == ([], [], None)


@pytest.mark.parametrize("minutes", [5, 1_440, 2_880, 14_400, 43_200])
def test_a_chart_has_few_points_and_each_enough_windows_for_an_interval(minutes):
    bucket_s, size_s = plan(minutes)
    assert minutes * 60 / bucket_s <= 288
    assert bucket_s / size_s >= 5


@pytest.mark.simulation
def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Minutes of 1 to 12 requests, costs with a heavy tail: 95 % nominal; few minutes and skew cost a little."""
    rnd = np.random.default_rng(3)
    held = 0
    for _ in range(2_000):
        ratio = _Ratio()
        for n in rnd.integers(1, 13, size=5):
            ratio.add(float(rnd.exponential(2.0, size=n).sum()), float(n))
        point = ratio.estimate()
        assert point is not None
        assert point.low is not None
        assert point.high is not None
        held += point.low <= 2.0 <= point.high
    assert 0.90 <= held / 2_000 <= 0.97


@pytest.mark.parametrize("kind", BOTH)
def test_what_changed_is_numbered_by_batch(request, tmp_path, kind):
    store = opener(request, kind, tmp_path)()
    assert (changes.newest(store), changes.after(store, 0)) == (0, [])
    given = records()
    store.take(given[:1])
    first = changes.newest(store)
    assert {(c.service, c.what) for c in changes.after(store, 0)} == {("chat", "commands"), ("chat", "documents")}
    store.take(given[:1])  # nothing new in it
    assert changes.newest(store) == first
    store.take(given)
    later = changes.after(store, first)
    assert {"events", "splits", "aggregates"} <= {c.what for c in later if c.service == "chat"}
    assert all(c.number == changes.newest(store) for c in later)
    store.close()
