"""The policy language: a condition as a tree, or an error with its place. No code is ever evaluated.

    or       = and { ("||" | "or") and }
    and      = not { ("&&" | "and") not }
    not      = ("!" | "not") not | compare
    compare  = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in") sum ]
    sum      = product { ("+" | "-") product }
    product  = unary { ("*" | "/") unary }
    unary    = "-" unary | primary
    primary  = number | text | "true" | "false" | name | "[" [ or { "," or } ] "]" | "(" or ")"

A condition is at most 500 characters, 200 words and 32 levels deep; names and kinds are checked when it is read.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, cast

import msgspec

from app.core.policy.errors import ExpressionError
from app.core.policy.names import Kind, kind_of, similar
from app.core.policy.tokens import Token, tokens

MAX_DEPTH = 32
Operator = Literal["||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "+", "-", "*", "/"]
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})


class Constant(msgspec.Struct, frozen=True):
    value: float | str | bool


class Name(msgspec.Struct, frozen=True):
    path: str


class Items(msgspec.Struct, frozen=True):
    items: "tuple[Node, ...]"


class Unary(msgspec.Struct, frozen=True):
    operator: Literal["!", "-"]
    operand: "Node"


class Binary(msgspec.Struct, frozen=True):
    operator: Operator
    left: "Node"
    right: "Node"


Node = Constant | Name | Items | Unary | Binary


def parse(text: str) -> Node:
    """The tree of a condition. Raises ``ExpressionError``."""
    parser = _Parser(text)
    found = parser.boolean(parser.either())
    parser.expect("the end")
    return found.node


def names_in(node: Node) -> frozenset[str]:
    """Every name a condition reads."""
    if isinstance(node, Name):
        return frozenset({node.path})
    return frozenset().union(*(names_in(part) for part in parts(node)))


def compared(node: Node) -> Iterator[tuple[str, str]]:
    """(name, text) wherever a name is compared with a text."""
    if isinstance(node, Binary) and node.operator in COMPARISONS:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            texts = other.items if isinstance(other, Items) else (other,)
            if isinstance(one, Name):
                yield from ((one.path, t.value) for t in texts if isinstance(t, Constant) and isinstance(t.value, str))
    for part in parts(node):
        yield from compared(part)


def parts(node: Node) -> tuple[Node, ...]:
    """What a node is made of."""
    if isinstance(node, Binary):
        return node.left, node.right
    if isinstance(node, Unary):
        return (node.operand,)
    return node.items if isinstance(node, Items) else ()


class _Typed(msgspec.Struct, frozen=True):
    """A node with its kind, and where it begins, for errors."""

    node: Node
    kind: Kind
    at: int


class _Parser:
    """Recursive descent over the tokens; ``_depth`` bounds the recursion."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0

    # ---- grammar ----
    def either(self) -> _Typed:
        return self._logical("||", lambda: self._logical("&&", self._negated))

    def _logical(self, operator: Operator, below: Callable[[], _Typed]) -> _Typed:
        found = below()
        while self._take(operator):
            right = below()
            found = _Typed(Binary(operator, self.boolean(found).node, self.boolean(right).node), "boolean", found.at)
        return found

    def _negated(self) -> _Typed:
        token = self._token
        if not self._take("!"):
            return self._compared()
        with self._deeper():
            return _Typed(Unary("!", self.boolean(self._negated()).node), "boolean", token.at)

    def _compared(self) -> _Typed:
        left = self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._signed))
        token = self._token
        operator = self._comparison()
        if operator is None:
            return left
        right = self._arithmetic(("+", "-"), lambda: self._arithmetic(("*", "/"), self._signed))
        self._comparable(operator, left, right, token)
        return _Typed(Binary(operator, left.node, right.node), "boolean", left.at)

    def _comparison(self) -> Operator | None:
        token = self._token
        if token.kind == "sign" and token.value == "!" and self._tokens[self._next + 1].value == "in":
            self._next += 2
            return "not in"
        if token.kind == "sign" and token.value in COMPARISONS:
            self._next += 1
            return cast("Operator", token.value)
        return None

    def _arithmetic(self, operators: tuple[Operator, ...], below: Callable[[], _Typed]) -> _Typed:
        found = below()
        while (operator := next((o for o in operators if self._take(o)), None)) is not None:
            right = below()
            found = _Typed(Binary(operator, self._number(found).node, self._number(right).node), "number", found.at)
        return found

    def _signed(self) -> _Typed:
        token = self._token
        if not self._take("-"):
            return self._primary()
        with self._deeper():
            return _Typed(Unary("-", self._number(self._signed()).node), "number", token.at)

    def _primary(self) -> _Typed:
        token = self._token
        self._next += token.kind != "end"
        if token.kind in {"number", "text"}:
            return _Typed(Constant(token.value), "number" if token.kind == "number" else "text", token.at)
        if token.kind == "name":
            return self._named(token)
        if token.value == "(":
            with self._deeper():
                found = self.either()
            self.expect(")")
            return _Typed(found.node, found.kind, token.at)
        if token.value == "[":
            return self._items(token)
        raise self._error(f"expected a number, text, a name or a bracket, got {token.value}", token.at)

    def _items(self, begin: Token) -> _Typed:
        items: list[Node] = []
        with self._deeper():
            while not self._take("]"):
                if items:
                    self.expect(",")
                item = self.either()
                if item.kind == "list":
                    raise self._error("a list in a list", item.at)
                items.append(item.node)
        return _Typed(Items(tuple(items)), "list", begin.at)

    def _named(self, token: Token) -> _Typed:
        name = str(token.value)
        if name in {"true", "false"}:
            return _Typed(Constant(name == "true"), "boolean", token.at)
        kind = kind_of(name)
        if kind is None:
            near = similar(name)
            hint = f", did you mean {near}?" if near else "; docs/policies.md lists the names"
            raise self._error(f"unknown name {name}{hint}", token.at)
        return _Typed(Name(name), kind, token.at)

    # ---- kinds ----
    def boolean(self, found: _Typed) -> _Typed:
        return self._of_kind(found, "boolean", "a comparison")

    def _number(self, found: _Typed) -> _Typed:
        return self._of_kind(found, "number", "a number")

    def _of_kind(self, found: _Typed, kind: Kind, said: str) -> _Typed:
        if found.kind not in {kind, "any"}:
            raise self._error(f"expected {said}, got a {found.kind}", found.at)
        return found

    def _comparable(self, operator: Operator, left: _Typed, right: _Typed, token: Token) -> None:
        if operator in {"in", "not in"}:
            self._of_kind(right, "list", "a list such as ['a', 'b']")
            if left.kind == "list":
                raise self._error("a list cannot be in a list", left.at)
        elif left.kind == "list" or right.kind == "list":
            raise self._error(f"a list cannot be compared with {operator}; use in", token.at)
        elif "any" not in {left.kind, right.kind} and left.kind != right.kind:
            raise self._error(f"a {left.kind} is compared with a {right.kind}", token.at)
        elif operator not in {"==", "!="} and "boolean" in {left.kind, right.kind}:
            raise self._error(f"true and false have no order for {operator}", token.at)

    # ---- tokens ----
    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, sign: str) -> bool:
        token = self._token
        taken = token.kind == "sign" and token.value == sign
        self._next += taken
        return taken

    def expect(self, what: str) -> None:
        token = self._token
        if token.kind not in {"sign", "end"} or token.value != what:
            raise self._error(f"expected {what}, got {token.value}", token.at)
        self._next += token.kind != "end"

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels", self._token.at)
        yield
        self._depth -= 1

    def _error(self, problem: str, at: int) -> ExpressionError:
        return ExpressionError(problem, self._text, at)
