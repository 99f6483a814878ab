import time

import pytest

from app.sim.child_process import ChildDiedError, page, worker

OBEDIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", file=sys.stderr, flush=True)
signal.pause()
"""
SURROUNDINGS = """
import os, sys
print(sorted({"KAFKA_BROKERS", "LLM_OPTIMIZER__WEB__PORT", "OTHER"} & set(os.environ)), file=sys.stderr)
"""


def child(tmp_path, code):
    made = worker(tmp_path / "settings.toml", tmp_path / "log", tmp_path / "facts")
    made._command = ["-c", code]
    return made


def wait_for(seen, timeout_s=10.0):
    until_s = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < until_s, "nothing happened"


def test_it_runs_the_command_of_a_user(tmp_path):
    made = worker(tmp_path / "settings.toml", tmp_path / "log", tmp_path / "facts")
    assert made._command[1:4] == ["app.cli.main", "--config", str(tmp_path / "settings.toml")]
    assert made._command[4:] == ["worker", "--tee", str(tmp_path / "facts")]
    assert page(tmp_path / "settings.toml", tmp_path / "log")._command[4:] == ["serve"]


def test_it_is_asked_to_leave_when_the_block_ends(tmp_path):
    with child(tmp_path, OBEDIENT) as running:
        wait_for(lambda: "ready" in running.last_words())
        running.check()
    assert running.exit_code == 0


def test_a_worker_that_died_is_an_error_with_the_end_of_its_log(tmp_path):
    with child(tmp_path, "raise SystemExit('no broker anywhere')") as running:
        assert running._child is not None
        running._child.wait(10)
        with pytest.raises(ChildDiedError, match=r"exit code 1(.|\n)*no broker anywhere"):
            running.check()
    assert running.exit_code == 1


def test_settings_of_the_surroundings_do_not_reach_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KAFKA_BROKERS", "elsewhere:9092")
    monkeypatch.setenv("LLM_OPTIMIZER__WEB__PORT", "1")
    monkeypatch.setenv("OTHER", "kept")
    with child(tmp_path, SURROUNDINGS) as running:
        assert running._child is not None
        running._child.wait(10)
    assert running.last_words() == "['OTHER']"


def test_stopping_twice_is_harmless(tmp_path):
    with child(tmp_path, OBEDIENT) as running:
        wait_for(lambda: "ready" in running.last_words())
        running.stop()
        running.stop()
    assert running.exit_code == 0
