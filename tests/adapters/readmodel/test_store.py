import random
import sqlite3
from contextlib import suppress

import msgspec
import pytest

from app.adapters.readmodel.rows import ROWS
from app.adapters.readmodel.store import Store
from tests.adapters.readmodel.reference import fold, held
from tests.adapters.readmodel.worlds import ABOUT, ROLES, dead_letter, records, seen


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "model.sqlite", ROLES, ABOUT)
    yield made
    made.close()


def everything(store):
    order = {row.table: ", ".join(f'"{name}"' for name in row.key) for row in ROWS}
    return {
        table: [tuple(r) for r in store.query(f"SELECT * FROM {table} ORDER BY {by}")]  # noqa: S608  # fixed names
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


def test_batches_cut_anywhere_taken_twice_and_stopped_in_the_middle_give_the_same_model(store, tmp_path, monkeypatch):
    given = records()
    store.take(given)
    whole = everything(store)
    rnd, path = random.Random(5), tmp_path / "other.sqlite"
    at = 0
    while at < len(given):
        other = Store(path, ROLES, ABOUT)
        start = max(0, at - rnd.randrange(40))
        batch = given[start : at + rnd.randrange(1, 200)]
        if rnd.random() < 0.5:
            stop = rnd.randrange(len(batch))

            def killed(database, role, record, batch=batch, stop=stop, add=other._add):
                if record is batch[stop]:
                    raise KeyboardInterrupt
                add(database, role, record)

            monkeypatch.setattr(other, "_add", killed)
            with suppress(KeyboardInterrupt):
                other.take(batch)
        else:
            other.take(batch)
            at = start + len(batch)
        other.close()
    again = Store(path, ROLES, ABOUT)
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
    first = Store(tmp_path / "m.sqlite", ROLES, ABOUT)
    first.take(records())
    first.close()
    same = Store(tmp_path / "m.sqlite", ROLES, ABOUT)
    assert same.positions()
    same.close()
    other = Store(tmp_path / "m.sqlite", ROLES, {"cluster": "two"})
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
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.query("DELETE FROM events")


def _headers(type_, id_):
    said = {
        "ce_specversion": "1.0",
        "ce_type": type_,
        "ce_source": "/t",
        "ce_id": id_,
        "content-type": "application/json",
    }
    return tuple((name, text.encode()) for name, text in said.items())
