"""The two-window test: changes are found and kept, drifting traffic mixes are not changes."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.stats.moments import ArmSums, add
from app.core.stats.reward import Objective
from app.core.stats.two_window import (
    BUCKET_N,
    BUCKETS,
    Bucket,
    bucket_of,
    changed_since,
    changes,
    keep_newest,
    pushed,
)

pytestmark = pytest.mark.simulation

OBJECTIVE = Objective()
Minute = tuple[ArmSums, ...]


def minute(rng: np.random.Generator, sizes: tuple[int, ...], levels: tuple[float, ...]) -> Minute:
    return tuple(one(rng, n, level) for n, level in zip(sizes, levels, strict=True))


def one(rng: np.random.Generator, n: int, level: float) -> ArmSums:
    good, cost, logs = float(rng.binomial(n, level)), rng.gamma(2, 0.001, n), rng.normal(6, 0.5, n)
    return ArmSums(
        n, 0, float(np.exp(logs).sum()), float(logs.sum()), float((logs**2).sum()),
        n, float(cost.sum()), float((cost * cost).sum()), n, good, good,
    )  # fmt: skip


class Arm:
    """An arm fed minute by minute."""

    def __init__(self, segments: int) -> None:
        self.sums: Minute = (ArmSums(),) * segments
        self.buckets: tuple[Bucket, ...] = ()
        self.minute = 0

    def feed(self, new: Minute) -> int | None:
        self.sums = tuple(add(a, b) for a, b in zip(self.sums, new, strict=True))
        self.buckets = pushed(self.buckets, bucket_of(self.minute, new))
        self.minute += 1
        return changed_since(self.buckets, self.sums, OBJECTIVE)


def test_within_ten_minutes_of_a_drop_its_past_is_forgotten() -> None:
    rng, arm = np.random.default_rng(1), Arm(1)
    for _ in range(120):
        assert arm.feed(minute(rng, (80,), (0.9,))) is None
    for _ in range(10):
        at = arm.feed(minute(rng, (80,), (0.6,)))
        if at is not None:
            newest = arm.buckets[at:]
            arm.buckets, arm.sums = newest, keep_newest(newest, arm.sums)
            (kept,) = arm.sums
            assert kept.n == sum(b.n for b in newest) >= 100
            assert kept.quality / kept.scores == pytest.approx(sum(b.quality for b in newest) / kept.n)
    (kept,) = arm.sums
    assert kept.quality / kept.scores == pytest.approx(0.6, abs=0.04)


def test_nothing_that_stays_the_same_is_called_changed() -> None:
    rng, arm = np.random.default_rng(2), Arm(1)
    assert all(arm.feed(minute(rng, (100,), (0.8,))) is None for _ in range(300))


def test_harder_prompts_are_not_a_change_of_the_arm() -> None:
    rng, arm = np.random.default_rng(3), Arm(2)
    easy_then_hard = [(90, 10)] * 40 + [(10, 90)] * 40
    assert all(arm.feed(minute(rng, sizes, (0.95, 0.5))) is None for sizes in easy_then_hard)


def test_segments_keep_their_pattern_when_the_arm_changes() -> None:
    rng, arm = np.random.default_rng(4), Arm(2)
    for _ in range(60):
        arm.feed(minute(rng, (50, 50), (0.9, 0.6)))
    at = next(at for _ in range(12) if (at := arm.feed(minute(rng, (50, 50), (0.6, 0.3)))) is not None)
    easy, hard = keep_newest(arm.buckets[at:], arm.sums)
    assert 0.2 < easy.quality / easy.scores - hard.quality / hard.scores < 0.4
    assert math.isclose(easy.n, hard.n, rel_tol=0.2)


def test_a_change_of_cost_alone_is_found_when_it_matters() -> None:
    rng, arm = np.random.default_rng(5), Arm(1)
    for _ in range(60):
        arm.feed(minute(rng, (80,), (0.9,)))
    found = [arm.feed(tuple(_dearer(s) for s in minute(rng, (80,), (0.9,)))) for _ in range(10)]
    assert any(at is not None for at in found)


def _dearer(s: ArmSums) -> ArmSums:
    return msgspec.structs.replace(s, cost_usd=6 * s.cost_usd, cost_sq=36 * s.cost_sq)


@given(st.lists(st.integers(0, 300), max_size=80))
@settings(max_examples=30)
def test_buckets_stay_bounded_and_lose_no_request(counts: list[int]) -> None:
    buckets: tuple[Bucket, ...] = ()
    for t, n in enumerate(counts):
        buckets = pushed(buckets, bucket_of(t, (ArmSums(n=n, errors=n, scores=n, quality=n),)))
    assert len(buckets) <= BUCKETS
    assert sum(b.n for b in buckets) == sum(b.errors for b in buckets) == sum(counts)
    assert all(b.n >= BUCKET_N for b in buckets[:-1])


def test_arms_tested_together_are_judged_as_each_alone() -> None:
    rng, found = np.random.default_rng(3), set()
    for kind in range(12):
        arms = [Arm(2) for _ in range(4)]
        for at in range(30):
            for i, arm in enumerate(arms):
                level = 0.9 - 0.4 * (at > 25 and (kind + i) % 2)
                if at >= 8 * i or i == 3:  # of different age; the last has next to nothing
                    arm.feed(minute(rng, (60, 20) if i < 3 else (1, 0), (level, level - 0.1)))
        alone = tuple(changed_since(arm.buckets, arm.sums, OBJECTIVE) for arm in arms)
        assert changes([(arm.buckets, arm.sums) for arm in arms], OBJECTIVE) == alone
        found |= {at is None for at in alone}
    assert found == {True, False}
