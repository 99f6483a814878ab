"""A finding: what an analyzer saw, told as one incident with a beginning, rises, and an end (DESIGN 2).

Severity is one rule for all: how many times its tolerance a metric changed by, or how many times its limit it reached.
Tolerances are the guardrails of the service document, limits are its thresholds and objectives.

    below 1   info        a change that is certain, but inside what the service tolerates
    1 to 2    warning
    2 to 4    high
    from 4    critical    only for what users feel: quality, latency, errors

Analyzers make ``Signal`` and ``Cleared`` notes about series; ``app.core.analyze.incidents`` makes findings of them.
"""

from typing import Any, Literal

import msgspec

from app.core.events import rfc3339
from app.core.ids import stable_id
from app.core.outputs import FINDING, Output

Severity = Literal["info", "warning", "high", "critical"]
Status = Literal["open", "resolved"]
Analyzer = Literal["performance", "cost", "quality", "drift", "anomaly"]
Family = Literal["latency", "errors", "quality", "cost", "tokens", "model", "traffic", "budget", "waste"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "high", "critical")
FELT: frozenset[str] = frozenset(("latency", "errors", "quality"))
"""Families that may be critical."""
EVERY = "*"


class Signal(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A series has left what is usual or allowed. ``key`` names the series within its service, for ever.

    ``value`` against ``compared_with``, both in the unit of ``metric``; ``threshold``: what had to be exceeded.
    """

    key: str
    arm: str
    segment: str
    analyzer: Analyzer
    family: Family
    kind: str
    metric: str
    severity: Severity
    value: float
    compared_with: float
    threshold: float
    detail: str
    evidence: dict[str, Any] = {}


class Cleared(msgspec.Struct, frozen=True):
    """The series called ``key`` is back, or what it does now counts as usual; ``why`` in words."""

    key: str
    why: str


Note = Signal | Cleared


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Data of the event: one incident as it stands. Times RFC 3339; ``arm`` and ``segment`` ``*`` mean all."""

    finding_id: str
    service: str
    segment: str
    arm: str
    analyzer: Analyzer
    kind: str
    metric: str
    severity: Severity
    status: Status
    first_seen: str
    last_seen: str
    value: float
    compared_with: float
    threshold: float
    detail: str
    evidence: dict[str, Any]


class Heard(msgspec.Struct, frozen=True):
    """What the rules need of a finding that comes back by the log."""

    service: str = ""
    arm: str = EVERY
    severity: str = ""
    status: str = ""
    finding_id: str = ""
    detail: str = ""
    analyzer: str = ""
    metric: str = ""


_encode = msgspec.json.Encoder(order="deterministic").encode
decode_heard = msgspec.json.Decoder(Heard).decode


def rank(severity: Severity) -> int:
    """Place of ``severity`` among the severities, from 0."""
    return SEVERITIES.index(severity)


def severity_of(times: float, family: Family) -> Severity:
    """The severity of ``times`` the tolerance or limit."""
    if times < 1.0:
        return "info"
    if times < 2.0:
        return "warning"
    return "critical" if times >= 4.0 and family in FELT else "high"


def output(service: str, found: Finding, now_s: int) -> Output:
    """The event of ``found``. A severity is told once and so is the end: the id is a function of both."""
    identity = stable_id(FINDING, found.finding_id, found.status, found.severity)
    return Output("anomalies", FINDING, identity, service, now_s, _encode(found))


def finding_of(
    service: str, identity: str, signal: Signal, span_s: tuple[int, int], status: Status, more: dict[str, Any]
) -> Finding:
    """``signal`` as the finding ``identity`` that lasts from and to ``span_s`` (epoch seconds)."""
    return Finding(
        finding_id=identity,
        service=service,
        segment=signal.segment,
        arm=signal.arm,
        analyzer=signal.analyzer,
        kind=signal.kind,
        metric=signal.metric,
        severity=signal.severity,
        status=status,
        first_seen=rfc3339(span_s[0]),
        last_seen=rfc3339(span_s[1]),
        value=signal.value,
        compared_with=signal.compared_with,
        threshold=signal.threshold,
        detail=signal.detail,
        evidence={**signal.evidence, **more},
    )
