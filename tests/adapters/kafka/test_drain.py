"""Draining real record batches, as a broker encodes them: with aiokafka's reader, and with the one in C."""

import sys
from collections.abc import Callable
from functools import partial

import pytest
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException

from app.adapters.kafka.drain import drain
from app.adapters.kafka.record_batches import COMPILED
from tests.adapters.kafka import fetches
from tests.adapters.kafka.fetches import CONTROL, COUNT, LOG_APPEND_TIME, READERS, State, encoded, sealed, values

Fetched = Callable[..., tuple[FetchResult, State]]


@pytest.fixture(params=READERS)
def fetched(request: pytest.FixtureRequest) -> Fetched:
    if request.param == "C" and not COMPILED:
        pytest.skip("the C modules are not compiled: make native")
    return partial(fetches.fetched, request.param)


def test_one_chunk_becomes_one_batch_with_offsets_keys_and_append_times(fetched: Fetched):
    result, state = fetched(encoded(5, [(b"k", b"a", []), (None, b"b", [])]), values(7, b"c", timestamp=9000), at=5)
    batch = drain(result, 100)
    assert batch is not None
    assert batch.source == "t-3"
    assert batch.values == [b"a", b"b", b"c"]
    assert batch.keys is not None
    assert list(batch.keys) == [b"k", None, None]
    assert batch.headers is None
    assert [batch.offset(i) for i in range(3)] == [5, 6, 7]
    assert (batch.start, batch.end, state.position) == (5, 8, 8)
    assert [batch.append_ms(o) for o in (5, 6, 7)] == [1001, 1001, 9000]


def test_headers_are_carried_and_one_without_value_reads_as_empty(fetched: Fetched):
    result, _ = fetched(encoded(0, [(None, b"a", [("ce_id", b"1"), ("none", None)]), (None, b"b", [])]))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.headers == [(("ce_id", b"1"), ("none", b"")), ()]


def test_a_tombstone_stays_a_tombstone(fetched: Fetched):
    result, _ = fetched(encoded(0, [(b"k", None, [])]))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [None]


def test_a_batch_ends_after_the_record_batch_that_reaches_the_limit_and_the_rest_comes_next(fetched: Fetched):
    result, state = fetched(values(0, b"a", b"b"), values(2, b"c", b"d"), values(4, b"e"))
    first = drain(result, 3)
    assert first is not None
    assert (first.values, first.end, state.position) == ([b"a", b"b", b"c", b"d"], 4, 4)
    assert result.has_more()
    second = drain(result, 3)
    assert second is not None
    assert (second.values, second.start, second.end) == ([b"e"], 4, 5)
    assert not result.has_more()


def test_records_before_the_position_are_left_out(fetched: Fetched):
    result, _ = fetched(values(0, b"a", b"b", b"c"), at=2)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.start, batch.first) == ([b"c"], 2, 2)


def test_a_drained_result_lets_go_of_its_buffer(fetched: Fetched):
    result, _ = fetched(values(0, b"a"))
    records = result._partition_records
    drain(result, 100)
    assert records._records_iterator is None
    assert result._partition_records is None


def test_nothing_comes_of_a_partition_that_was_sought_elsewhere(fetched: Fetched):
    result, state = fetched(values(0, b"a"))
    state.position = 7
    assert drain(result, 100) is None


def test_nothing_comes_of_a_paused_partition(fetched: Fetched):
    result, state = fetched(values(0, b"a"))
    state.paused = True
    assert drain(result, 100) is None


def test_a_damaged_batch_is_an_error_that_names_the_partition(fetched: Fetched):
    raw = bytearray(values(0, b"abcdef"))
    raw[-2] ^= 0xFF
    result, _ = fetched(bytes(raw))
    with pytest.raises(CorruptRecordException, match="t-3"):
        drain(result, 100)


def test_what_a_transaction_rolled_back_is_skipped_and_the_position_moves_on(fetched: Fetched):
    result, state = fetched(
        values(0, b"good"),
        values(1, b"rolled", b"back", producer=9, transactional=True),
        values(3, b"after"),
        aborted=[(9, 1)],
        committed_only=True,
    )
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [b"good", b"after"]
    assert [batch.offset(i) for i in range(2)] == [0, 3]
    assert state.position == 4


def test_a_transaction_that_was_committed_is_read(fetched: Fetched):
    commit = encoded(2, [(b"\0\0\0\1", b"", [])], producer=9, transactional=True, attributes=CONTROL)
    result, state = fetched(values(0, b"a", b"b", producer=9, transactional=True), commit, committed_only=True)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.end, state.position) == ([b"a", b"b"], 3, 3)


def test_a_producer_writes_again_after_its_transaction_was_rolled_back(fetched: Fetched):
    abort = encoded(1, [(b"\0\0\0\0", b"", [])], producer=9, transactional=True, attributes=CONTROL)
    again = values(2, b"again", producer=9, transactional=True)
    rolled = values(0, b"back", producer=9, transactional=True)
    result, _ = fetched(rolled, abort, again, aborted=[(9, 0)], committed_only=True)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.first) == ([b"again"], 2)


def test_control_records_are_no_evidence_but_move_the_position(fetched: Fetched):
    control = encoded(1, [(b"\0\0\0\1", b"", [])], producer=9, transactional=True, attributes=CONTROL)
    result, state = fetched(values(0, b"a"), control)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.end, state.position) == ([b"a"], 2, 2)


@pytest.mark.parametrize("codec", range(5))
def test_every_compression_is_read(fetched: Fetched, codec: int):
    rows: list[fetches.Row] = [(b"k%d" % i, b"value %d" % i, [("n", b"%d" % i)]) for i in range(50)]
    result, _ = fetched(encoded(7, rows, codec=codec), values(57, b"last"), at=9)
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [value for _, value, _ in rows[2:]] + [b"last"]
    assert batch.keys is not None
    assert list(batch.keys) == [key for key, _, _ in rows[2:]] + [None]
    assert batch.headers == [tuple(headers) for _, _, headers in rows[2:]] + [()]
    assert (batch.offsets, batch.first, batch.end) == (None, 9, 58)


def test_compacted_batches_keep_their_offsets_and_their_end(fetched: Fetched):
    raw = bytearray(encoded(10, [(b"k", b"a", []), (b"l", b"b", [])], deltas=[1, 4]))
    raw[fetches.LAST_DELTA] = (7).to_bytes(4, "big")  # the last record is gone, too
    result, state = fetched(sealed(raw), values(20, b"c"), at=10)
    batch = drain(result, 100)
    assert batch is not None
    assert batch.offsets == [11, 14, 20]
    assert batch.segments[0][0] == 18
    assert (batch.start, batch.first, batch.end, state.position) == (10, 11, 21, 21)


def test_a_batch_that_compaction_emptied_moves_the_position(fetched: Fetched):
    raw = bytearray(values(5, b"a", b"b"))[:61]
    raw[8:12] = (61 - 12).to_bytes(4, "big")
    raw[COUNT] = bytes(4)
    result, state = fetched(sealed(raw), at=5)
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.start, batch.end, state.position) == ([], 5, 7, 7)


def test_the_append_time_is_the_newest_timestamp_whoever_set_it(fetched: Fetched):
    result, _ = fetched(values(0, b"a", b"b"), values(2, b"c", timestamp=5000, attributes=LOG_APPEND_TIME))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.segments == [(2, 1001), (3, 5000)]


@pytest.mark.parametrize("apart", [1 << 20, 1 << 34, 1 << 48, 1 << 61, -(1 << 40)])
def test_timestamps_may_be_far_apart(fetched: Fetched, apart: int):
    result, _ = fetched(values(0, b"a", b"b", apart=apart, timestamp=1 << 41))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.values == [b"a", b"b"]


@pytest.mark.parametrize(("at", "more"), [(61, 2), (-2, 1), (-1, 2)])
def test_a_record_that_is_longer_or_shorter_than_its_fields_is_refused(fetched: Fetched, at: int, more: int):
    raw = bytearray(values(0, b"abcdef", b"ghi")) + bytes(1)
    raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
    raw[at] += more
    result, state = fetched(sealed(raw))
    with pytest.raises(CorruptRecordException):
        drain(result, 100)
    assert state.position == 0


def test_bytes_that_no_field_of_a_record_takes_are_refused(fetched: Fetched):
    raw = bytearray(values(0, b"abcdef")) + bytes(1)
    raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
    raw[61] += 2  # the length of the only record, a zigzag number
    result, _ = fetched(sealed(raw))
    with pytest.raises(CorruptRecordException):
        drain(result, 100)


def test_what_the_end_of_a_fetch_cuts_off_is_left_for_the_next(fetched: Fetched):
    result, state = fetched(values(0, b"a"), values(1, b"bcd")[:-1])
    batch = drain(result, 100)
    assert batch is not None
    assert (batch.values, batch.end, state.position) == ([b"a"], 1, 1)
    assert not result.has_more()


def test_keys_are_cut_like_the_values(fetched: Fetched):
    result, _ = fetched(encoded(0, [(b"a", b"1", []), (None, b"2", []), (b"", b"3", [])]))
    batch = drain(result, 100)
    assert batch is not None
    assert batch.keys is not None
    assert len(batch.keys) == 3
    batch.trim(1)
    assert list(batch.keys) == [None, b""]


def test_a_batch_that_is_not_made_of_records_is_an_error_that_names_the_partition(fetched: Fetched):
    raw = bytearray(values(0, b"abcdef"))
    raw[COUNT] = (2).to_bytes(4, "big")
    result, _ = fetched(sealed(raw))
    with pytest.raises(CorruptRecordException):
        drain(result, 100)


def test_a_header_that_is_not_text_is_an_error_that_names_the_partition(fetched: Fetched):
    raw = bytearray(encoded(0, [(None, b"a", [("name", b"")])]))
    raw[raw.index(b"name")] = 0xFF
    result, _ = fetched(sealed(raw))
    with pytest.raises(CorruptRecordException, match="t-3"):
        drain(result, 100)


def test_a_drained_batch_keeps_nothing_of_the_fetch(fetched: Fetched):
    data = bytes(bytearray(encoded(0, [(b"k", b"a", [("n", b"v")])]) + values(1, b"b", codec=3)))
    before = sys.getrefcount(data)
    result, _ = fetched(data)
    batch = drain(result, 100)
    assert batch is not None
    assert sys.getrefcount(data) == before
