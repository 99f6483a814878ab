import msgspec
import pytest

from app.adapters.kafka.subscriber import Seen
from app.core.outputs import ACCEPTED, AGGREGATE, DECIDED, SAVINGS, SPLIT
from app.core.split import ArmDefinition, Split
from app.core.split import encode as encode_split
from app.settings import Topics
from app.sim.ledger import Sums
from app.sim.watch import Watch

TOPICS = Topics()


def seen(topic, type_, id_, value, **headers: str):
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return Seen(topic, 0, 0, 1_700_000_000_000, "chat", type_, id_, "2026-01-01T00:02:00Z", pairs, raw)


def row(**changes: object):
    return {
        "service": "chat",
        "segment": "*",
        "arm": "a",
        "slice": "*",
        "window_start": "2026-01-01T00:01:00Z",
        "window_end": "2026-01-01T00:02:00Z",
        "window_s": 60,
        "count": 5,
        "errors": 1,
        "late": 0,
        "input_tokens": 100,
        "output_tokens": 50,
        "cost_usd": 0.5,
        "latency_ms": {"mean": 100.0, "p95": 200.0, "max": 300.0},
        "quality": {"judge": {"n": 2, "mean": 0.75}},
        "complete": True,
        "histogram": None,
        **changes,
    }


def aggregate(id_, **changes: object):
    return seen(TOPICS.aggregates, AGGREGATE, id_, row(**changes))


@pytest.fixture
def watch():
    return Watch(TOPICS)


def test_minutes_add_up_over_segments_and_not_over_slices_or_totals(watch):
    watch.take(
        [
            aggregate("1", segment="faq"),
            aggregate("2", segment="other"),
            aggregate("3", segment="faq", slice="main"),
            aggregate("4", arm="*", count=10),
        ]
    )
    ((key, sums),) = watch.minutes.items()
    assert key[:2] == ("chat", "a")
    assert sums == Sums(10, 2, 200, 100, 4, 1.0, 3.0)


def test_the_total_row_says_how_far_the_optimizer_is_and_what_came_late(watch):
    watch.take([aggregate("1", arm="*", late=3, complete=False)])
    assert watch.closed_s == {"chat": 1_767_225_720}
    assert (watch.late, watch.incomplete) == (3, 1)


def test_longer_windows_feed_the_view_and_not_the_count(watch):
    watch.take([aggregate("1", window_s=900)])
    assert watch.minutes == {}
    assert watch.recent["chat", "a"].count == 5


def test_a_repeated_id_is_taken_once_and_another_payload_under_it_is_a_conflict(watch):
    watch.take([aggregate("1"), aggregate("1")])
    assert (watch.repeated, watch.conflicts) == (1, [])
    watch.take([aggregate("1", count=6)])
    assert len(watch.conflicts) == 1
    assert next(iter(watch.minutes.values())).requests == 5


def test_the_newest_split_wins_whatever_comes_last(watch):
    def split(version):
        return Split(
            service="chat",
            version=version,
            decision_id="d",
            incumbent="a",
            arms=(ArmDefinition(name="a", model="a"),),
            weights={"*": {"a": 1.0}},
        )

    watch.take([seen(TOPICS.splits, SPLIT, str(v), encode_split(split(v))) for v in (1, 3, 2)])
    assert watch.splits["chat"].version == 3


def test_decisions_and_outcomes_are_kept_in_order(watch):
    decision = {"decision_id": "d1", "service": "chat", "action": "open-trial", "rationale": "Try it."}
    outcome = {"decision_id": "d1", "service": "chat", "version": 2, "gateway": "orchestrator"}
    watch.take(
        [
            seen(TOPICS.optimizations, DECIDED, "1", decision),
            seen(TOPICS.optimizations, ACCEPTED, "2", outcome),
        ]
    )
    assert [(t.status, t.action, t.is_decision) for t in watch.told] == [
        ("decided", "open-trial", True),
        ("accepted", "", False),
    ]


def test_the_newest_word_about_savings_is_kept(watch):
    said = {"service": "chat", "baseline": "large", "until": "2026-01-01T01:00:00Z", "requests": 900, "saving": 0.002}
    later = {**said, "holdout_requests": 50, "low": 0.001, "high": 0.003, "proven": True, "saved_usd": 1.8}
    watch.take(
        [
            seen(TOPICS.aggregates_hourly, SAVINGS, "1", {**said, "holdout_requests": 20}),
            seen(TOPICS.aggregates_hourly, SAVINGS, "2", later),
        ]
    )
    proof = watch.savings["chat"]
    assert (proof.holdout_requests, proof.low, proof.high, proof.proven) == (50, 0.001, 0.003, True)


def test_dead_letters_are_counted_by_reason_and_unreadable_records_are_counted(watch):
    watch.take(
        [
            seen(TOPICS.dead_letters, "", "", b"{", reason="not_json"),
            seen(TOPICS.dead_letters, "", "", b"{", reason="not_json"),
            seen(TOPICS.aggregates, AGGREGATE, "9", b"[]"),
            seen(TOPICS.optimizations, DECIDED, "9", b"[]"),
        ]
    )
    assert watch.dead_letters == {"not_json": 2}
    assert watch.unreadable == 2
