"""Whether data written with one Avro schema can be read with another: what backward compatibility means.

Source: Avro specification 1.12, Schema Resolution. Stricter in one point: an enumeration symbol the reader lacks is a
break even where a default would hide it.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any] | list[Any] | str
Names = dict[str, dict[str, Any]]

_PROMOTIONS = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}
_NAMED = ("record", "error", "enum", "fixed")


def breaks(written: Schema, read: Schema) -> list[str]:
    """Why a reader with schema ``read`` cannot read everything written with ``written``; empty when it can."""
    return list(_Check(written, read).between(written, read, "$"))


class _Check:
    """Both schemas' named types, and the pairs under comparison: a type may contain itself."""

    def __init__(self, written: Schema, read: Schema) -> None:
        self._written, self._read = _named(written), _named(read)
        self._seen: set[tuple[str, str]] = set()

    def between(self, written: Schema, read: Schema, at: str) -> Iterator[str]:
        """What breaks at path ``at``."""
        written, read = _resolved(written, self._written), _resolved(read, self._read)
        if isinstance(written, list):
            for branch in written:
                yield from self.between(branch, read, at)
        elif isinstance(read, list):
            if not any(not list(_Check.between(self._fork(), written, branch, at)) for branch in read):
                yield f"{at}: {_kind(written)} is none of {', '.join(_kind(branch) for branch in read)}"
        elif _kind(written) != _kind(read):
            if _kind(read) not in _PROMOTIONS.get(_kind(written), ()):
                yield f"{at}: was {_kind(written)}, now {_kind(read)}"
        elif isinstance(written, dict) and isinstance(read, dict):
            yield from self._inside(written, read, at)

    def _fork(self) -> "_Check":
        other = object.__new__(_Check)
        other._written, other._read, other._seen = self._written, self._read, set(self._seen)
        return other

    def _inside(self, written: dict[str, Any], read: dict[str, Any], at: str) -> Iterator[str]:
        kind = _kind(written)
        if kind == "array":
            yield from self.between(written["items"], read["items"], f"{at}[]")
        elif kind == "map":
            yield from self.between(written["values"], read["values"], f"{at}{{}}")
        elif kind in _NAMED:
            names = (written["name"], read["name"])
            if names[0] not in (names[1], *read.get("aliases", ())):
                yield f"{at}: was called {names[0]}, now {names[1]}"
            if kind == "enum":
                gone = set(written["symbols"]) - set(read["symbols"])
                yield from (f"{at}: symbol {symbol} is gone" for symbol in sorted(gone))
            elif kind == "fixed" and written["size"] != read["size"]:
                yield f"{at}: was {written['size']} bytes, now {read['size']}"
            elif kind in ("record", "error") and names not in self._seen:
                self._seen.add(names)
                yield from self._fields(written, read, at)

    def _fields(self, written: dict[str, Any], read: dict[str, Any], at: str) -> Iterator[str]:
        there = {field["name"]: field for field in written["fields"]}
        for field in read["fields"]:
            names = (field["name"], *field.get("aliases", ()))
            old = next((there[name] for name in names if name in there), None)
            if old is not None:
                yield from self.between(old["type"], field["type"], f"{at}.{field['name']}")
            elif "default" not in field:
                yield f"{at}.{field['name']}: is new and has no default"


def _kind(schema: Schema) -> str:
    if isinstance(schema, list):
        return "union"
    if isinstance(schema, dict):
        inner = schema["type"]
        return _kind(inner) if isinstance(inner, dict | list) else inner
    return schema


def _resolved(schema: Schema, names: Names) -> Schema:
    if isinstance(schema, str):
        return names.get(schema, schema)
    if isinstance(schema, dict) and isinstance(schema["type"], dict | list):
        return _resolved(schema["type"], names)
    return schema


def _named(schema: Schema) -> Names:
    """Named types of ``schema`` by name; a second mention is by name alone."""
    found: Names = {}
    stack: list[Any] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, dict):
            if node.get("type") in _NAMED and "name" in node:
                found[node["name"]] = node
                if "namespace" in node:
                    found[f"{node['namespace']}.{node['name']}"] = node
            stack.extend(node.get(key, []) for key in ("type", "items", "values", "fields"))
    return found
