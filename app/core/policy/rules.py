"""The policies of the service document, held against an arm in every segment.

The rules of a policy are read in order: a true ``deny`` or ``allow`` ends the policy, a true ``warn`` is told and the
next rule read. What decides between deny and let through is never guessed: a denial whose condition cannot be answered
applies, unless only a measurement is missing that a trial will bring.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from app.core.decision import Constraint, Severity
from app.core.document import Policy, PolicyRule
from app.core.policy.errors import ExpressionError
from app.core.policy.evaluate import Attributes, Unknown, evaluate, holds
from app.core.policy.names import METRICS
from app.core.policy.syntax import Binary, Constant, Name, Node, names_in, parse
from app.core.policy.view import Proposed, attributes
from app.core.row import Row

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def constraints(row: Row, proposed: Proposed, metrics: Mapping[str, float]) -> Iterator[Constraint]:
    """One constraint a policy, satisfied or broken, and one more for each of its warnings."""
    views = {name: attributes(row, proposed, metrics, name) for name in row.document.segment_names}
    for policy in row.document.policies:
        yield from _policy(policy, proposed, views)


def _policy(policy: Policy, proposed: Proposed, views: Mapping[str, Attributes]) -> Iterator[Constraint]:
    broken: dict[int, list[str]] = {}
    for segment, view in views.items():
        for number in _applies(policy, proposed, view):
            broken.setdefault(number, []).append(segment)
    denied = [number for number in broken if policy.rules[number].action == "deny"]
    for number, segments in sorted(broken.items()):
        yield _broken(policy, policy.rules[number], segments, views[segments[0]])
    if not denied:
        yield Constraint(name=f"policies.{policy.id}", limit=0.0, value=0.0, satisfied=True)


def _applies(policy: Policy, proposed: Proposed, view: Attributes) -> Iterator[int]:
    """Numbers of the rules of deny and warn that apply in one segment."""
    for number, rule in enumerate(policy.rules):
        found = _holds(rule, proposed, view)
        if rule.action == "allow" and found:
            return
        if rule.action == "warn" and found:
            yield number
        if rule.action == "deny" and found is not False:
            yield number
            return


def _holds(rule: PolicyRule, proposed: Proposed, view: Attributes) -> bool | None:
    """Whether the condition is true; None: that cannot be told, and no trial will tell."""
    node = _read(rule.condition)
    if node is None:
        return None
    found = holds(node, view)
    waiting = {name for name in names_in(node) if name in METRICS and name not in view}
    return False if found is None and waiting and not proposed.final else found


@lru_cache(maxsize=1024)
def _read(condition: str) -> Node | None:
    """The tree; None for a condition of a document that was stored before conditions were checked."""
    try:
        return parse(condition)
    except ExpressionError:
        return None


def _broken(policy: Policy, rule: PolicyRule, segments: list[str], view: Attributes) -> Constraint:
    """A rule that applies: the number that is beyond its limit where the condition is a comparison with a number."""
    node = _read(rule.condition)
    limit, value = _numbers(node, view) or (0.0, float(len(segments)))
    where = f" in segment {', '.join(segments)}" if segments != ["*"] else ""
    said = rule.message or policy.name or f"policy {policy.id}"
    severity: Severity = "warn" if rule.action == "warn" else "deny"
    detail = f"{said}{where} ({rule.condition}{_open(node, view)})"
    name = f"policies.{policy.id}"
    return Constraint(name=name, limit=limit, value=value, satisfied=False, detail=detail, severity=severity)


def _numbers(node: Node | None, view: Attributes) -> tuple[float, float] | None:
    """(limit, value) of ``name < number``, either way round."""
    if not isinstance(node, Binary) or node.operator not in _FLIPPED:
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, Name) and isinstance(other, Constant) and isinstance(other.value, float):
            value = evaluate(one, view)
            if isinstance(value, float | int) and not isinstance(value, bool):
                return other.value, float(value)
    return None


def _open(node: Node | None, view: Attributes) -> str:
    """What the condition asks for that nobody knows."""
    if node is None:
        return "; it cannot be read"
    if holds(node, view) is not None:
        return ""
    unknown = sorted(name for name in names_in(node) if isinstance(view.get(name, Unknown()), Unknown))
    return f"; not known: {', '.join(unknown)}" if unknown else "; it has no answer"
