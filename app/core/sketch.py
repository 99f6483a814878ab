"""The log-histogram: quantiles with bounded relative error from integer buckets.

What: counts of ``ceil(log_gamma(x))``, the DDSketch mathematics (Masson, Rim, Lee, VLDB 2019) without its dense
store. Merging is addition, so it is exact and order-free. Units are the caller's; here milliseconds.
Bounds: relative error <= (gamma - 1) / (gamma + 1) = 0.99 % for x >= 1e-3; smaller values share the lowest bucket.

>>> h: dict[int, int] = {}
>>> for x in range(1, 1001): add(h, float(x))
>>> abs(quantile(h, 0.5) - 500) / 500 < 0.01
True
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

GAMMA = 1.02
_SCALE = 1 / math.log(GAMMA)
FLOOR = 1e-3
_LOWEST = math.ceil(math.log(FLOOR) * _SCALE)
MAX_BUCKETS = 1_500
"""log_gamma(1e9 / 1e-3) is 1,396: no bounded latency can make more buckets."""

_ONE_BYTE = 0x80
"""Varints below it are one byte."""
_TABLE = 4_096
"""Varints below it are made beforehand: counts of a bucket are rarely larger."""

Histogram = dict[int, int]


def bucket(x: float) -> int:
    """Bucket index of ``x``: the smallest k with gamma**k >= x."""
    return math.ceil(math.log(x) * _SCALE) if x > FLOOR else _LOWEST


def add(histogram: Histogram, x: float, count: int = 1) -> None:
    """Count ``x`` ``count`` times, in place."""
    k = bucket(x)
    histogram[k] = histogram.get(k, 0) + count


def merge_into(total: Histogram, other: Histogram) -> None:
    """Add ``other`` to ``total`` in place."""
    if not total:  # the usual case: the first of its kind
        total.update(other)
        return
    for k, n in other.items():
        total[k] = total[k] + n if k in total else n


def quantile(histogram: Histogram, q: float) -> float:
    """Nearest-rank ``q``-quantile, q in [0, 1]; 0.0 for an empty histogram."""
    return quantiles(histogram, (q,))[0]


def quantiles(histogram: Histogram, qs: Sequence[float], buckets: Sequence[int] | None = None) -> list[float]:
    """``quantile`` of each of ``qs``, in one pass. ``buckets``: those of the histogram, sorted, if at hand."""
    if not histogram:
        return [0.0] * len(qs)
    buckets = sorted(histogram) if buckets is None else buckets
    up_to = list(accumulate(map(histogram.__getitem__, buckets)))
    ranks = [max(1, math.ceil(q * up_to[-1])) for q in qs]
    return [2 * GAMMA ** buckets[bisect_left(up_to, rank)] / (GAMMA + 1) for rank in ranks]


def pack(histogram: Histogram, buckets: Sequence[int] | None = None) -> bytes:
    """Sorted (bucket step, count) pairs as LEB128 varints; about 2 bytes a bucket. ``buckets``: as in ``quantiles``."""
    if not histogram:
        return b""
    buckets = sorted(histogram) if buckets is None else buckets
    counts = list(map(histogram.__getitem__, buckets))
    steps = list(map(sub, buckets[1:], buckets))
    pairs = [0] * (2 * len(counts) - 1)
    pairs[::2], pairs[1::2] = counts, steps
    largest = max(pairs)
    if largest < _ONE_BYTE:
        return _varint(buckets[0] - _LOWEST) + bytes(pairs)
    return _varint(buckets[0] - _LOWEST) + b"".join(
        map(_VARINTS.__getitem__ if largest < _TABLE else _made, pairs)  # nearly always: no loop of ours
    )


def _made(value: int) -> bytes:
    out = bytearray()
    while value >= _ONE_BYTE:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_VARINTS = tuple(map(_made, range(_TABLE)))


def _varint(value: int) -> bytes:
    return _VARINTS[value] if value < _TABLE else _made(value)


def unpack(packed: bytes) -> Histogram:
    """Inverse of ``pack``; ValueError on truncated bytes."""
    numbers: list[int] = []
    value = shift = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            numbers.append(value)
            value = shift = 0
    if shift or len(numbers) % 2:
        raise ValueError("a packed histogram ends in the middle of a number")
    histogram: Histogram = {}
    k = _LOWEST
    for step, count in zip(numbers[::2], numbers[1::2], strict=True):
        k += step
        histogram[k] = count
    return histogram
