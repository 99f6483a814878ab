"""What a gateway keeps, and its bounds."""

import pytest

from app.adapters.gateways.store import SplitStore
from app.core.ports import Conflict, Refused
from tests.core.splits import split


def test_without_if_match_a_newer_version_is_taken():
    store = SplitStore()
    store.put(split(1))
    assert store.put(split(2)).status == "applied"


def test_other_content_under_the_same_version_needs_if_match():
    store = SplitStore()
    etag = store.put(split(1)).etag
    other = split(1, weights={"*": {"small": 1.0}})
    with pytest.raises(Conflict, match="If-Match"):
        store.put(other)
    assert store.put(other, etag).status == "applied"


def test_an_etag_never_comes_back():
    store = SplitStore()
    etags = {store.put(split(1)).etag}
    for one in (split(1, weights={"*": {"small": 1.0}}), split(1)) * 3:
        held = store.read("bot")
        assert held is not None
        etags.add(store.put(one, held.etag).etag)
    assert len(etags) == 7


def test_a_service_beyond_the_bound_is_refused_until_one_is_removed():
    store = SplitStore(max_services=1)
    store.put(split(1, service="a"))
    with pytest.raises(Refused, match="room for 1"):
        store.put(split(1, service="b"))
    store.put(split(2, service="a"))
    assert store.remove("a")
    store.put(split(1, service="b"))
    assert store.services() == ("b",)


def test_the_oldest_key_is_forgotten_first():
    store = SplitStore(max_keys=2)
    for version in (1, 2, 3):
        store.put(split(version), key=f"k{version}")
    assert store.put(split(3), key="k3").status == "applied"
    assert store.put(split(1), key="k1").status == "ignored"


def test_removing_asks_for_the_state_it_names():
    store = SplitStore()
    etag = store.put(split(1)).etag
    with pytest.raises(Conflict):
        store.remove("bot", "other")
    assert store.remove("bot", etag)
    assert not store.remove("bot")
