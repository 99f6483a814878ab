"""Numbers that look random and are a function of (seed, request, purpose): the same request meets the same luck.

What: 64-bit words of BLAKE2b, mapped to (0, 1). No generator state, so order, threads and repetition change nothing.
"""

import hashlib
from statistics import NormalDist

_inverse_normal = NormalDist().inv_cdf
_UNIT = 1 / 2**64


def uniforms(count: int, *parts: object) -> list[float]:
    """``count`` (1 to 8) numbers in the open interval (0, 1), a function of ``parts`` alone."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8 * count).digest()
    return [(int.from_bytes(digest[8 * k : 8 * k + 8], "big") + 0.5) * _UNIT * _BELOW_ONE for k in range(count)]


def normal(uniform: float) -> float:
    """The standard normal quantile of ``uniform``."""
    return _inverse_normal(uniform)


_BELOW_ONE = 1 - 2**-53
"""Keeps the largest word below 1.0 after rounding."""
