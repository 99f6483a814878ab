"""Policies as governance tools write them: YAML with a list ``policies``, read safely into the service document's form.

Only plain YAML is read: no tags, no anchors (an alias can grow without bound), one document of at most 1 MB. Every
mistake names the file, the line and the key.
"""

from typing import Any

import msgspec
import yaml

from app.core.document import DocumentError, Policy, ServiceDocument, from_object, to_object
from app.core.document.errors import Path

MAX_BYTES = 1_000_000
MAX_POLICIES = 64


class _Plain(yaml.SafeLoader):
    """YAML without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not read, write it out", problem_mark=mark)
        return super().compose_node(parent, index)


def read_policies(text: str, origin: str = "") -> tuple[Policy, ...]:
    """The policies in ``text``. Raises ``DocumentError`` with the line."""
    if len(text) > MAX_BYTES:
        raise DocumentError(f"larger than {MAX_BYTES:,} characters", origin=origin)
    tree, raw = _loaded(text, origin)
    if not isinstance(raw, dict) or set(raw) != {"policies"} or not isinstance(raw["policies"], list):
        raise DocumentError("expected one key `policies` with a list", origin=origin, allowed="policies: [...]")
    if len(raw["policies"]) > MAX_POLICIES:
        raise DocumentError("too many policies", origin=origin, value=len(raw["policies"]), allowed=f"{MAX_POLICIES}")
    try:
        document = from_object({"service": "policies", "arms": [{"name": "any"}], "policies": raw["policies"]})
    except DocumentError as error:
        raise error.at(origin, _line(tree, error.path)) from None
    return document.policies


def with_policies(document: ServiceDocument, policies: tuple[Policy, ...], origin: str = "") -> ServiceDocument:
    """``document`` with ``policies`` behind its own; checked again: ids must be unique, segments known."""
    own, more = to_object(document), msgspec.to_builtins(policies)
    try:
        return from_object({**own, "policies": [*own.get("policies", []), *more]})
    except DocumentError as error:
        raise error.at(origin, None) from None


def _loaded(text: str, origin: str) -> tuple[yaml.Node | None, Any]:
    try:
        tree = yaml.compose(text, Loader=_Plain)
        return tree, yaml.load(text, Loader=_Plain)  # noqa: S506  it is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.problem, error.context) if part)
        raise DocumentError(f"not YAML: {said}", origin=origin, line=mark.line + 1 if mark else None) from None
    except RecursionError:
        raise DocumentError("not YAML: nested too deeply", origin=origin) from None
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"not YAML: {error}", origin=origin) from None


def _line(node: yaml.Node | None, path: Path) -> int | None:
    """1-based line of the longest part of ``path`` that is written."""
    line = None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
            if not found:
                return line
            node, line = found[0][1], found[0][0].start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line
