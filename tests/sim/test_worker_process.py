import time

import pytest

from app.sim.worker_process import WorkerDiedError, WorkerProcess

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
    made = WorkerProcess(tmp_path / "settings.toml", tmp_path / "log", tmp_path / "facts")
    made._command = ["-c", code]
    return made


def wait_for(seen, timeout_s=10.0):
    until_s = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < until_s, "nothing happened"


def test_it_runs_the_command_of_a_user(tmp_path):
    made = WorkerProcess(tmp_path / "settings.toml", tmp_path / "log", tmp_path / "facts")
    assert made._command[1:4] == ["app.cli.main", "--config", str(tmp_path / "settings.toml")]
    assert made._command[4:] == ["worker", "--tee", str(tmp_path / "facts")]


def test_it_is_asked_to_leave_when_the_block_ends(tmp_path):
    with child(tmp_path, OBEDIENT) as worker:
        wait_for(lambda: "ready" in worker.last_words())
        worker.check()
    assert worker.exit_code == 0


def test_a_worker_that_died_is_an_error_with_the_end_of_its_log(tmp_path):
    with child(tmp_path, "raise SystemExit('no broker anywhere')") as worker:
        assert worker._child is not None
        worker._child.wait(10)
        with pytest.raises(WorkerDiedError, match=r"exit code 1(.|\n)*no broker anywhere"):
            worker.check()
    assert worker.exit_code == 1


def test_settings_of_the_surroundings_do_not_reach_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KAFKA_BROKERS", "elsewhere:9092")
    monkeypatch.setenv("LLM_OPTIMIZER__WEB__PORT", "1")
    monkeypatch.setenv("OTHER", "kept")
    with child(tmp_path, SURROUNDINGS) as worker:
        assert worker._child is not None
        worker._child.wait(10)
    assert worker.last_words() == "['OTHER']"


def test_stopping_twice_is_harmless(tmp_path):
    with child(tmp_path, OBEDIENT) as worker:
        wait_for(lambda: "ready" in worker.last_words())
        worker.stop()
        worker.stop()
    assert worker.exit_code == 0
