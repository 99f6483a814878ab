"""What only a database shared by many processes can meet: others that write, others' schemas, lost connections."""

import random
import sys
from contextlib import suppress

import msgspec
import psycopg
import pytest

from app.adapters.readmodel.model import Model
from app.adapters.readmodel.postgres import PostgresStore
from app.adapters.readmodel.postgres_pool import connect
from app.adapters.readmodel.schema import VERSION
from app.adapters.readmodel.store import StoreError
from tests.adapters.readmodel.reference import fold, held
from tests.adapters.readmodel.worlds import ABOUT, ROLES, dead_letter, records

pytestmark = pytest.mark.e2e
HELD = "app.adapters.readmodel.postgres.VERSION"


@pytest.fixture
def open_store(postgres, request):
    made = []

    def open_(about=ABOUT):
        made.append(PostgresStore(postgres, f"p_{abs(hash(request.node.name))}", ROLES, about))
        return made[-1]

    yield open_
    for store in made:
        store.close()


def test_replicas_that_read_the_same_records_in_any_turns_make_one_fold(open_store):
    given = [*records(), *map(dead_letter, range(30))]
    replicas, rnd = [open_store() for _ in range(3)], random.Random(11)
    at = dict.fromkeys(range(3), 0)
    while min(at.values()) < len(given):
        turn = rnd.randrange(3)
        if rnd.random() < 0.1:  # begun again: it goes on where the database is
            replicas[turn].close()
            replicas[turn] = open_store()
            places = replicas[turn].positions()
            ahead = (n for n, r in enumerate(given) if r.offset >= places.get((r.topic, r.partition), 0))
            at[turn] = min(next(ahead, len(given)), len(given))
            continue
        batch = given[at[turn] : at[turn] + rnd.randrange(1, 300)]
        replicas[turn].take(batch)
        at[turn] += len(batch)
    assert held(replicas[0]) == fold(given, ROLES)
    assert [r.decision_id for r in Model(replicas[1]).newer_events(0, None)[0]]


def test_who_reads_a_topic_again_makes_the_others_ask_where_to_go_on(open_store):
    given = records()
    first, second = open_store(), open_store()
    first.take(given)
    second.positions()
    first.forget(first.positions())
    first.take(given[:50])
    with pytest.raises(StoreError, match="again"):
        second.take([msgspec.structs.replace(given[-1], offset=given[-1].offset + 1)])
    second.forget(second.positions() and {("llm.splits", 0): 99})
    second.positions()
    second.take(given)
    ids = {key: value for key, value in held(second).items() if key != "counts"}
    assert ids == {key: value for key, value in fold(given, ROLES).items() if key != "counts"}


def test_a_schema_of_another_cluster_or_a_newer_version_is_left_alone(open_store, monkeypatch):
    open_store().take(records())
    with pytest.raises(StoreError, match="another cluster"):
        open_store({"cluster": "two"})
    with monkeypatch.context() as older:
        older.setattr(HELD, VERSION - 1)
        with pytest.raises(StoreError, match="newer version"):
            open_store()
    assert open_store().positions()


def test_an_older_version_is_read_again_and_its_processes_stop_writing(open_store, monkeypatch):
    old = open_store()
    old.take(records())
    monkeypatch.setattr(HELD, VERSION + 1)
    assert open_store().positions() == {}
    monkeypatch.setattr(HELD, VERSION)
    with pytest.raises(StoreError, match="newer version"):
        old.take([dead_letter(0)])


def test_a_lost_connection_is_an_error_once_and_nothing_is_lost(open_store, postgres):
    store, given = open_store(), records()
    store.take(given[:100])
    store.query("SELECT 1 AS one")
    with psycopg.connect(postgres, autocommit=True) as root:
        root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llm-optimizer'")
    with pytest.raises(StoreError, match="database"):
        store.take(given[100:])
    with suppress(StoreError):
        store.query("SELECT 1 AS one")
    assert store.query("SELECT 1 AS one")[0]["one"] == 1
    store.take(given[100:])
    assert held(store) == fold(given, ROLES)


def test_a_question_is_asked_with_values_never_with_text(open_store):
    store = open_store()
    store.take(records())
    for odd in ("'; DROP TABLE events; --", "%s", "?", "a\0b", "\u2028"):
        assert store.query("SELECT id FROM events WHERE service = ? AND id <> '%'", (odd,)) == []
    assert store.query("SELECT count(*) AS n FROM events")[0]["n"] > 0


def test_without_the_extra_the_error_names_it(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StoreError, match=r"llm-auto-optimizer\[postgres\]"):
        connect("postgresql://nowhere", "s", writes=False)


def test_a_password_is_in_no_error():
    with pytest.raises(StoreError) as error:
        connect("postgresql://u:hunter2@127.0.0.1:1/x", "s", writes=False)
    assert "hunter2" not in str(error.value)
