"""A decision as a page for a terminal: what ``llm-optimizer explain`` prints."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any

from app.core.decision import Constraint, Decision, Impact, Status
from app.core.explain.sentence import METRICS, challenger, incumbent, rationale, step_text, where
from app.core.explain.wording import amount, duration, number, percent, signed

WIDTH = 100
MAX_EVIDENCE_LINES = 200
INPUTS = "inputs"
"""What the rules read, whole (``app.core.inputs``): for programs."""


def render(decision: Decision, status: Status = "decided") -> str:
    """Several lines for a terminal: what, why, expected impact, constraints, alternatives, evidence."""
    sections = (_head, _changes, _impact, _constraints, _alternatives, _evidence)
    lines = wrap(decision.rationale or rationale(decision, status), WIDTH)
    for section in sections:
        found = list(section(decision))
        if found:
            lines += ["", *found]
    return "\n".join(lines) + "\n"


def _head(d: Decision) -> Iterator[str]:
    yield f"decision      {d.decision_id}"
    yield f"service       {d.service}{where(d)}, version {d.version}, cycle {d.cycle}"
    yield f"action        {d.action} (mode {d.mode}, trigger {d.trigger}, strategy {d.strategy})"
    if d.deployment.strategy != "none":
        steps = " -> ".join(number(step, 1) for step in d.deployment.progression)
        yield f"rollout       {d.deployment.strategy}, at {step_text(d)}" + (f" of {steps}" if steps else "")
    if d.confidence:
        yield f"confidence    {percent(d.confidence)}"
    if d.expected_minutes is not None:
        yield f"verdict in    about {duration(d.expected_minutes)}"


def _changes(d: Decision) -> Iterator[str]:
    if d.changes:
        yield "Changes"
    yield from _table([("  " + c.parameter, _text(c.old), "->", _text(c.new)) for c in d.changes])


def _impact(d: Decision) -> Iterator[str]:
    if not d.expected_impact:
        return
    yield f"Expected impact ({challenger(d)} against {incumbent(d)})"
    rows = [("  metric", "estimate", "interval", "requests")]
    for metric, impact in sorted(d.expected_impact.items()):
        low, high = (_bound(metric, bound) for bound in (impact.low, impact.high))
        rows.append((f"  {metric}", signed(metric, impact.estimate), f"{low} to {high}", number(impact.n, 0)))
    yield from _table(rows)


def realised(expected: dict[str, Impact], measured: dict[str, Impact]) -> str:
    """What a trial measured beside what was expected of it, for a terminal; empty when it measured nothing."""
    if not measured:
        return ""
    rows = [("  metric", "expected", "measured", "interval", "pairs")]
    for metric, impact in sorted(measured.items()):
        before = signed(metric, expected[metric].estimate) if metric in expected else "-"
        low, high = (_bound(metric, bound) for bound in (impact.low, impact.high))
        rows.append((f"  {metric}", before, signed(metric, impact.estimate), f"{low} to {high}", number(impact.n, 0)))
    return "\n".join(_table(rows))


def _bound(metric: str, bound: float | None) -> str:
    return "?" if bound is None else signed(metric, bound)


def _constraints(d: Decision) -> Iterator[str]:
    if not d.constraints:
        return
    yield "Constraints"
    rows = [("  name", "value", "limit", "")]
    for c in d.constraints:
        known = c.name in METRICS
        value, limit = (_limit(c.name, x, known=known) for x in (c.value, c.limit))
        rows.append((f"  {c.name}", value, limit, _kept(c)))
    yield from _table(rows)


def _kept(c: Constraint) -> str:
    text = "satisfied" if c.satisfied else "warning" if c.severity == "warn" else "NOT satisfied"
    return f"{text}: {c.detail}" if c.detail else text


def _limit(name: str, value: float | None, *, known: bool) -> str:
    return "not measured" if value is None else amount(name, value) if known else number(value, 4)


def _alternatives(d: Decision) -> Iterator[str]:
    if d.alternatives:
        yield "Alternatives, and why not"
    yield from _table([(f"  {a.arm}", a.why_not) for a in d.alternatives])


def _evidence(d: Decision) -> Iterator[str]:
    if not d.evidence:
        return
    yield "Evidence"
    rows = list(_flat({key: value for key, value in d.evidence.items() if key != INPUTS}))
    yield from _table([(f"  {path}", text) for path, text in rows[:MAX_EVIDENCE_LINES]])
    if INPUTS in d.evidence:
        yield f"  {INPUTS}: all the rules read, kept with the decision (--json; what-if decides again from it)"
    if len(rows) > MAX_EVIDENCE_LINES:
        yield f"  ... {len(rows) - MAX_EVIDENCE_LINES} more lines: see the decision with --json"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every leaf, keys sorted; short lists of plain values stay on one line."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flat(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        for i, item in enumerate(value):
            yield from _flat(item, f"{path}[{i}]")
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int):
        return number(value, 0)
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Rows as aligned columns."""
    held = list(rows)
    widths = [max(map(len, column)) for column in zip(*held, strict=True)] if held else []
    for row in held:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
