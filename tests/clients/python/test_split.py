"""The client draws, and writes receipts, as the optimizer does."""

import json
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given
from llm_optimizer_client.receipts import Receipt, receipt_of, with_receipt
from llm_optimizer_client.split import Split, hash01, session_group

from app.core import ids
from app.core.assign import assign, segment_for
from app.core.assign import hash01 as core_hash01
from app.core.events import Receipt as CoreReceipt
from app.core.events import SegmentParts
from app.core.split import Split as CoreSplit
from app.core.split import encode
from tests.core.splits import split, trial

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "assign.json").read_text())
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


def client_split(given: CoreSplit) -> Split:
    return Split(json.loads(encode(given)))


@pytest.mark.parametrize(("salt", "identity", "expected"), GOLDEN["hash01"])
def test_the_hash_is_everybodys(salt, identity, expected):
    assert hash01(salt, identity) == expected


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_it_draws_as_the_vectors_say(case):
    one = Split(case["split"])
    for segment, assignments in case["assignments"].items():
        for identity, expected in assignments.items():
            slice_, arm = one.draw(identity, segment)
            mirror = one.mirror(slice_)
            assert [slice_, arm, session_group(identity), *([mirror] if mirror else [])] == expected


@given(st.sampled_from(["a", "b"]), TEXT, st.floats(0, 0.5), st.floats(0, 0.4), st.booleans())
def test_any_split_is_drawn_as_the_core_draws(tenant, identity, holdout, share, on_trial):
    made = trial(2) if on_trial else split(2)
    made = msgspec.structs.replace(
        made,
        holdout_share=holdout,
        segment_by="tenant",
        segments=("a",),
        weights={"*": {"big": 1 - share, "small": share}, "a": {"big": share, "small": 1 - share}},
    )
    ours, parts = client_split(made), {"tenant": tenant}
    segment = segment_for(made, SegmentParts(tenant=tenant))
    assert ours.segment(parts) == segment
    expected = assign(made, identity, segment)
    assert (*ours.draw(identity, segment), session_group(identity)) == (
        expected.slice,
        expected.arm,
        expected.session_group,
    )


@given(st.text(max_size=50), st.text(max_size=200))
def test_every_hash_agrees(salt, identity):
    try:
        expected = core_hash01(salt, identity)
    except UnicodeEncodeError:
        return
    assert hash01(salt, identity) == expected


@given(
    NAME, NAME, TEXT, TEXT, TEXT, st.sampled_from(["main", "trial", "holdout"]), st.integers(0, 2**53),
    st.none() | st.integers(0, 63),
)  # fmt: skip
def test_a_receipt_has_the_optimizers_bytes_and_comes_back(service, arm, tenant, task, region, slice_, version, group):
    ours = Receipt(service, arm, tenant, task, region, slice_, version, group)
    theirs = CoreReceipt(service, arm, SegmentParts(tenant, task, region), slice_, version, group)
    written = with_receipt("u", ours)
    assert written == ids.request_id("u", theirs)
    assert receipt_of(written) == ours
    assert ids.receipt_of(written) == theirs


@given(st.binary(max_size=80))
def test_a_damaged_receipt_is_none_and_never_an_error(raw):
    import base64

    text = "u." + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    found = receipt_of(text)
    assert (found is None) == (ids.receipt_of(text) is None)


@pytest.mark.parametrize("text", ["", "plain", "u.", "u.!!", "u.ü", "u.k"])
def test_an_id_without_a_receipt_has_none(text):
    assert receipt_of(text) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"service": "s", "version": 1, "incumbent": "a", "arms": [], "weights": {}},
        {"service": "s", "version": 1, "incumbent": "a", "arms": [{"name": "a"}], "weights": {"*": 3}},
        {"service": "s", "version": 1, "incumbent": "a", "arms": [{"name": "a"}], "weights": {}, "trial": {"id": "t"}},
    ],
)
def test_what_is_no_split_is_refused(document):
    with pytest.raises(ValueError, match="not a split"):
        Split(document)


def test_fallbacks_come_before_the_incumbent():
    arms = [{"name": "a"}, {"name": "b", "features": {"fallbacks": ["c", "gone", 7]}}, {"name": "c"}]
    one = Split({"service": "s", "version": 1, "incumbent": "a", "arms": arms, "weights": {}})
    assert one.order("b") == ["b", "c", "a"]
