"""Apply the alias table: data with any spelling in, canonical nested data out.

Bounds: ``MAX_NAMES`` names (the depth is bounded when the JSON is read). ``null`` counts as absent. Unknown names are
dropped and counted once. Counts: ``aliased`` (an alias was used), ``alias_conflict`` (two spellings disagreed; the
more trusted one won), ``unknown_fields`` (something was dropped).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from app.adapters.codec.aliases import CANONICAL_UNITS, NAMESPACES, Alias
from app.adapters.codec.convert import UNITS
from app.adapters.codec.reasons import UnreadableError

Count = Callable[[str], None]

MAX_NAMES = 512


class _Meaning(NamedTuple):
    field: str
    unit: str
    trust: int  # 0 is the canonical name; lower wins


class Canonical(NamedTuple):
    """``fields``: nested canonical data. ``given_as``: canonical dotted field -> the name it came by."""

    fields: dict[str, Any]
    given_as: dict[str, str]


class Table:
    """One kind of data: its canonical dotted names, those whose objects are kept whole, and its aliases."""

    def __init__(self, canonical: Iterable[str], aliases: Iterable[Alias], whole: Iterable[str] = ()) -> None:
        self.whole = frozenset(whole)
        self._meanings = {name: _Meaning(name, CANONICAL_UNITS.get(name, ""), 0) for name in canonical}
        self._objects = {name.partition(".")[0] for name in self._meanings if "." in name}
        for trust, alias in enumerate(aliases, start=1):
            meaning = _Meaning(alias.field, alias.unit, trust)
            self._meanings.setdefault(alias.name, meaning)
            if "." in alias.name:
                for namespace in NAMESPACES:
                    self._meanings.setdefault(namespace + alias.name, meaning)

    def unit(self, name: str) -> str:
        """The converter of a known ``name``, "" when its value is taken as it is."""
        return self._meanings[name].unit

    def canonical(self, data: dict[str, Any], count: Count) -> Canonical:
        """Translate ``data``. Raises ``UnreadableError`` (bad_data, too_many_fields)."""
        values: dict[str, Any] = {}
        trusts: dict[str, int] = {}
        given_as: dict[str, str] = {}
        unknown = conflict = False
        for name, raw in _flat(data, self.whole):
            meaning = self._meanings.get(name)
            if meaning is None:
                if name in self._objects:
                    raise UnreadableError("bad_data", f"Expected `object` - at `$.data.{name}`")
                unknown = True
                continue
            field, unit, trust = meaning
            value = _converted(name, unit, raw) if unit else raw
            if field in values:
                conflict |= values[field] != value
                if trusts[field] <= trust:
                    continue
            values[field], trusts[field], given_as[field] = value, trust, name
        _tally(count, unknown_fields=unknown, alias_conflict=conflict, aliased=any(trusts.values()))
        return Canonical(_nested(values), given_as)


def _tally(count: Count, **happened: bool) -> None:
    for what, yes in happened.items():
        if yes:
            count(what)


def _flat(data: dict[str, Any], whole: frozenset[str]) -> list[tuple[str, Any]]:
    """(dotted name, value) of everything that is not null and not an object, in a fixed order."""
    found: list[tuple[str, Any]] = []
    stack = [("", data)]
    seen = 0
    while stack:
        prefix, level = stack.pop()
        seen += len(level)
        if seen > MAX_NAMES:
            raise UnreadableError("too_many_fields", f"the data has more than {MAX_NAMES} names")
        for key, value in level.items():
            if type(value) is dict and prefix + key not in whole:
                stack.append((prefix + key + ".", value))
            elif value is not None:
                found.append((prefix + key, value))
    return found


def _converted(name: str, unit: str, value: Any) -> Any:
    if not unit:
        return value
    try:
        return UNITS[unit](value)
    except (ValueError, OverflowError) as error:
        raise UnreadableError("bad_data", f"{error} - at `$.data.{name}`") from None


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    dotted = [field for field in values if "." in field]
    for field in dotted:
        outer, _, inner = field.partition(".")
        values.setdefault(outer, {})[inner] = values.pop(field)
    return values


def lookup(data: dict[str, Any], name: str) -> Any:
    """The value of a dotted ``name`` in ``data``, flat or nested in any mixture; None when it is not there."""
    if name in data:
        return data[name]
    dot = name.find(".")
    while dot >= 0:
        inner = data.get(name[:dot])
        value = lookup(inner, name[dot + 1 :]) if isinstance(inner, dict) else None
        if value is not None:
            return value
        dot = name.find(".", dot + 1)
    return None
