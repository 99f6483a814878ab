"""The client loses nothing it accepted, says no instead of losing, and counts what became of every event."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llm_optimizer_client import (
    Client,
    InvalidEventError,
    MemoryTransport,
    NotConfiguredError,
    QueueFullError,
    Record,
    Rejection,
    Sent,
)
from llm_optimizer_client import client as client_module

ROOT = Path(__file__).parents[3]
WITHIN_S = 20


class Scripted:
    """A transport that does one thing after the other: ``down``, ``half`` (the second half again), ``raise``, then ``up``."""

    max_records = 100

    def __init__(self, *script: str, refuse: Callable[[Record], bool] = lambda _: False) -> None:
        self._script, self._refuse = list(script), refuse
        self.sent: list[Record] = []
        self.calls = 0
        self.up = threading.Event()
        self.up.set()

    def send(self, records: list[Record]) -> Sent:
        self.calls += 1
        step = self._script.pop(0) if self._script else "up"
        if step == "raise":
            raise RuntimeError("a bug")
        if step == "down" or not self.up.is_set():
            return Sent(again=records, error="down")
        good = [one for one in records if not self._refuse(one)]
        bad = [Rejection(one, "bad_data", "no") for one in records if self._refuse(one)]
        if step == "half":
            kept = good[: len(good) // 2]
            self.sent += kept
            return Sent(len(kept), bad, good[len(kept) :], error="a partition is away")
        self.sent += good
        return Sent(len(good), bad)

    def close(self) -> None: ...

    def after_fork(self) -> None: ...


def tell(client: Client, n: int, start: int = 0) -> list[str]:
    """Ids of the accepted ones of ``n`` events."""
    ids = [f"e{start + i}" for i in range(n)]
    return [id_ for id_ in ids if client.response("chat", "m", 1.0, event_id=id_)]


def ids_of(records: list[Record]) -> list[str]:
    import json

    return [json.loads(one.value)["id"] for one in records]


def balanced(client: Client) -> bool:
    c = client.counts()
    return c.accepted + c.replayed == c.sent + c.rejected + c.damaged + c.abandoned + c.waiting


def test_what_is_accepted_is_sent_and_counted():
    there = MemoryTransport()
    with Client(transport=there) as client:
        told = tell(client, 25)
        assert client.flush(WITHIN_S)
        assert sorted(ids_of(there.records)) == sorted(told)
        counts = client.counts()
        assert (counts.accepted, counts.sent, counts.waiting, counts.refused) == (25, 25, 0, 0)


async def test_it_is_used_in_asynchronous_code_alike():
    there = MemoryTransport()
    async with Client(transport=there) as client:
        tell(client, 3)
        assert await client.aflush(WITHIN_S)
    assert len(there.records) == 3


@pytest.mark.parametrize("spill", [True, False])
@pytest.mark.parametrize("script", [("down",), ("half", "half"), ("raise",), ("down", "half", "raise", "half")])
def test_an_outage_costs_nothing_and_repeats_nothing_that_went(tmp_path, script, spill):
    there = Scripted(*script)
    with Client(transport=there, spill=tmp_path if spill else "") as client:
        told = tell(client, 20)
        assert client.flush(WITHIN_S)
        assert sorted(ids_of(there.sent)) == sorted(told)
        assert client.counts().retries >= 1
        assert balanced(client)


def test_a_full_queue_says_no_and_counts_it():
    there = Scripted()
    there.up.clear()
    client = Client(transport=there, queue=10)
    told = tell(client, 200)
    assert 10 <= len(told) <= 110  # those the sender has taken out already are accepted as well
    assert client.counts().refused == 200 - len(told)
    there.up.set()
    assert client.close(WITHIN_S)
    assert sorted(ids_of(there.sent)) == sorted(told)


def test_both_full_can_be_an_error(tmp_path):
    there = Scripted()
    there.up.clear()
    client = Client(transport=there, queue=0, spill=tmp_path, spill_bytes=70_000, on_full="raise")
    with pytest.raises(QueueFullError, match="full"):
        tell(client, 2_000)
    accepted = client.counts().accepted
    assert accepted == client.counts().spilled > 100
    there.up.set()
    assert client.close(WITHIN_S)
    assert len(there.sent) == accepted


def test_memory_is_the_second_place_when_the_disk_fails(tmp_path, monkeypatch):
    there = MemoryTransport()
    with Client(transport=there, spill=tmp_path) as client:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda *_: 0)
            told = tell(client, 5)
        assert client.counts().unspilled == len(told) == 5
        told += tell(client, 5, start=5)
        assert client.flush(WITHIN_S)
        assert sorted(ids_of(there.records)) == sorted(told)


def test_what_could_not_leave_by_the_close_is_sent_by_the_next_client(tmp_path):
    away = Scripted()
    away.up.clear()
    first = Client(transport=away, spill=tmp_path)
    told = tell(first, 150)
    assert not first.close(0.05)
    assert first.counts().abandoned == 0
    assert balanced(first)
    there = MemoryTransport()
    with Client(transport=there, spill=tmp_path) as second:
        assert second.flush(WITHIN_S)
        assert second.counts().replayed == 150
    assert sorted(ids_of(there.records)) == sorted(told)


def test_without_a_spill_folder_what_could_not_leave_is_counted_and_said(caplog):
    away = Scripted()
    away.up.clear()
    client = Client(transport=away)
    tell(client, 150)
    assert not client.close(0.05)
    counts = client.counts()
    assert (counts.abandoned, counts.waiting) == (150, 0)
    assert "lost" in caplog.text


def test_a_client_that_is_dropped_still_sends_what_it_accepted_before_the_program_ends():
    there = Scripted("down", "down")
    tell(Client(transport=there), 3)
    gc.collect()
    (dropped,) = [client for client in client_module._CLIENTS if client._transport is there]
    assert dropped.close(WITHIN_S)
    assert ids_of(there.sent) == ["e0", "e1", "e2"]


def test_a_closed_client_says_no():
    client = Client(transport=MemoryTransport())
    assert client.close()
    assert client.close()
    assert tell(client, 2) == []
    assert client.counts().refused == 2


def test_what_the_server_refuses_is_counted_by_reason_and_told():
    told: list[Rejection] = []

    def tell_me(rejection: Rejection) -> None:
        told.append(rejection)
        raise RuntimeError("an application's bug")

    there = Scripted(refuse=lambda record: b'"e3"' in record.value)
    with Client(transport=there, on_rejected=tell_me) as client:
        tell(client, 5)
        assert client.flush(WITHIN_S)
        counts = client.counts()
        assert (counts.sent, counts.rejected, counts.reasons) == (4, 1, {"bad_data": 1})
        assert ids_of([one.record for one in told]) == ["e3"]
        assert client.rejections() == told


def test_an_event_that_cannot_go_does_not_hold_up_the_others(tmp_path):
    class OneTopicAway(Scripted):
        def send(self, records: list[Record]) -> Sent:
            good = [one for one in records if one.kind == "response"]
            self.sent += good
            bad = [one for one in records if one.kind == "feedback"]
            return Sent(len(good), [], bad, error="no such topic" if bad else "", others_may_go=bool(bad))

    there = OneTopicAway()
    client = Client(transport=there, spill=tmp_path)
    client.feedback(service="chat", quality=1.0)
    tell(client, 5)
    done = threading.Event()

    def more() -> None:
        tell(client, 5, start=5)
        while len(there.sent) < 10 and not done.wait(0.01):
            pass
        done.set()

    threading.Thread(target=more).start()
    client.flush(0.3)  # in a hurry: short pauses
    assert done.wait(WITHIN_S)
    assert client.counts().requeued >= 1
    assert not client.close(0.05)
    assert client.counts().waiting == 1


def test_bad_events_are_errors_at_the_place_where_they_are_made():
    with Client(transport=MemoryTransport()) as client:
        with pytest.raises(InvalidEventError, match="latency_ms: milliseconds"):
            client.response("chat", "m", -1.0)
        with pytest.raises(InvalidEventError, match="give a request_id"):
            client.feedback("r", quality=0.5)
        assert client.counts().accepted == 0


def test_a_client_without_an_address_says_what_to_give():
    client = Client()
    with pytest.raises(NotConfiguredError, match="LLM_OPTIMIZER_KAFKA"):
        client.response("chat", "m", 1.0)
    with pytest.raises(NotConfiguredError, match="desired="):
        client.select_model("chat")
    with pytest.raises(NotConfiguredError, match="api="):
        client.ask_model("chat")
    assert client.select_model("chat", default="m").model == "m"


@pytest.mark.parametrize(
    "settings", [{"api": "127.0.0.1:8088"}, {"desired": "http://h"}, {"desired": "x", "desired_key": "k"}]
)
def test_an_address_that_is_none_is_an_error_at_once(settings: Any):
    with pytest.raises(ValueError, match=r"http://127|desired_key"):
        Client(**settings)


def test_the_environment_configures_it_and_arguments_go_before_it(tmp_path):
    env = {"LLM_OPTIMIZER_API": "http://h:1", "LLM_OPTIMIZER_SPILL": str(tmp_path / "a"), "LLM_OPTIMIZER_CACHE": ""}
    client = Client.from_environment(env, spill=tmp_path / "b")
    assert client.emits
    assert client.selects
    assert (tmp_path / "b").is_dir()
    assert not (tmp_path / "a").exists()
    client.close(0)


def test_many_threads_may_tell_at_once(tmp_path):
    there = MemoryTransport()
    with Client(transport=there, spill=tmp_path) as client:
        threads = [threading.Thread(target=tell, args=(client, 200, 1000 * n)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WITHIN_S)
        assert client.flush(WITHIN_S)
    assert len(set(ids_of(there.records))) == len(there.records) == 800


def test_a_forked_child_tells_its_own_and_the_parent_its_own(tmp_path):
    there = Scripted()
    there.up.clear()
    client = Client(transport=there, spill=tmp_path / "spill")
    told = tell(client, 5)
    child = os.fork()
    if child == 0:  # pragma: no cover  # in the child
        there.up.set()
        tell(client, 3, start=100)
        ok = client.close(WITHIN_S) and sorted(ids_of(there.sent)) == ["e100", "e101", "e102"]
        os._exit(0 if ok and client.counts().accepted == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0
    there.up.set()
    assert client.close(WITHIN_S)
    assert sorted(ids_of(there.sent)) == told


KILLED = """
import sys
from llm_optimizer_client import Client, Sent

class Away:
    max_records = 100
    def send(self, records): return Sent(again=records, error="away")
    def close(self): ...
    def after_fork(self): ...

client = Client(transport=Away(), spill=sys.argv[1])
n = 0
while True:
    if client.response("chat", "m", 1.0, event_id=f"e{n}"):
        print(f"e{n}", flush=True)  # said after it was accepted
    n += 1
"""


@pytest.mark.simulation
def test_a_process_killed_while_it_tells_has_lost_nothing_it_accepted(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    ) as app:
        assert app.stdout is not None
        said = [app.stdout.readline().strip() for _ in range(500)]
        app.send_signal(signal.SIGKILL)
        said += app.stdout.read().split()
    there = MemoryTransport()
    with Client(transport=there, spill=tmp_path) as client:
        assert client.flush(WITHIN_S)
    sent = ids_of(there.records)
    assert len(sent) == len(set(sent))
    # one more may have been accepted than was said, and the last line may be torn
    assert set(said[:-1]) <= set(sent)
    assert len(sent) - len(said) in {-1, 0, 1}


EXITS = """
import sys
from llm_optimizer_client import Client
client = Client(api=sys.argv[1], spill=sys.argv[2])
client.response("chat", "m", 1.0, event_id="last")
"""


@pytest.mark.simulation
def test_a_program_that_just_ends_leaves_its_events_behind_for_the_next(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "clients" / "python")}
    command = [
        sys.executable,
        "-c",
        EXITS.replace(
            "spill=sys.argv[2])", "spill=sys.argv[2])\nimport llm_optimizer_client.client as c\nc.EXIT_S = 0.1"
        ),
    ]
    subprocess.run([*command, "http://127.0.0.1:9", str(tmp_path)], env=env, check=True, timeout=WITHIN_S)
    there = MemoryTransport()
    with Client(transport=there, spill=tmp_path) as client:
        assert client.flush(WITHIN_S)
    assert ids_of(there.records) == ["last"]
