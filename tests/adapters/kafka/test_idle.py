"""What a source at its log end may claim (rule I5)."""

import msgspec

from app.adapters.kafka.idle import Stand, claim

NEVER = -(1 << 60)
LIVE = Stand(position=5, since_s=1000.0, seen_s=1020.0, appended_s=1000, watermark=995)


def claimed(stand: Stand, newest: int | None = None) -> int | None:
    return claim(stand, newest, after_s=10.0, session_s=6.0, lateness_s=30.0)


def test_a_source_that_stood_long_enough_claims_what_a_lost_owner_could_still_know():
    assert claimed(LIVE) == 1014


def test_a_source_that_has_just_arrived_at_its_end_claims_nothing():
    assert claimed(msgspec.structs.replace(LIVE, since_s=1011.0)) is None


def test_replayed_or_compressed_time_never_claims():
    assert claimed(msgspec.structs.replace(LIVE, watermark=900)) is None


def test_a_source_whose_append_times_are_unknown_never_claims():
    assert claimed(msgspec.structs.replace(LIVE, appended_s=None)) is None


def test_a_source_without_any_event_does_not_run_ahead_of_its_neighbours():
    empty = msgspec.structs.replace(LIVE, watermark=NEVER, appended_s=None)
    assert claimed(empty, 500) == 500
    assert claimed(empty, 5000) == 1014


def test_a_source_without_any_event_and_without_neighbours_follows_the_clock():
    assert claimed(msgspec.structs.replace(LIVE, watermark=NEVER, appended_s=None)) == 1014
