import random
import re
import sqlite3
from contextlib import suppress

import msgspec
import psycopg
import pytest

from app.adapters.readmodel.rows import ROWS
from app.adapters.readmodel.sqlite import SqliteStore
from tests.adapters.readmodel.reference import fold, held
from tests.adapters.readmodel.stores import BOTH, opener, plain
from tests.adapters.readmodel.worlds import ABOUT, ROLES, dead_letter, records, seen


@pytest.fixture(params=BOTH)
def open_store(request, tmp_path):
    return opener(request, request.param, tmp_path)


@pytest.fixture
def store(open_store):
    made = open_store()
    yield made
    made.close()


def everything(store):
    order = {row.table: ", ".join(f'"{name}"' for name in row.key) for row in ROWS}
    return {
        table: [plain(r) for r in store.query(f"SELECT * FROM {table} ORDER BY {by}")]  # noqa: S608  # fixed names
        for table, by in order.items()
    }


def test_the_model_is_the_reference_fold_of_its_topics(store):
    given = [*records(), dead_letter(0), dead_letter(1)]
    assert store.take(given) == len(given)
    assert held(store) == fold(given, ROLES)


def test_an_id_counts_once_and_other_bytes_under_it_are_a_counted_conflict(store):
    given = records()
    again = [msgspec.structs.replace(r, offset=r.offset + 10_000) for r in given]
    other = next(r for r in given if r.type.endswith("decided"))
    lie = msgspec.structs.replace(other, offset=20_000, value=other.value.replace(b'"chat"', b'"chut"'))
    store.take([*given, *again, lie])
    counters = store.counters()
    assert sum(counters["repeated"].values()) == len(given)
    assert counters["conflicts"] == {"optimizations": 1}
    assert held(store) == fold([*given, *again, lie], ROLES)


def test_batches_cut_anywhere_taken_twice_and_stopped_in_the_middle_give_the_same_model(store, open_store, monkeypatch):
    given = records()
    store.take(given)
    whole = everything(store)
    rnd = random.Random(5)
    at = 0
    while at < len(given):
        other = open_store("other")
        other.positions()
        start = max(0, at - rnd.randrange(40))
        batch = given[start : at + rnd.randrange(1, 200)]
        if rnd.random() < 0.5:
            monkeypatch.setattr(other, *stopped_at(other, batch, rnd.randrange(len(batch))))
            with suppress(KeyboardInterrupt):
                other.take(batch)
        else:
            other.take(batch)
            at = start + len(batch)
        other.close()
    again = open_store("other")
    assert everything(again) == whole
    assert again.counters() == store.counters()
    again.close()


def test_what_cannot_be_read_is_counted_and_stops_nothing(store):
    bad = [
        seen("optimizations", 0, b"\xff\xfe", ()),
        seen("aggregates", 0, b'{"service":1}', _headers("io.llm-platform.optimizer.aggregate", "a")),
        seen("splits", 0, b"", _headers("io.llm-platform.optimizer.split", "s")),
        seen("commands", 0, b'{"command":"explode"}', _headers("io.llm-platform.optimizer.command", "c")),
    ]
    store.take([*bad, dead_letter(7, "too_late")])
    assert sum(store.counters()["unreadable"].values()) == 4
    assert store.counters()["dead_letters"] == {"too_late": 1}
    assert len(store.positions()) == 5


def test_an_event_of_another_kind_is_passed_over(store):
    store.take([seen("optimizations", 0, b"{}", _headers("io.example.other", "o"))])
    assert store.counters()["ignored"] == {"optimizations": 1}


def test_a_file_of_another_cluster_is_begun_again(tmp_path):
    first = SqliteStore(tmp_path / "m.sqlite", ROLES, ABOUT)
    first.take(records())
    first.close()
    same = SqliteStore(tmp_path / "m.sqlite", ROLES, ABOUT)
    assert same.positions()
    same.close()
    other = SqliteStore(tmp_path / "m.sqlite", ROLES, {"cluster": "two"})
    assert other.positions() == {}
    assert held(other)["events"] == set()
    other.close()


def test_rows_go_when_the_broker_would_delete_their_records(store):
    given = records()
    store.take(given)
    newest = max(r.append_ms for r in given)
    minute = 60_000
    store.prune({"aggregates": 10 * minute}, newest)
    left = store.query("SELECT window_s, min(append_ms) AS oldest, count(*) AS n FROM aggregates GROUP BY window_s")
    assert all(row["oldest"] >= newest - 10 * minute for row in left if row["window_s"] < 3600)
    assert any(row["window_s"] == 3600 for row in left)
    assert store.query("SELECT count(*) AS n FROM events")[0]["n"] == len(fold(given, ROLES)["events"])


def test_readers_cannot_write(store):
    with pytest.raises((sqlite3.OperationalError, psycopg.errors.ReadOnlySqlTransaction), match=r"read-?only"):
        store.query("DELETE FROM events")


def ends(records):
    return {(r.topic, r.partition): r.offset + 1 for r in records}


def stopped_at(store, batch, stop):
    """What to replace in a store so that it dies within its transaction, after some rows."""
    if isinstance(store, SqliteStore):

        def killed(database, role, record, add=store._add):
            if record is batch[stop]:
                raise KeyboardInterrupt
            add(database, role, record)

        return "_add", killed

    def put(database, records, put=store._put):
        put(database, records[:stop])
        raise KeyboardInterrupt

    return "_put", put


def test_odd_events_are_counted_or_kept_and_never_stop_the_rest(store):
    decided = next(r for r in records() if r.type.endswith("decided"))
    odd = [
        decided.value.replace(b'"rationale":"', b'"rationale":"a\\u0000b'),
        decided.value.replace(b'"decision_id":"', b'"decision_id":"' + b"x" * 5000),
        re.sub(rb'"version":\d+', b'"version":99999999999999999999', decided.value),
        re.sub(rb'"confidence":[\d.]+', b'"confidence":"much"', decided.value),
    ]
    given = [seen("optimizations", n, value, _headers(decided.type, f"odd-{n}")) for n, value in enumerate(odd)]
    store.take(given)
    assert [r["id"] for r in store.query("SELECT id FROM events ORDER BY id")] == ["odd-0", "odd-3"]
    assert sum(store.counters()["unreadable"].values()) == 2
    assert store.positions() == ends(given)
    assert len(store.query("SELECT * FROM optimization_decisions")) == 1


def _headers(type_, id_):
    said = {
        "ce_specversion": "1.0",
        "ce_type": type_,
        "ce_source": "/t",
        "ce_id": id_,
        "content-type": "application/json",
    }
    return tuple((name, text.encode()) for name, text in said.items())
