from collections import Counter

import pytest

from app.adapters.codec import make_decode
from app.core.ports import Decode


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def decode(counts: Counter[str]) -> Decode:
    return make_decode(lambda what: counts.update([what]))
