"""Real child processes, tiny ones."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable

import pytest

from app.adapters.process import supervisor as module
from app.adapters.process.supervisor import Supervisor

SLEEPER = "import signal; print('{\"port\": 4711}', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{\"port\": 1}', flush=True)\n"
    "while True: signal.pause()"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


async def until(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


async def test_children_say_where_they_listen_and_end_with_the_supervisor():
    supervisor = Supervisor({"a": python(SLEEPER), "b": python(SLEEPER)})
    stop = asyncio.Event()
    running = asyncio.ensure_future(supervisor.run(stop))
    await until(lambda: all(child.port == 4711 for child in supervisor.children.values()))
    stop.set()
    await asyncio.wait_for(running, 10)
    assert [child.last_exit for child in supervisor.children.values()] == [-signal.SIGTERM] * 2
    assert [child.pid for child in supervisor.children.values()] == [None, None]


async def test_a_child_that_exits_is_started_again_with_growing_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    supervisor = Supervisor({"a": python("raise SystemExit(3)")})
    stop = asyncio.Event()
    running = asyncio.ensure_future(supervisor.run(stop))
    await until(lambda: supervisor.children["a"].restarts >= 3)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert supervisor.children["a"].last_exit == 3


async def test_a_child_that_does_not_end_in_time_is_killed():
    supervisor = Supervisor({"a": python(STUBBORN)})
    stop = asyncio.Event()
    running = asyncio.ensure_future(supervisor.run(stop, grace_s=0.05))
    await until(lambda: supervisor.children["a"].port == 1)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert supervisor.children["a"].last_exit == -signal.SIGKILL


async def test_what_a_child_prints_otherwise_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    supervisor = Supervisor({"a": python("print('hello'); " + SLEEPER)})
    stop = asyncio.Event()
    running = asyncio.ensure_future(supervisor.run(stop))
    await until(lambda: supervisor.children["a"].port == 4711)
    stop.set()
    await asyncio.wait_for(running, 10)
    assert "hello" in capsys.readouterr().err


async def test_a_child_that_can_never_run_ends_the_others_and_its_exit_code_is_the_supervisor_s():
    supervisor = Supervisor({"a": python("raise SystemExit(78)"), "b": python(SLEEPER)})
    assert await asyncio.wait_for(supervisor.run(asyncio.Event()), 10) == 78
    assert [child.pid for child in supervisor.children.values()] == [None, None]
