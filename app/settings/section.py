"""What a group of settings is: a frozen struct whose fields carry bounds and a reason; its secrets stay masked."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.inspect import BoolType, FloatType, IntType, LiteralType, Metadata, StrType, type_info

MASK = "********"

Secret = Annotated[str, Meta(max_length=4096, extra={"secret": True})]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A group of settings. A field's name ends in its unit; its ``Meta`` states bounds and why the default is so."""

    def __repr__(self) -> str:
        shown = (f"{f.name}={f.shown(getattr(self, f.name))}" for f in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


class Field(msgspec.Struct, frozen=True):
    """One setting: what ``config show --docs`` prints. ``allowed`` is a phrase that completes "must be ..."."""

    name: str
    type: Any
    default: Any
    allowed: str
    reason: str
    secret: bool

    def shown(self, value: object) -> str:
        """``value`` as it may be printed: a secret that is set is masked."""
        return MASK if self.secret and value else repr(value)


_UNITS = {"_s": "seconds", "_ms": "milliseconds", "_bytes": "bytes"}


def unit(name: str) -> str:
    """The unit a field's name ends in, in words; empty when it has none."""
    return next((word for suffix, word in _UNITS.items() if name.endswith(suffix)), "")


def fields(section: Section | type[Section]) -> tuple[Field, ...]:
    """The settings of a section, in the order they are written."""
    return _fields(section if isinstance(section, type) else type(section))


@cache
def _fields(section: type[Section]) -> tuple[Field, ...]:
    hints = get_type_hints(section, include_extras=True)
    return tuple(_field(f.name, hints[f.name], f.default) for f in msgspec.structs.fields(section))


def _field(name: str, hint: Any, default: Any) -> Field:
    shape: Any = type_info(hint)
    schema, extra = {}, {}
    if isinstance(shape, Metadata):
        schema, extra, shape = shape.extra_json_schema or {}, shape.extra or {}, shape.type
    allowed = " ".join(_phrase(shape, unit(name))) + _like(schema.get("examples", ()))
    return Field(name, hint, default, allowed, schema.get("description", ""), bool(extra.get("secret")))


def _like(examples: Iterable[str]) -> str:
    quoted = " or ".join(repr(example) if example else "empty" for example in examples)
    return f" like {quoted}" if quoted else ""


def _phrase(shape: Any, unit_words: str) -> Iterator[str]:
    match shape:
        case BoolType():
            yield "true or false"
        case LiteralType():
            yield "one of " + ", ".join(map(str, shape.values))
        case IntType() | FloatType():
            yield "a whole number" if isinstance(shape, IntType) else "a number"
            if unit_words:
                yield f"of {unit_words}"
            if shape.gt is not None or shape.ge is not None:
                yield f"above {shape.gt:,}" if shape.gt is not None else f"of at least {shape.ge:,}"
            if shape.le is not None:
                yield f"and at most {shape.le:,}"
        case StrType():
            yield "text of at least 1 character" if shape.min_length else "text"
        case _:
            yield "a value of another kind"
