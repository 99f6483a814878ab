"""A defect in the brain costs one step of one service: the rest of the partition goes on, and it is said aloud."""

from typing import Any

import msgspec
import pytest

from app.core import merge, service
from app.core.pane import ClosedPane
from app.core.row import Row, Tick
from tests.core.loop import Arm, Loop

real = service.step


def test_a_step_that_fails_is_left_out_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(row: Row, evidence: Any, now_s: int) -> Any:
        if row.service == "chat" and isinstance(evidence, ClosedPane):
            raise ZeroDivisionError("a defect")
        return real(row, evidence, now_s)

    monkeypatch.setattr(service, "step", broken)
    one = Loop({"big": Arm()}, requests=5).run(4)
    findings = [o for o in one.outputs if o.role == "anomalies"]
    assert len(findings) == 4
    assert b"a defect" in findings[0].data
    assert b"critical" in findings[0].data
    minutes = [
        d for d in one.said("io.llm-platform.optimizer.aggregate") if d["window_s"] == 60 and d["service"] == "chat"
    ]
    assert sum(d["count"] for d in minutes if d["arm"] == "big" and d["slice"] == "*") == 20
    assert one.merge.counts["failed_steps"] == 4


def test_a_deadline_that_is_armed_without_end_costs_a_service_its_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(row: Row, evidence: Any, now_s: int) -> Any:
        row, said = real(row, evidence, now_s)
        if row.service == "chat" and isinstance(evidence, ClosedPane | Tick):
            row = msgspec.structs.replace(row, cooldown_s=now_s)
        return row, said

    monkeypatch.setattr(service, "step", endless)
    monkeypatch.setattr(merge, "MAX_TICKS", 50)
    one = Loop({"big": Arm()}, requests=5).run(4)
    findings = [o for o in one.outputs if o.role == "anomalies"]
    assert findings and b"again and again" in findings[0].data
    minutes = [
        d for d in one.said("io.llm-platform.optimizer.aggregate") if d["window_s"] == 60 and d["service"] == "chat"
    ]
    assert sum(d["count"] for d in minutes if d["arm"] == "big" and d["slice"] == "*") == 20
