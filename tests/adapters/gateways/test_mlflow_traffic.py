"""When a split counts as in use at MLflow."""

from datetime import UTC, datetime

import msgspec
import pytest

from app.adapters.gateways.mlflow_endpoint import Endpoint, Kept
from app.adapters.gateways.mlflow_traffic import LOOK_S, Traffic
from app.core.ports import Unavailable
from tests.core.splits import split

MODELS = {"big": "openai/big-1", "small": "openai/small-1"}
BEFORE = Kept(split(1), MODELS)
AFTER = Kept(split(2, weights={"*": {"small": 1.0}}), MODELS)
UPDATED_S = 1_700_000_000


def traffic(*, now=100.0, kept=AFTER, before=BEFORE, tracked=True, earlier=None):
    endpoint = Endpoint("e", "bot", last_updated_at=UPDATED_S * 1000, experiment_id="7", usage_tracking=tracked)
    return Traffic(endpoint, kept, before, 60.0, now, earlier)


def counts(*buckets: tuple[int, str, int]) -> bytes:
    """Answer with buckets of (seconds after the update, model, requests)."""
    points = [
        {
            "dimensions": {"span_name": name, "time_bucket": datetime.fromtimestamp(UPDATED_S + at_s, UTC).isoformat()},
            "values": {"COUNT": float(n)},
        }
        for at_s, model, n in buckets
        for name in (f"provider/{model}", "gateway/bot")
    ]
    return msgspec.json.encode({"data_points": points})


def test_it_is_taken_once_the_newest_requests_are_of_the_new_split():
    one = traffic()
    one.learn(110.0, counts((5, "openai/big-1", 50)))
    assert not one.followed
    one.learn(120.0, counts((5, "openai/big-1", 50), (15, "openai/small-1", 20)))
    assert one.followed


def test_counts_are_not_asked_for_all_the_time():
    one = traffic()
    assert one.due(100.0)
    one.learn(100.0, counts())
    assert (one.due(100.0 + LOOK_S / 2), one.due(100.0 + LOOK_S)) == (False, True)


def test_without_traffic_the_caches_time_is_waited_for():
    one = traffic()
    one.learn(174.0, counts((3, "openai/big-1", 4)))
    assert not one.followed
    one.learn(175.0, counts((3, "openai/big-1", 4)))
    assert one.followed


def test_traffic_that_goes_on_by_the_old_split_is_believed_and_not_the_clock():
    one = traffic()
    one.learn(1_000.0, counts((700, "openai/big-1", 9)))
    assert not one.followed


def test_little_traffic_that_fits_is_enough_after_the_caches_time():
    one = traffic()
    one.learn(176.0, counts((61, "openai/small-1", 2), (3, "openai/big-1", 9)))
    assert one.followed


def test_what_serves_the_same_as_what_arrived_is_in_use_already():
    arrived, same = traffic(), Kept(split(3, weights={"*": {"small": 1.0}}), MODELS)
    arrived.learn(120.0, counts((15, "openai/small-1", 20)))
    assert traffic(kept=same, before=AFTER, earlier=arrived).followed


def test_what_serves_the_same_as_what_never_arrived_has_to_be_seen():
    same = Kept(split(3, weights={"*": {"small": 1.0}}), MODELS)
    one = traffic(kept=same, before=AFTER, earlier=traffic())
    one.learn(110.0, counts((5, "openai/big-1", 50)))
    assert not one.followed
    one.learn(120.0, counts((5, "openai/big-1", 50), (15, "openai/small-1", 20)))
    assert one.followed


def test_after_a_restart_nothing_is_taken_for_granted():
    assert not traffic(kept=Kept(split(2), MODELS)).followed


def test_where_mlflow_keeps_no_counts_it_can_only_be_waited_for():
    one = traffic(tracked=False)
    assert one.question() is None
    one.learn(120.0, b"")
    assert not one.followed
    one.learn(175.0, b"")
    assert one.followed


def test_it_asks_for_the_requests_since_the_update():
    question = traffic().question()
    assert (question["experiment_ids"], question["start_time_ms"]) == (["7"], UPDATED_S * 1000)


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"data_points": [{"dimensions": {"span_name": "provider/a/b"}, "values": {"COUNT": 1.0}}]}',
     b'{"data_points": [{"dimensions": {"span_name": "provider/a/b", "time_bucket": "soon"}, "values": {"COUNT": 1.0}}]}'],
    ids=range(4),
)  # fmt: skip
def test_an_unreadable_answer_is_no_answer(body):
    with pytest.raises(Unavailable, match="unreadable"):
        traffic().learn(110.0, body)
