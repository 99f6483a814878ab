"""A spelling as the C loop of the fold needs it: names, kinds and bounds, taken from the types that msgspec checks.

Nothing about events is said twice: a bound that changes in ``app.core.events`` changes here. A spelling with a type
that C cannot read has no layout, and is read in Python.
"""

from collections.abc import Iterable
from math import inf

from msgspec import inspect as types
from msgspec.structs import fields

from app.core.cell import CUT_OFF
from app.core.events import SPECVERSION, Response, ResponseEvent, SegmentParts
from app.core.native import Layout, compiled
from app.core.ports import Usual
from app.core.usual import SKETCH, key_fields

Path = tuple[str, ...]
Kind = tuple[str, float, float, bool, tuple[str, ...]]
"""Kind, least, greatest, nullable, choices: as in an entry of ``app/core/native/_fold.pyi``."""
Entry = tuple[str, str, str, float, float, bool, bool, tuple[str, ...], int]

_EXACT = 2.0**53
"""Whole numbers up to here are doubles, and can be bounds."""
_GROUP: Kind = ("group", 0.0, 0.0, False, ())


class _NoLayoutError(TypeError):
    """C does not read this type."""


def layout_of(usual: Usual) -> Layout | None:
    """The layout of a spelling; None where there is no C, or C cannot read the spelling."""
    if not compiled:
        return None
    try:
        levels = _levels(usual.type, usual.paths)
        return Layout(levels, key_fields(field for _, field in usual.paths), tuple(sorted(CUT_OFF)), *SKETCH)
    except (_NoLayoutError, ValueError):
        return None


def _levels(type_: str, paths: Iterable[tuple[Path, str]]) -> tuple[tuple[Entry, ...], ...]:
    """The objects of an event, its own first; groups refer to those behind them by index."""
    levels: list[tuple[Entry, ...]] = [()]
    root = [
        _entry("specversion", "specversion", ("choice", 0.0, 0.0, False, (SPECVERSION,)), required=True),
        _entry("type", "type", ("choice", 0.0, 0.0, False, (type_,)), required=True),
        *(_entry(name, name, _ENVELOPE[name], required=name != "time") for name in ("id", "source", "time")),
        _entry("data", "data", _GROUP, required=True, level=_add_level(levels, dict(paths))),
    ]
    levels[0] = tuple(root)
    return tuple(levels)


def _add_level(levels: list[tuple[Entry, ...]], paths: dict[Path, str], above: str = "") -> int:
    """Append the object with the names of ``paths``, and those inside it. A group, and a name that is not the field's
    own, must be there (``app.adapters.codec.spelling``).
    """
    at = len(levels)
    levels.append(())
    entries = []
    for name in dict.fromkeys(path[0] for path in paths):
        below = {path[1:]: field for path, field in paths.items() if path[0] == name}
        field = below.get(())
        if field == "segment":
            parts: dict[Path, str] = {(part,): f"segment.{part}" for part in SegmentParts.__struct_fields__}
            kind: Kind = ("group", 0.0, 0.0, True, ())
            entries.append(_entry(name, field, kind, required=False, level=_add_level(levels, parts, "segment.")))
        elif field is None:
            entries.append(
                _entry(name, "data", _GROUP, required=True, level=_add_level(levels, below, f"{above}{name}."))
            )
        else:
            if field not in _MEANS:
                raise _NoLayoutError(f"C does not read {field}")
            required = above + name != field or field in _REQUIRED
            entries.append(_entry(name, field, _MEANS[field], required=required))
    levels[at] = tuple(entries)
    return at


def _entry(name: str, field: str, kind: Kind, *, required: bool, level: int = 0) -> Entry:
    what, least, greatest, nullable, choices = kind
    if not name.isascii() or not name.isprintable() or '"' in name or "\\" in name:
        raise _NoLayoutError(f"a name that JSON may write in more than one way: {name!r}")
    return name, what, field, least, greatest, nullable, required, choices, level


def _kinds(struct: type) -> dict[str, Kind]:
    found = {}
    for field in fields(struct):
        try:
            found[field.name] = _kind(types.type_info(field.type))
        except _NoLayoutError:
            continue
    return found


def _kind(given: types.Type) -> Kind:
    match given:
        case types.UnionType(types=members) if len(members) == 2 and types.NoneType() in members:
            what, least, greatest, _, choices = _kind(next(m for m in members if m != types.NoneType()))
            return what, least, greatest, True, choices
        case types.StrType(pattern=None):
            most = inf if given.max_length is None else given.max_length
            return "text", float(given.min_length or 0), float(most), False, ()
        case types.FloatType(gt=None, lt=None, multiple_of=None, ge=least, le=greatest) if _is_bounded(least, greatest):
            return "real", float(least), float(greatest), False, ()
        case types.IntType(gt=None, multiple_of=None, ge=least, lt=above, le=greatest):
            top = above - 1 if above is not None else greatest
            if _is_bounded(least, top):
                return "whole", float(least), float(top), False, ()
        case types.LiteralType(values=values):
            return "choice", 0.0, 0.0, False, tuple(str(value) for value in values)
        case types.BoolType():
            return "truth", 0.0, 0.0, False, ()
        case types.DictType(
            key_type=types.StrType(max_length=int(key)), value_type=types.StrType(max_length=int(text))
        ):
            if key == text and given.max_length is not None:
                return "map", float(text), float(given.max_length), False, ()
        case _:
            pass
    raise _NoLayoutError(f"C does not read {given}")


def _is_bounded(least: float | None, greatest: float | None) -> bool:
    return least is not None and greatest is not None and 0 <= least <= greatest <= _EXACT


_ENVELOPE = _kinds(ResponseEvent)
_MEANS = _kinds(Response) | {f"segment.{name}": kind for name, kind in _kinds(SegmentParts).items()}
_REQUIRED = frozenset(field.name for field in fields(Response) if field.required)
