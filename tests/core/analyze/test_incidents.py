"""Incidents: joined, risen, resolved once, bounded."""

import msgspec
import pytest

from app.core.analyze.finding import Cleared, Family, Note, Severity, Signal, severity_of
from app.core.analyze.incidents import LINK_S, MAX_OPEN, Incidents, settle


def signal(family: Family = "latency", rule: str = "mean", arm: str = "a", severity: Severity = "warning") -> Signal:
    return Signal(
        key=f"{family}|{rule}|{arm}|*", arm=arm, segment="*", analyzer="performance", family=family, kind=f"{family}-rise",
        metric=family, severity=severity, value=2.0, compared_with=1.0, threshold=1.0, detail=f"{family} rose.",
    )  # fmt: skip


def tell(*panes: list[Note], step_s: int = 60) -> tuple[Incidents, list[str]]:
    incidents, said = Incidents(), []
    for i, notes in enumerate(panes):
        incidents, outputs = settle(incidents, "chat", notes, step_s * i)
        for output in outputs:
            data = msgspec.json.decode(output.data)
            said.append(f"{data['status']} {data['severity']} {data['kind']} {data['arm']}")
    return incidents, said


@pytest.mark.parametrize(
    ("times", "family", "severity"),
    [
        (0.5, "latency", "info"), (1.0, "cost", "warning"), (2.0, "quality", "high"),
        (4.0, "errors", "critical"), (9.0, "cost", "high"),
    ],
)  # fmt: skip
def test_severity_is_a_multiple_of_the_tolerance(times: float, family: Family, severity: Severity) -> None:
    assert severity_of(times, family) == severity


def test_what_is_said_again_is_not_told_again() -> None:
    incidents, said = tell([signal()], [signal()], [signal()])
    assert said == ["open warning latency-rise a"] and len(incidents.open) == 1


def test_a_rise_is_told_and_a_fall_is_not() -> None:
    _, said = tell([signal()], [signal(severity="critical")], [signal(severity="high")], [signal(severity="critical")])
    assert said == ["open warning latency-rise a", "open critical latency-rise a"]


def test_the_last_series_that_clears_ends_it() -> None:
    series = [signal(), signal(rule="p95"), signal("tokens", "output")]
    cleared = [Cleared(s.key, "over") for s in series]
    incidents, said = tell([*series], [cleared[0]], [cleared[2]], [], [cleared[1]], [cleared[1]])
    assert said == ["open warning latency-rise a", "resolved warning latency-rise a"]
    assert incidents == Incidents()


def test_a_series_that_clears_while_another_begins_keeps_it_open() -> None:
    _, said = tell([signal()], [Cleared(signal().key, "over"), signal(rule="p95")])
    assert said == ["open warning latency-rise a"]


@pytest.mark.parametrize(
    ("first", "second", "many"),
    [
        (signal(), signal(rule="anomaly", arm="*"), 1),
        (signal(), signal(arm="b"), 2),
        (signal(), signal("cost"), 1),
        (signal(), signal("quality"), 2),
        (signal("model"), signal("quality"), 1),
        (signal("quality"), signal("model"), 1),
        (signal("waste", "retries"), signal("waste", "invalid"), 2),
        (signal("budget", "day", "*"), signal(), 2),
    ],
)
def test_one_incident_is_one_finding(first: Signal, second: Signal, many: int) -> None:
    incidents, _ = tell([first], [second])
    assert len(incidents.open) == many


def test_what_is_only_linked_joins_for_half_an_hour() -> None:
    assert len(tell([signal()], [signal("cost")], step_s=LINK_S)[0].open) == 1
    assert len(tell([signal()], [signal("cost")], step_s=LINK_S + 60)[0].open) == 2
    assert len(tell([signal()], [signal(rule="p95")], step_s=LINK_S + 60)[0].open) == 1


def test_open_findings_are_bounded_and_the_rest_is_counted() -> None:
    incidents, said = tell([signal(arm=f"arm-{i}") for i in range(MAX_OPEN + 5)])
    assert (len(incidents.open), incidents.refused, len(said)) == (MAX_OPEN, 5, MAX_OPEN)


def test_ids_tell_incident_severity_and_end_apart_and_nothing_else() -> None:
    incidents, opened = settle(Incidents(), "chat", [signal()], 60)
    incidents, risen = settle(incidents, "chat", [signal(severity="high")], 120)
    _, ended = settle(incidents, "chat", [Cleared(signal().key, "over")], 180)
    ids = [o.id for o in (*opened, *risen, *ended)]
    findings = {msgspec.json.decode(o.data)["finding_id"] for o in (*opened, *risen, *ended)}
    assert len(set(ids)) == 3 and len(findings) == 1
    assert settle(Incidents(), "chat", [signal()], 60)[1] == opened
