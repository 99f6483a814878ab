"""The reference page of the service document, made from the structs; a test compares it with docs/."""

import inspect as python_inspect
from collections.abc import Iterator

import msgspec
from msgspec import inspect

from app.core.document.schema import allowed, described, tables

_INTRODUCTION = """# The service document

One TOML file says what a service is and how it may be changed. The smallest one is a name and two arms
([examples/documents/minimal.toml](../examples/documents/minimal.toml)); every other field has a default, listed here.
[examples/documents/support-chat.toml](../examples/documents/support-chat.toml) uses most of them.

`llm-optimizer service diff FILE` shows what would change, `service apply FILE` puts it into force,
`service show NAME` prints what is in force. An error names the file, the line, the key and what is allowed.

This page is made from the code (`llm-optimizer service reference`) and checked against it.
"""


def reference() -> str:
    """The whole page as Markdown."""
    sections = [_INTRODUCTION]
    for header, kind in tables():
        sections.append("\n".join(_section(header, kind)))
    return "\n".join(sections)


def _section(header: str, kind: type[msgspec.Struct]) -> Iterator[str]:
    yield f"## `{header}`" if header else "## Top level"
    yield ""
    yield _summary(kind)
    yield ""
    yield "| key | default | allowed | what it is |"
    yield "|---|---|---|---|"
    info = inspect.type_info(kind)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{kind} is not a struct")
    for field in info.fields:
        yield f"| `{field.encode_name}` | {_default(field)} | {_allowed(field.type)} | {described(field.type)[1]} |"
    yield ""


def _summary(kind: type[msgspec.Struct]) -> str:
    return " ".join((python_inspect.getdoc(kind) or "").split("\n\n")[0].split())


def _allowed(kind: inspect.Type) -> str:
    """``allowed`` without the keys of tables: those have their own section."""
    text = allowed(kind)
    return text if "a table with keys" not in text else "tables" if text.startswith("a list") else "a table"


def _default(field: inspect.Field) -> str:
    default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None or default in ("", (), {}, []):
        return "none"
    if isinstance(default, msgspec.Struct):
        return "its defaults"
    return f"`{msgspec.json.encode(default).decode()}`"
