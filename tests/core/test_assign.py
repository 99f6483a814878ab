"""Who is drawn into which slice and arm: the same for ever, in the promised shares, and never reshuffled."""

import importlib.util
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.core.assign import (
    GROUP_SALT,
    HOLDOUT_SALT,
    Assignment,
    assign,
    expected_shares,
    hash01,
    identity_of,
    segment_for,
    session_group,
)
from app.core.events import SegmentParts
from app.core.split import ArmDefinition, Split, TrialSlice

pytestmark = pytest.mark.simulation

GOLDEN = Path(__file__).parents[1] / "golden"
IDS = [f"session-{i}" for i in range(20_000)]
FAINT = 1e-4
"""Chance that a test of shares fails by luck of the (fixed) identities."""


def a_split(
    weights: dict[str, float], *, trial: TrialSlice | None = None, holdout: float = 0.05, baseline: str = "base"
) -> Split:
    return Split(
        service="chat",
        version=1,
        decision_id="d",
        incumbent="a",
        baseline=baseline,
        arms=tuple(ArmDefinition(name=name, model=name) for name in ("a", "b", "c", "base")),
        weights={"*": weights},
        holdout_share=holdout,
        trial=trial,
    )


def a_trial(share: float, control: float, *, name: str = "trial-1") -> TrialSlice:
    return TrialSlice(name, "b", "a", share, control)


def members(split: Split, slice_: str) -> set[str]:
    return {identity for identity in IDS[:5_000] if assign(split, identity).slice == slice_}


@pytest.fixture(scope="module")
def golden() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_assign", GOLDEN / "write_assign.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_golden_vectors_hold(golden: ModuleType) -> None:
    kept = json.loads((GOLDEN / "assign.json").read_text())
    assert kept == json.loads(json.dumps(golden.vectors()))


@pytest.mark.parametrize(
    ("salt", "identity", "sha256_begins"),
    [
        (HOLDOUT_SALT, "session-1", "e3ba86a9ffc733a9"),
        ("", "session-1", "84097828fc31a8c8"),
        (GROUP_SALT, "😀", "2dfdb5d9804a80d3"),
    ],
)
def test_the_hash_is_the_first_eight_bytes_of_sha256(salt: str, identity: str, sha256_begins: str) -> None:
    """Digests by coreutils' sha256sum."""
    assert hash01(salt, identity) == int(sha256_begins, 16) / 2**64


@pytest.mark.parametrize(
    "split",
    [
        a_split({"a": 1.0}),
        a_split({"a": 0.5, "b": 0.3, "c": 0.2}),
        a_split({"a": 0.5, "c": 0.5}, holdout=0.0),
        a_split({"a": 1.0}, trial=a_trial(0.05, 0.05)),
        a_split({"a": 0.7, "c": 0.3}, trial=a_trial(0.25, 0.25)),
        a_split({"a": 1.0}, trial=a_trial(0.9, 0.1)),
        a_split({"a": 1.0}, trial=a_trial(1.0, 0.0)),
        a_split({"a": 2.0, "b": 6.0}, holdout=0.5),
    ],
    ids=range(8),
)
def test_the_drawn_shares_are_the_expected_ones(split: Split) -> None:
    counts = Counter((drawn.slice, drawn.arm) for drawn in (assign(split, identity) for identity in IDS))
    expected = expected_shares(split)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-12)
    assert set(counts) == set(expected)
    if len(expected) > 1:
        p_value = stats.chisquare(
            [counts[key] for key in expected], [share * len(IDS) for share in expected.values()]
        ).pvalue
        assert p_value > FAINT


def test_growing_a_trial_only_adds_to_it() -> None:
    steps = [(0.05, 0.05), (0.25, 0.25), (0.5, 0.25), (0.9, 0.1), (1.0, 0.0)]
    slices = [members(a_split({"a": 1.0}, trial=a_trial(*step)), "trial") for step in steps]
    assert all(small < large for small, large in pairwise(slices))


def test_the_holdout_is_the_same_whatever_else_changes() -> None:
    splits = [
        a_split({"a": 1.0}),
        a_split({"c": 1.0}, trial=a_trial(0.5, 0.25)),
        a_split({"a": 0.1, "b": 0.9}, trial=a_trial(1.0, 0.0, name="another")),
    ]
    one, *others = [members(split, "holdout") for split in splits]
    assert one
    assert all(other == one for other in others)


def test_a_smaller_holdout_is_part_of_the_larger() -> None:
    assert members(a_split({"a": 1.0}, holdout=0.02), "holdout") < members(a_split({"a": 1.0}), "holdout")


def test_the_holdout_stays_on_the_baseline_or_else_the_incumbent() -> None:
    first = min(members(a_split({"b": 1.0}), "holdout"))
    assert assign(a_split({"b": 1.0}), first).arm == "base"
    assert assign(a_split({"b": 1.0}, baseline=""), first).arm == "a"


def test_a_trial_leaves_the_arms_of_main_as_they_were() -> None:
    before, after = a_split({"a": 0.6, "c": 0.4}), a_split({"a": 0.6, "c": 0.4}, trial=a_trial(0.2, 0.2))
    kept = members(after, "main")
    assert all(assign(before, identity) == assign(after, identity) for identity in kept)


def test_two_trials_draw_independently() -> None:
    one = members(a_split({"a": 1.0}, trial=a_trial(0.3, 0.0, name="t1"), holdout=0.0), "trial")
    two = members(a_split({"a": 1.0}, trial=a_trial(0.3, 0.0, name="t2"), holdout=0.0), "trial")
    assert stats.binomtest(len(one & two), 5_000, 0.09).pvalue > FAINT


def test_session_groups_are_even_and_independent_of_the_slice() -> None:
    groups = Counter(session_group(identity) for identity in IDS)
    assert set(groups) == set(range(64))
    assert stats.chisquare(list(groups.values())).pvalue > FAINT
    split = a_split({"a": 1.0}, trial=a_trial(0.5, 0.5), holdout=0.0)
    table = [[0] * 64, [0] * 64]
    for identity in IDS:
        drawn = assign(split, identity)
        table[drawn.slice == "trial"][drawn.session_group] += 1
    assert stats.chi2_contingency(table).pvalue > FAINT


def test_shifting_weight_moves_only_the_requests_that_must_move() -> None:
    before, after = a_split({"a": 0.6, "b": 0.4}, holdout=0.0), a_split({"a": 0.5, "b": 0.5}, holdout=0.0)
    moved = sum(assign(before, identity) != assign(after, identity) for identity in IDS)
    assert stats.binomtest(moved, len(IDS), 0.1).pvalue > FAINT


@pytest.mark.parametrize("weights", [{}, {"a": 0.0, "b": 0.0}, {"unknown": 1.0}])
def test_without_usable_weights_the_incumbent_answers(weights: dict[str, float]) -> None:
    split = a_split(weights, holdout=0.0)
    assert {assign(split, identity).arm for identity in IDS[:50]} == {"a"}
    assert expected_shares(split) == {("main", "a"): 1.0}


def test_a_segment_has_its_own_weights_or_those_of_all() -> None:
    split = msgspec.structs.replace(
        a_split({"a": 1.0}, holdout=0.0),
        weights={"*": {"a": 1.0}, "eu": {"c": 1.0}},
        segment_by="region",
        segments=("eu", "us"),
    )
    assert assign(split, "x", "eu").arm == "c"
    assert assign(split, "x", "us").arm == "a"
    assert expected_shares(split, "eu") == {("main", "c"): 1.0}
    assert segment_for(split, SegmentParts(region="eu")) == "eu"
    assert segment_for(split, SegmentParts(region="asia")) == "other"
    assert segment_for(a_split({"a": 1.0}), SegmentParts(region="asia")) == "*"


def test_overlapping_trial_and_control_are_counted_as_they_are_drawn() -> None:
    split = a_split({"a": 1.0}, trial=a_trial(0.9, 0.5), holdout=0.0)
    assert expected_shares(split) == pytest.approx({("trial", "b"): 0.9, ("control", "a"): 0.1})
    assert {assign(split, identity).slice for identity in IDS[:500]} == {"trial", "control"}


def test_a_draw_of_exactly_one_still_gets_an_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.assign.hash01", lambda salt, identity: 1.0)
    assert assign(a_split({"a": 0.5, "b": 0.5}), "x") == Assignment("main", "b", 63)


@pytest.mark.parametrize(
    ("session", "sticky", "identity"),
    [("s", True, "s"), ("s", False, "r"), (None, True, "r"), ("", True, "r"), (None, False, "r")],
)
def test_the_session_is_hashed_when_the_split_is_sticky(session: str | None, sticky: bool, identity: str) -> None:
    assert identity_of("r", session, sticky=sticky) == identity


shares = st.floats(0, 1)
any_weights = st.dictionaries(st.sampled_from(["a", "b", "c", "zzz"]), st.floats(0, 1), max_size=4)


@given(any_weights, shares, shares, st.floats(0, 1), st.text(max_size=20))
def test_any_split_gives_any_identity_an_arm_that_has_a_share(
    weights: dict[str, float], share: float, control: float, holdout: float, identity: str
) -> None:
    split = a_split(weights, trial=a_trial(share, control), holdout=holdout)
    expected = expected_shares(split)
    drawn = assign(split, identity)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-9)
    assert expected.get((drawn.slice, drawn.arm), 0) > 0
    assert 0 <= drawn.session_group < 64


K_ARMS = TrialSlice("t", "small", "large", 0.3, 0.1, arms=("small", "tiny", "frozen"))


def _of(trial: TrialSlice) -> dict[str, Assignment]:
    split = Split(
        service="s", version=1, decision_id="d", incumbent="large", weights={"*": {"large": 1.0}}, trial=trial,
        arms=tuple(ArmDefinition(name=name, model=name) for name in ("large", "small", "tiny", "frozen")),
    )  # fmt: skip
    return {f"r{i}": assign(split, f"r{i}") for i in range(4_000)}


def test_challengers_share_the_trial_slice_equally() -> None:
    counts = Counter(drawn.arm for drawn in _of(K_ARMS).values() if drawn.slice == "trial")
    assert set(counts) == {"small", "tiny", "frozen"}
    assert all(abs(count / 4_000 - 0.1) < 0.02 for count in counts.values())


def test_a_dropped_challenger_moves_nobody_else() -> None:
    before, after = _of(K_ARMS), _of(msgspec.structs.replace(K_ARMS, arms=("small", "frozen")))
    for identity, drawn in before.items():
        if drawn.slice == "trial" and drawn.arm != "tiny":
            assert after[identity] == drawn


def test_a_mirrored_trial_copies_the_requests_of_its_control() -> None:
    drawn = _of(TrialSlice("t", "small", "large", 0.0, 0.25, mirrored=True)).values()
    assert {(one.slice, one.arm, one.mirror) for one in drawn} == {("control", "large", "small"), ("main", "large", "")}
