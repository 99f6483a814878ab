import msgspec

from app.sim.ledger import Ledger, Sums, compare

KEY = ("chat", "a", 60)
SUMS = Sums(10, 1, 1_000, 200, 4, 0.125, 3.5)


def with_(**changes: object):
    return msgspec.structs.replace(SUMS, **changes)


def test_equal_counts_are_exact():
    verdict = compare({KEY: SUMS}, {KEY: with_()}, until_s=120)
    assert verdict.exact
    assert (verdict.produced, verdict.counted, verdict.scores_produced, verdict.minutes) == (10, 10, 4, 1)


def test_one_request_too_many_or_too_few_is_wrong_and_named():
    for n in (9, 11):
        verdict = compare({KEY: SUMS}, {KEY: with_(requests=n)}, until_s=120)
        assert not verdict.exact
        assert "chat/a/60" in verdict.wrong[0]


def test_every_sum_is_compared():
    for field in Sums.__struct_fields__:
        changed = with_(**{field: getattr(SUMS, field) + 1})
        assert not compare({KEY: SUMS}, {KEY: changed}, until_s=120).exact


def test_money_may_differ_by_rounding_only():
    assert compare({KEY: SUMS}, {KEY: with_(cost_usd=0.125 + 1e-13)}, until_s=120).exact
    assert not compare({KEY: SUMS}, {KEY: with_(cost_usd=0.125 + 1e-6)}, until_s=120).exact


def test_what_was_never_produced_is_wrong_and_so_is_what_was_never_counted():
    assert not compare({KEY: SUMS}, {}, until_s=120).exact
    assert not compare({KEY: SUMS}, {KEY: SUMS, ("chat", "b", 60): with_()}, until_s=120).exact


def test_minutes_that_are_not_closed_are_not_compared():
    assert compare({KEY: SUMS, ("chat", "a", 120): SUMS}, {KEY: SUMS}, until_s=120).exact


def test_nothing_at_all_is_not_exact():
    assert not compare({}, {}, until_s=120).exact


def test_events_are_counted_in_the_minute_of_their_own_time():
    ledger = Ledger()
    ledger.answered("chat", "a", 119.9, Sums(1, 0, 10, 5, 0, 0.5))
    ledger.answered("chat", "a", 60.0, Sums(1, 1, 10, 0, 0, 0.25))
    ledger.scored("chat", "a", 120.0, 0.75)
    assert ledger.sums == {
        ("chat", "a", 60): Sums(2, 1, 20, 5, 0, 0.75),
        ("chat", "a", 120): Sums(scores=1, quality=0.75),
    }


def test_the_last_minute_with_events_is_found_across_a_gap():
    ledger = Ledger()
    ledger.answered("chat", "a", 61, Sums(1))
    assert ledger.last_minute_end("chat", 600) == 120
    assert ledger.last_minute_end("chat", 60) is None
    assert ledger.last_minute_end("other", 600) is None
