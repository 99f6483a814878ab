"""Told by traffic: has a new split arrived?"""

import random
from collections import Counter

import pytest

from app.adapters.gateways.seen_traffic import fits, follows, log_ratio

OLD, NEW = {"big": 1.0}, {"big": 0.75, "small": 0.25}


def drawn(shares, n, rng):
    return Counter(rng.choices(list(shares), list(shares.values()), k=n))


def test_no_requests_tell_nothing():
    assert not follows(NEW, OLD, [])
    assert not follows(NEW, OLD, [{}])
    assert fits(NEW, {})


def test_old_traffic_is_not_new():
    assert not follows(NEW, OLD, [{"big": 200}])


def test_a_new_split_is_seen_although_older_buckets_are_the_old_ones():
    assert follows(NEW, OLD, [{"big": 15, "small": 5}, {"big": 400}])
    assert follows({"small": 1.0}, OLD, [{"small": 20}, {"big": 999}])


def test_a_gateway_of_which_a_half_still_serves_the_old_split_does_not_follow():
    assert not follows({"small": 1.0}, OLD, [{"small": 20, "big": 20}, {"small": 30, "big": 30}])


def test_a_few_requests_are_not_enough_whatever_they_say():
    assert not follows({"small": 1.0}, OLD, [{"small": 19}])


def test_a_stray_retry_to_a_model_the_split_does_not_name_is_forgiven():
    assert follows({"small": 1.0}, OLD, [{"small": 99, "other": 1}])


def test_the_first_split_needs_only_to_fit():
    assert follows(OLD, {}, [{"big": 20}])
    assert not follows(OLD, {}, [{"small": 20}])


def test_the_ratio_is_that_of_the_likelihoods():
    assert log_ratio({"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.75}, {"a": 1}) == pytest.approx(0.6931, abs=1e-4)
    assert log_ratio(NEW, NEW, {"big": 7, "small": 3}) == 0.0


@pytest.mark.parametrize(("old", "new"), [(OLD, NEW), (NEW, {"big": 0.5, "small": 0.5}), ({"a": 0.95, "b": 0.05}, OLD)])
def test_false_alarms_are_rare_and_the_truth_is_found(old, new):
    rng, false, found = random.Random(3), 0, 0
    for _ in range(40):
        false += follows(new, old, [drawn(old, 20, rng) for _ in range(12)])
        found += follows(new, old, [drawn(new, 20, rng) for _ in range(12)])
    assert false <= 1
    assert found >= 36
