import msgspec
import pytest

from app.adapters.readmodel.model import Model, TooManyError
from app.adapters.readmodel.paging import CursorError, Wanted
from app.core.row import Tick
from app.core.service import step
from app.core.sketch import merge_into, quantiles, unpack
from tests.adapters.readmodel.stores import BOTH, opener
from tests.adapters.readmodel.worlds import document, outputs, records
from tests.core.loop import START_S
from tests.core.test_flow import NOW_S, control, finding, row_of
from tests.core.test_modes import said_by


@pytest.fixture(scope="module", params=BOTH)
def model(request, tmp_path_factory):
    store = opener(request, request.param, tmp_path_factory.mktemp("model"))()
    store.take(records())
    yield Model(store)
    store.close()


def test_pages_hold_every_event_once_newest_first(model):
    found, cursor = [], ""
    while True:
        events, cursor = model.events(Wanted(), cursor, limit=3)
        found += events
        if not cursor:
            break
    assert sorted(e.id for e in found) == sorted(o.id for o in outputs() if o.role == "optimizations")
    assert [e.time for e in found] == sorted((e.time for e in found), reverse=True)


def test_filters_narrow_a_page(model):
    decided, _ = model.events(Wanted().one_of("status", ["decided"]).where("action = ?", "roll-back"))
    assert [e.action for e in decided] == ["roll-back"]
    assert model.events(Wanted(services=("other",)))[0] == []


def test_a_cursor_of_somebody_else_is_refused(model):
    for cursor in ("x", "bm8", "W10", "WzFlMzAsICJhIl0"):
        with pytest.raises(CursorError):
            model.events(Wanted(), cursor)


def test_a_decision_is_told_with_what_became_of_it(model):
    (opened,), _ = model.events(Wanted().where("action = ?", "open-trial"), limit=1)
    told = model.decision(opened.decision_id)
    assert told[0].status == "decided"
    assert model.decision(opened.decision_id, ("other",)) == []
    assert model.decision("nothing") == []


def test_a_sliding_window_has_the_quantiles_of_all_its_minutes(model):
    start, end = START_S + 300, START_S + 1500
    (total,) = [row for row in model.sliding("chat", 60, start, end) if row.arm == "*"]
    minutes = [msgspec.json.decode(o.data) for o in outputs() if o.role == "aggregates"]
    minutes = [m for m in minutes if m["window_s"] == 60 and m["arm"] == "*" and m["service"] == "chat"]
    inside = [m for m in minutes if total.start <= m["window_start"] and m["window_end"] <= total.end]
    histogram: dict[int, int] = {}
    for minute in inside:
        merge_into(histogram, unpack(msgspec.convert(minute["histogram"], bytes)))
    assert total.windows == len(inside) == 20
    assert total.count == sum(m["count"] for m in inside)
    assert [total.latency_ms_p50, total.latency_ms_p95, total.latency_ms_p99] == quantiles(histogram, (0.5, 0.95, 0.99))
    assert total.quality["judge"]["n"] == sum(m["quality"]["judge"]["n"] for m in inside)


def test_too_many_windows_are_refused_not_cut(model, monkeypatch):
    monkeypatch.setattr("app.adapters.readmodel.model.MAX_MERGED", 5)
    with pytest.raises(TooManyError):
        model.sliding("chat", 60, 0, 2**40)


def test_a_service_stands_where_its_newest_events_say(model):
    state = model.state("chat")
    assert (state.mode, state.configured, state.version) == ("auto", True, model.split("chat").version)
    assert state.counted_until > "2023"
    assert model.state("nobody") is None
    assert model.document("chat") == document()
    assert "chat" in model.names()
    assert model.names(("other",)) == []


def test_an_aborted_trial_is_over_and_the_next_one_runs(model):
    newest, aborted = model.trials()
    assert (aborted.status, aborted.ended_with, aborted.winner) == ("completed", "roll-back", "big")
    assert (newest.status, newest.arm, newest.share, newest.end_time) == ("running", "small", 0.5, None)
    assert model.trials(status="completed") == [aborted]
    assert model.trial(aborted.id) == aborted
    assert model.trial("none") is None


def test_commands_say_who(model):
    commands, _ = model.commands(Wanted())
    assert {(c.command, c.actor, c.service) for c in commands} == {("configure", "ana", "chat"), ("pause", "bo", "*")}
    assert model.command("order-0").reason == "a start"


def test_the_views_of_the_requirements_answer_sql(model):
    decisions = model.store.query("SELECT * FROM optimization_decisions ORDER BY created_at, id")
    assert {r["status"] for r in decisions} <= {"decided", "verified", "rolled-back"}
    assert all(_listed(r["target_services"]) == ["chat"] for r in decisions)
    assert all(r["created_at"].endswith("Z") and msgspec.json.decode(r["changes"]) for r in decisions)
    profile = model.store.query("SELECT * FROM model_performance WHERE service = 'chat'")
    assert {r["model_id"] for r in profile} == {"gpt-big", "gpt-small"}
    assert all(r["throughput_qps"] == pytest.approx(r["throughput_qps"]) and r["cost_per_1k"] > 0 for r in profile)
    assert {r["status"] for r in model.store.query("SELECT * FROM experiments")} == {"running", "completed"}


def test_a_follower_gets_every_event_once_in_the_order_of_the_log(model):
    place, found = 0, []
    while True:
        events, place = model.newer_events(place, None)
        found += [e.id for e in events]
        if not events:
            break
    assert found == [o.id for o in outputs() if o.role == "optimizations"]
    assert model.place_of() == place == model.place_of(found[-1])
    assert model.newer_events(model.place_of(found[0]), None, service="chat")[0][0].id == found[1]
    assert model.newer_events(0, ("other",))[0] == []


def _listed(value):
    """SQLite has no arrays: it is JSON there."""
    return value if isinstance(value, list) else msgspec.json.decode(value)


@pytest.mark.parametrize("kind", BOTH)
def test_of_several_challengers_the_one_that_went_on_is_told(kind, request, tmp_path):
    row = said_by(row_of(), "slices")
    said = []
    for evidence in (
        control("experiment.start", {"arms": ["cheap", "good", "fast"]}),
        Tick(),
        finding("critical", "quality_judge", "cheap"),
    ):
        row, outs = step(row, evidence, NOW_S)
        said += outs
    make = opener(request, kind, tmp_path)
    store = make("before")
    store.take(records(said))
    (open_,) = Model(store).trials()
    assert (open_.arm, open_.status) == ("good", "running")
    assert open_.share == pytest.approx(1 / 30)
    for evidence in (finding("critical", "quality_judge", "good"), control("promote", {})):
        row, outs = step(row, evidence, NOW_S)
        said += outs
    store.close()
    other = make("after")
    other.take(records(said))
    (done,) = Model(other).trials()
    assert (done.arm, done.winner, done.ended_with) == ("fast", "fast", "promote")
    other.close()
