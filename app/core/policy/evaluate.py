"""What a condition says about given attributes: true, false or unknown (Kleene's three values), never an exception.

Unknown is what nothing is known of yet, or what has no answer (a division by zero, text ordered against a number). It
spreads, except where the other side decides: ``unknown && false`` is false, ``unknown || true`` is true.
"""

import math
from collections.abc import Mapping

from app.core.policy.syntax import Binary, Constant, Items, Name, Node, Unary


class Unlisted:
    """Text of which only this is known: it is none of ``values``."""

    def __init__(self, values: tuple[str, ...]) -> None:
        self.values = values


class Unknown:
    """Nothing is known."""


UNKNOWN = Unknown()
_LARGEST = 1e300
Value = float | str | bool | tuple["Value", ...] | Unlisted | Unknown
Attributes = Mapping[str, Value]


def holds(node: Node, attributes: Attributes) -> bool | None:
    """Whether the condition is true; None: unknown. A name that ``attributes`` does not have is unknown."""
    found = evaluate(node, attributes)
    return found if isinstance(found, bool) else None


def evaluate(node: Node, attributes: Attributes) -> Value:
    """Value of a part of a condition."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Name):
        return attributes.get(node.path, UNKNOWN)
    if isinstance(node, Items):
        return tuple(evaluate(item, attributes) for item in node.items)
    if isinstance(node, Unary):
        return _unary(node, evaluate(node.operand, attributes))
    return _binary(node, attributes)


def _unary(node: Unary, value: Value) -> Value:
    if node.operator == "!":
        return not value if isinstance(value, bool) else UNKNOWN
    number = _number(value)
    return UNKNOWN if number is None else -number


def _binary(node: Binary, attributes: Attributes) -> Value:
    left, operator = evaluate(node.left, attributes), node.operator
    if operator in {"&&", "||"}:
        decides = operator == "||"
        if left is decides:
            return decides
        right = evaluate(node.right, attributes)
        if right is decides:
            return decides
        return not decides if isinstance(left, bool) and isinstance(right, bool) else UNKNOWN
    right = evaluate(node.right, attributes)
    if operator in {"in", "not in"}:
        found = _contains(right, left)
        return UNKNOWN if found is None else found == (operator == "in")
    if operator in {"==", "!="}:
        same = _same(left, right)
        return UNKNOWN if same is None else same == (operator == "==")
    return _ordered(operator, left, right) if operator in {"<", "<=", ">", ">="} else _sum(operator, left, right)


def _same(left: Value, right: Value) -> bool | None:
    """Equality; None: unknown."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Unlisted):
            return False if isinstance(other, str) and other in one.values else None
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return None
    if isinstance(left, tuple) or isinstance(right, tuple):
        return None
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _contains(items: Value, item: Value) -> bool | None:
    if not isinstance(items, tuple):
        return None
    found = [_same(each, item) for each in items]
    return True if True in found else None if None in found else False


def _ordered(operator: str, left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return _order(operator, below=left < right, above=left > right)
    one, other = _number(left), _number(right)
    if one is None or other is None:
        return UNKNOWN
    return _order(operator, below=one < other, above=one > other)


def _order(operator: str, *, below: bool, above: bool) -> bool:
    return {"<": below, "<=": not above, ">": above, ">=": not below}[operator]


def _sum(operator: str, left: Value, right: Value) -> Value:
    one, other = _number(left), _number(right)
    if one is None or other is None or (operator == "/" and other == 0):
        return UNKNOWN
    if operator == "/":
        value = one / other
    else:
        value = one * other if operator == "*" else one + other if operator == "+" else one - other
    return value if math.isfinite(value) else UNKNOWN


def _number(value: Value) -> float | None:
    """A finite number; None for everything else (whole numbers of a document may be too large for a float)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LARGEST:
        return None
    return float(value) if value == value else None  # noqa: PLR0124  not nan
