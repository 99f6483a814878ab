"""Packed histograms: the bytes of one varint after the other, whichever way they are made."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.sketch import FLOOR, bucket, pack, quantiles, unpack

LOWEST = bucket(FLOOR)
histograms = st.dictionaries(st.integers(LOWEST, LOWEST + 1500), st.integers(1, 300) | st.integers(1, 10**9))


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)


@given(histograms)
def test_packed_is_one_varint_after_the_other_and_comes_back(histogram: dict[int, int]):
    expected, previous = b"", LOWEST
    for k, n in sorted(histogram.items()):
        expected, previous = expected + varint(k - previous) + varint(n), k
    assert pack(histogram) == expected
    assert pack(histogram, sorted(histogram)) == expected
    assert unpack(expected) == histogram


@given(histograms)
def test_quantiles_do_not_ask_who_sorted(histogram: dict[int, int]):
    asked = (0.0, 0.5, 0.99, 1.0)
    assert quantiles(histogram, asked) == quantiles(histogram, asked, sorted(histogram))
