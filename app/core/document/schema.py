"""The types of the document seen as a tree: what may stand at a path. Errors and the reference page read it."""

from collections.abc import Iterator
from functools import cache

import msgspec
from msgspec import inspect

from app.core.document.errors import Path
from app.core.document.service_document import ServiceDocument


@cache
def root() -> inspect.StructType:
    """The document's type tree."""
    tree = inspect.type_info(ServiceDocument)
    if not isinstance(tree, inspect.StructType):
        raise TypeError("the service document is not a struct")
    return tree


def described(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """The type without its metadata, and the description in it."""
    text = ""
    while isinstance(kind, inspect.Metadata):
        text = text or str((kind.extra_json_schema or {}).get("description", ""))
        kind = kind.type
    return kind, text


def plain(kind: inspect.Type) -> inspect.Type:
    """The type without metadata and without ``| None``."""
    kind = described(kind)[0]
    if isinstance(kind, inspect.UnionType):
        rest = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        return plain(rest[0]) if len(rest) == 1 else kind
    return kind


def type_at(path: Path) -> inspect.Type | None:
    """What may stand at ``path``; None outside the schema (inside free tables such as ``parameters``)."""
    kind: inspect.Type = root()
    for step in path:
        kind = plain(kind)
        if isinstance(kind, inspect.VarTupleType) and isinstance(step, int):
            kind = kind.item_type
        elif isinstance(kind, inspect.StructType):
            found = [f.type for f in kind.fields if f.encode_name == step]
            if not found:
                return None
            kind = found[0]
        else:
            return None
    return plain(kind)


def keys_at(path: Path) -> tuple[str, ...]:
    """Names of the keys of the table at ``path``, empty when it is not a declared table."""
    kind = type_at(path)
    return tuple(f.encode_name for f in kind.fields) if isinstance(kind, inspect.StructType) else ()


def allowed(kind: inspect.Type) -> str:
    """What may stand there, for people: ``a number from 0 to 0.5``, ``one of "single", "mix"``."""
    kind = plain(kind)
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.IntType):
        return "a whole number" + _bounds(kind)
    if isinstance(kind, inspect.FloatType):
        return "a number" + _bounds(kind)
    if isinstance(kind, inspect.StrType):
        return _text(kind)
    if isinstance(kind, inspect.VarTupleType):
        most = f" (at most {kind.max_length})" if kind.max_length is not None else ""
        return f"a list{most} of: {allowed(kind.item_type)}"
    if isinstance(kind, inspect.StructType):
        return "a table with keys " + ", ".join(f.encode_name for f in kind.fields)
    return "a table of values"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f" from {kind.ge:g}" if kind.ge is not None else f" above {kind.gt:g}" if kind.gt is not None else ""
    return low + (f" to {kind.le:g}" if kind.le is not None else "")


def _text(kind: inspect.StrType) -> str:
    if kind.pattern:
        return "text of 1-200 characters that does not begin with a space or *, without control characters"
    if kind.min_length:
        return f"text of {kind.min_length}-{kind.max_length} characters"
    return f"text of at most {kind.max_length} characters" if kind.max_length else "text"


def tables() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """(TOML header, struct) of every table, in order: ``""`` is the top, ``[[arms]]`` a list of tables."""
    yield "", ServiceDocument
    yield from _tables_below(root(), "")


def _tables_below(parent: inspect.StructType, prefix: str) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    for field in parent.fields:
        kind, many = plain(field.type), False
        if isinstance(kind, inspect.VarTupleType):
            kind, many = plain(kind.item_type), True
        if isinstance(kind, inspect.StructType):
            name = f"{prefix}{field.encode_name}"
            yield (f"[[{name}]]" if many else f"[{name}]"), kind.cls
            yield from _tables_below(kind, f"{name}.")
