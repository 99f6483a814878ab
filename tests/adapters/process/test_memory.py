import resource

import pytest

from app.adapters.process.memory import keep_freed

PIECE = 1 << 20
PAGES = 4 * PIECE // resource.getpagesize()
ROUNDS = 5


def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        pieces = [bytes(PIECE) for _ in range(4)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_memory_that_was_freed_is_used_again_without_the_kernel():
    if not keep_freed():
        pytest.skip("another C library, or set from outside")
    faults()
    assert faults() < PAGES


def test_what_the_environment_says_goes_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed()
