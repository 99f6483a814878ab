"""The one next step for one service."""

import msgspec
import pytest

from app.core.actuation import (
    Apply,
    Desired,
    Nothing,
    Revert,
    Wait,
    differences,
    idempotency_key,
    newness,
    next_action,
    plan,
    revert_open_trial,
)
from app.core.freeze import Freeze
from app.core.ports import Applied
from tests.core.splits import split, trial

LIVE = Freeze()
FROZEN = Freeze(active=True, since_ms=2_000)
HELD = Freeze(active=True, hold=True, since_ms=2_000)


def step(desired, applied, freeze=LIVE, now=0.0):
    if not isinstance(desired, Desired):
        desired = Desired(desired, append_ms=1_000)
    return next_action(desired, None if applied is None else Applied(applied, "e1"), freeze, now)


def edited(one):
    return msgspec.structs.replace(one, weights={"*": {"small": 1.0}})


def test_a_gateway_without_a_split_gets_the_newest():
    assert step(split(3), None) == Apply(split(3), None)


def test_an_older_split_at_the_gateway_is_replaced_under_its_etag():
    assert step(trial(3), split(2)) == Apply(trial(3), "e1")


def test_a_gateway_that_has_the_split_is_left_alone():
    assert step(split(3), split(3)) == Nothing("settled")


def test_an_older_split_in_the_log_never_replaces_a_newer_one():
    assert step(split(3), split(4)) == Nothing("ahead")


def test_a_frozen_split_is_newer_than_the_live_one_of_its_version_and_is_a_revert():
    assert newness(split(3, frozen=True)) > newness(split(3))
    assert step(split(3, frozen=True), trial(3)) == Revert(split(3, frozen=True), "e1")


def test_a_revert_that_stands_at_the_gateway_is_not_undone_by_its_own_version():
    assert step(trial(3), revert_open_trial(trial(3))) == Nothing("held")
    assert step(trial(4), revert_open_trial(trial(3))) == Apply(trial(4), "e1")


def test_nothing_is_called_before_the_back_off_is_over():
    desired = Desired(split(3), not_before_s=5.0)
    assert step(desired, None, now=4.9) == Wait(5.0)
    assert step(desired, None, now=5.0) == Apply(split(3), None)


class TestFrozen:
    def test_an_open_trial_is_taken_back_without_the_optimizer(self):
        reverted = split(3, frozen=True)
        assert step(trial(3), trial(3), FROZEN) == Revert(reverted, "e1")
        assert step(trial(3), reverted, FROZEN) == Nothing("settled")

    def test_the_trial_at_the_gateway_is_taken_back_not_the_one_in_the_log(self):
        assert step(trial(4), trial(3), FROZEN) == Revert(split(3, frozen=True), "e1")

    def test_a_newer_split_that_is_no_revert_is_not_applied(self):
        assert step(split(4), split(3), FROZEN) == Nothing("held")

    def test_a_revert_from_the_log_is_applied(self):
        assert step(split(5, frozen=True), split(3, frozen=True), FROZEN) == Revert(split(5, frozen=True), "e1")
        assert step(split(5, frozen=True), trial(3), HELD) == Revert(split(5, frozen=True), "e1")

    def test_an_older_revert_from_the_log_is_not(self):
        assert step(split(2, frozen=True), split(3), FROZEN) == Nothing("held")

    def test_hold_keeps_an_open_trial(self):
        assert step(trial(3), trial(3), HELD) == Nothing("settled")
        assert step(trial(4), trial(3), HELD) == Nothing("held")

    def test_a_gateway_that_lost_its_split_gets_back_what_it_had_without_the_trial(self):
        desired = Desired(trial(5), append_ms=3_000, put=trial(3))
        assert step(desired, None, FROZEN) == Revert(split(3, frozen=True), None)
        assert step(desired, None, HELD) == Apply(trial(3), None)

    def test_what_it_had_is_unknown_after_a_restart_so_the_split_from_before_the_freeze_is_reverted(self):
        before = Desired(trial(5), append_ms=1_999)
        assert step(before, None, FROZEN) == Revert(split(5, frozen=True), None)
        assert step(before, None, HELD) == Revert(split(5, frozen=True), None)

    def test_a_split_from_after_the_freeze_is_never_the_first_one(self):
        assert step(Desired(trial(5), append_ms=2_001), None, FROZEN) == Nothing("held")

    def test_the_trial_of_a_version_the_log_does_not_know_is_taken_back_too(self):
        assert step(split(3), trial(9), FROZEN) == Revert(split(9, frozen=True, decision_id="d9"), "e1")


class TestChangedByHand:
    def test_it_is_put_back_and_told(self):
        action = step(split(3), edited(split(3)))
        assert action == Apply(split(3), "e1", ('weights: {"*":{"big":1.0}} -> {"*":{"small":1.0}}',))

    def test_by_setting_it_is_left(self):
        action = step(Desired(split(3), on_drift="freeze"), edited(split(3)))
        assert isinstance(action, Nothing)
        assert action.why == "drifted"
        assert action.drift

    def test_a_frozen_split_is_put_back_even_then(self):
        frozen = split(3, frozen=True)
        assert isinstance(step(Desired(frozen, on_drift="freeze"), edited(frozen)), Revert)

    def test_the_own_revert_is_not_mistaken_for_it(self):
        by_optimizer = split(3, frozen=True, decision_id="rollback", weights={"*": {"small": 1.0}})
        assert step(by_optimizer, revert_open_trial(trial(3))) == Revert(by_optimizer, "e1")

    def test_what_was_put_before_is_not_mistaken_for_it(self):
        assert step(Desired(split(3), put=edited(split(3))), edited(split(3))) == Apply(split(3), "e1")

    def test_an_older_version_changed_by_hand_is_simply_replaced(self):
        assert step(split(4), edited(split(3))) == Apply(split(4), "e1")


def test_a_revert_keeps_weights_and_version():
    before = trial(7, weights={"*": {"big": 0.6, "small": 0.4}})
    after = revert_open_trial(before)
    assert (after.trial, after.frozen, after.version, after.weights) == (None, True, 7, before.weights)


def test_retries_share_a_key_and_putting_a_split_back_has_another():
    assert idempotency_key(split(3), "e1") == idempotency_key(split(3), "e1")
    keys = {
        idempotency_key(one, etag)
        for one in (split(3), split(4), split(3, frozen=True), split(3, decision_id="x"))
        for etag in (None, "e1", "e2")
    }
    assert len(keys) == 12


def test_differences_name_fields_and_cut_long_values():
    assert differences(None, split(1)) == ("first split, version 1",)
    assert differences(split(1, decided_at_s=1), split(1, decided_at_s=2)) == ()
    (change,) = differences(split(1), split(1, segments=tuple("x" * 50 for _ in range(50))))
    assert change.startswith("segments: [] -> [")
    assert len(change) < 300


@pytest.mark.parametrize(
    ("capabilities", "wanted", "unsupported"),
    [
        (("weights", "slices", "sticky"), trial(2), ()),
        (("weights",), trial(2), ("slices", "sticky")),
        (("single_challenger",), trial(2), ("sticky",)),
        (("single_challenger",), trial(2, holdout_share=0.05), ("slices", "sticky")),
        (("slices", "sticky"), split(2, weights={"*": {"big": 0.5, "small": 0.5}}), ("weights",)),
        ((), split(2), ()),
    ],
)
def test_a_plan_names_what_the_gateway_cannot_do(capabilities, wanted, unsupported):
    planned = plan(frozenset(capabilities), split(1), wanted)
    assert planned.unsupported == unsupported
    assert "version: 1 -> 2" in planned.changes
