"""Findings through the whole brain: from answers to a decision, by the log alone, and the same after a crash."""

from collections.abc import Iterator

import msgspec
import pytest

from app.adapters.codec.decode import make_decode
from app.adapters.codec.encode import encode_output
from app.core import merge as merging
from app.core.batch import Batch
from app.core.document import Arm as Declared
from app.core.document import ServiceDocument, Thresholds, completed
from app.core.events import ControlEvent
from app.core.merge import Merge
from app.core.outputs import FINDING, Output
from app.core.ports import Record
from tests.core.loop import START_S, Arm, Loop


def document() -> ServiceDocument:
    arms = (Declared(name="big"), Declared(name="small"))
    limits = Thresholds(error_rate=0.05)
    return completed(ServiceDocument(service="chat", mode="auto", arms=arms, holdout_share=0.05, thresholds=limits))


@pytest.fixture
def loop() -> Loop:
    """A trial of ``small`` is open."""
    loop = Loop({"big": Arm(), "small": Arm(cost=0.002)}, seed=1, requests=60)
    loop.run(3)
    loop.configure(document())
    loop.run(60, until=lambda one: one.row.trial is not None)
    assert loop.row.trial is not None and loop.row.trial.arm == "small"
    return loop


def finding(**more: str) -> bytes:
    told = {
        "service": "chat",
        "arm": "small",
        "severity": "critical",
        "status": "open",
        "finding_id": "f1",
        "detail": "It fails.",
    }
    return msgspec.json.encode({**told, **more})


def test_a_critical_finding_that_comes_back_ends_the_trial(loop: Loop) -> None:
    loop.control(FINDING, finding())
    assert loop.row.trial is None
    (decided,) = [d for d in loop.said() if d.get("action") == "roll-back"]
    assert decided["trigger"] == "threshold"
    assert decided["evidence"]["cause"] == "critical finding f1: It fails."


@pytest.mark.parametrize("more", [{"arm": "big"}, {"severity": "high"}, {"status": "resolved"}, {"status": ""}])
def test_no_other_finding_does(loop: Loop, more: dict[str, str]) -> None:
    loop.control(FINDING, finding(**more))
    assert loop.row.trial is not None


def test_a_finding_about_all_arms_does(loop: Loop) -> None:
    loop.control(FINDING, finding(arm="*"))
    assert loop.row.trial is None


@pytest.mark.parametrize("data", [b"", b"[]", b'{"severity": 3}', b"{}"])
def test_a_finding_nobody_can_read_changes_nothing(loop: Loop, data: bytes) -> None:
    loop.control(FINDING, data)
    assert loop.row.trial is not None


def test_what_is_written_is_read_back_as_control() -> None:
    output = Output("anomalies", FINDING, "id-1", "chat", START_S, finding())
    record = encode_output(output)
    event = make_decode()(record.value, record.headers)
    assert isinstance(event, ControlEvent)
    assert (event.type, event.service, event.data) == (FINDING, "chat", output.data)


def test_answers_that_fail_become_a_finding_and_the_finding_a_roll_back(loop: Loop) -> None:
    loop.arms["big"] = loop.arms["small"] = Arm(errors=0.6)  # no harm of the one against the other
    for _ in range(40):
        loop.run(1)
        for output in [o for o in loop.outputs if o.type == FINDING]:
            loop.control(FINDING, output.data)
        if loop.row.trial is None:
            break
    found = [d for d in loop.said(FINDING) if d["severity"] == "critical"]
    assert found and loop.row.trial is None


class Facts:
    """The facts of a run, to be merged again."""

    def __init__(self, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: list[bytes] = []
        write = loop._write

        def keep(value: bytes) -> None:
            self.values.append(value)
            write(value)

        monkeypatch.setattr(loop, "_write", keep)


def test_a_crash_between_the_two_records_repeats_every_finding_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = Loop({"big": Arm()}, requests=40)
    facts = Facts(loop, monkeypatch)
    loop.run(28)
    loop.arms["big"].errors = 0.5
    loop.run(4)
    loop.arms["big"].errors = 0.0
    loop.run(14)
    clean = {o.id: o.data for o in loop.outputs if o.type == FINDING}
    assert len(clean) >= 2
    for crash in (29, 32):
        again = dict(crashed(facts.values, crash))
        assert again == clean


def crashed(values: list[bytes], crash: int) -> Iterator[tuple[str, bytes]]:
    """Every finding of two lives; the first one dies when its windows are written and its rows are not."""
    said: list[Output] = []

    def keep(output: Output) -> Record:
        said.append(output)
        return Record(output.role, None, output.data)

    def brain(writer: str, windows: dict[bytes, bytes], start: int) -> Merge:
        return Merge(0, None, {}, windows, writer=writer, lateness_s=0, silent_s=10**9, to_record=keep, start=start)

    first = brain("w1", {}, 0)
    windows: dict[bytes, bytes] = {}
    for at, value in enumerate(values[: 2 * crash]):
        first.fold(_batch(value, at))
        cut = first.cut()
        for record in cut.phases[1]:
            if record.key is not None and record.value is not None:
                windows[record.key] = record.value
        first.acked(cut)  # but the rows were never written, and nothing was committed
    second = brain("w2", windows, 0)
    for at, value in enumerate(values):
        second.fold(_batch(value, at))
        second.acked(second.cut())
    for output in said:
        if output.type == FINDING:
            yield output.id, output.data


def _batch(value: bytes, at: int) -> Batch:
    return Batch("facts-0", [value], [at], start=at, end=at + 1, segments=[(at + 1, 1000 * (START_S + 60 * at))])


def test_a_defect_in_an_analyzer_costs_findings_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(merging, "analyse", broken)
    loop = Loop({"big": Arm()}, requests=10).run(5)
    brain = loop._merge
    assert brain.counts["failed_analyses"] >= 4
    assert [o for o in loop.outputs if o.role == "aggregates"]
