"""Liveness of an agent's process."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.agent_process import AgentProcess
from app.settings import Settings


def worker(position: int, lag: int, fetched_s: float | None) -> Any:
    found = AgentProcess(Settings(), "ingest", None, supervised=False)
    lane = SimpleNamespace(
        lag=lambda: {"t-0": lag}, engines={"t-0": SimpleNamespace(position=position)}, fetched_s=lambda: fetched_s
    )
    found._host = SimpleNamespace(lane=lane)  # type: ignore[assignment]  # as much of a host as is asked
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.s)
    return now


async def test_a_source_that_stands_with_lag_fails_live_after_web_stall_s(clock: Any):
    agent = worker(5, 3, time.time())
    assert await agent._stuck() == []
    clock.s += Settings().web.stall_s
    assert await agent._stuck() == ["t-0 has lag and has not moved for 120 s"]


async def test_a_source_that_moves_lives(clock: Any):
    agent = worker(5, 3, time.time())
    assert await agent._stuck() == []
    agent._host.lane.engines["t-0"].position = 6
    clock.s += Settings().web.stall_s
    assert await agent._stuck() == []


async def test_a_process_that_fetches_nothing_is_stuck():
    assert await worker(5, 0, time.time() - 121)._stuck() == ["nothing was fetched for 120 s"]
    assert await worker(5, 0, None)._stuck() == []


async def test_before_there_is_a_host_there_is_nothing_to_fail():
    assert await AgentProcess(Settings(), "ingest", None, supervised=False)._stuck() == []
