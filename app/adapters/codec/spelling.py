"""One-step reading of a spelling that was seen: what a producer writes once, it writes again.

A *spelling* is the set of names, nested as they are, that one ``response.completed`` came with. Its first event is
translated by the alias table, name by name. From that a struct type is made that reads exactly this spelling with one
msgspec decode, ten times as fast. The type allows no other name, so whatever is spelled, or bounded, differently fails
and is translated as before: the table stays the only judge of what a name means.

Not learned: names whose value is converted (seconds, status words), two names for one field, names nobody knows,
``null``, binary mode.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import NODEFAULT

from app.adapters.codec.envelope import require_data, structured
from app.adapters.codec.payload import read_object
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.response import TABLE, TYPES
from app.adapters.codec.translate import Count
from app.core.events import RESPONSE_COMPLETED, SPECVERSION, Name, Response, ResponseEvent, SegmentParts
from app.core.ports import Usual
from app.core.usual import FOREIGN

Read = Callable[[bytes], Any]
"""A ``ResponseEvent``, or an ``OtherVersion``. Raises one of ``FOREIGN`` on bytes of another spelling."""

Path = tuple[str, ...]

CountMany = Callable[[str, int], None]
MAX_SPELLINGS = 8
MAX_PAUSE = 1023
"""Most slow events between two tries to learn: a try costs about as much as three of them."""


class OtherVersion(msgspec.Struct, frozen=True, gc=False, tag_field="specversion", tag="0.3"):
    """The other member of the union: a union is what makes msgspec insist on the tag, here ``specversion``."""

    type: str = ""


CANONICAL = msgspec.json.Decoder(ResponseEvent | OtherVersion).decode
_PARTS = {f"segment.{part.name}": part for part in msgspec.structs.fields(SegmentParts)}
_MEANS = _PARTS | {field.name: field for field in msgspec.structs.fields(Response)}


class Spelling(msgspec.Struct, frozen=True):
    """``read`` gives the canonical event of a value; ``usual`` the same in two steps, for the fold."""

    read: Read
    usual: Usual | None = None


class Spellings:
    """The spellings one worker met, the last one first. ``read`` reads that one; ``MAX_SPELLINGS`` are remembered.

    What a spelling gives never depends on which others are known: either the event of the table, or an error.
    The canonical one is read whole; its ``usual`` reads no more than the names met so far, in half the time.
    """

    def __init__(self, count: Count, count_many: CountMany) -> None:
        self._count, self._count_many = count, count_many
        self._first = Spelling(CANONICAL)
        self._others: list[Spelling] = []
        self.read: Read = CANONICAL
        self._names: frozenset[str] = frozenset()
        self._canonical: Usual | None = None
        self._wait = self._pause = 0

    @property
    def usual(self) -> Usual | None:
        """How to read most of what comes, for the time being."""
        return self._canonical if self._first.read is CANONICAL else self._first.usual

    def widen(self, value: bytes) -> None:
        """Have the canonical ``usual`` read the names of ``value``, too; nothing if it has others than those."""
        try:
            names = self._names | _NAMES_OF(value).data.keys()
        except FOREIGN:
            return
        if self._first.read is CANONICAL and names != self._names and names <= _MEANS.keys():
            self._names = names
            meant: dict[Path, str] = {(name,): name for name in Response.__struct_fields__ if name in names}
            if meant.keys() >= {("service",), ("model",), ("latency_ms",)}:
                self._canonical = _usual(RESPONSE_COMPLETED, meant, self._count_many)

    def _prefer(self, spelling: Spelling) -> None:
        self._others = [self._first, *(other for other in self._others if other is not spelling)][: MAX_SPELLINGS - 1]
        self._first, self.read = spelling, spelling.read

    def read_other(self, value: bytes) -> ResponseEvent | None:
        """As ``read`` with every other spelling; the one that fits becomes the first. None when none does."""
        for other in self._others:
            try:
                event = other.read(value)
            except FOREIGN:
                continue
            if isinstance(event, ResponseEvent) and event.type == RESPONSE_COMPLETED:
                self._prefer(other)
                return event
        return None

    def learn(self, value: bytes, event: ResponseEvent) -> None:
        """Remember how ``value``, translated to ``event``, is spelled. Fewer and fewer tries while they are in vain."""
        self._wait -= 1
        if self._wait >= 0:
            return
        found = spelling_of(value, self._count, self._count_many)
        if found is None or found.usual is None or not _gives(found.usual, value, event):
            self._pause = self._wait = min(MAX_PAUSE, 2 * self._pause + 1)
            return
        self._pause = self._wait = 0
        self._prefer(found)


class _Names(msgspec.Struct):
    data: dict[str, msgspec.Raw]


_NAMES_OF = msgspec.json.Decoder(_Names).decode


def _gives(usual: Usual, value: bytes, event: ResponseEvent) -> bool:
    try:
        return bool(usual.event(usual.read(value)) == event)
    except FOREIGN:
        return False


def spelling_of(value: bytes, count: Count, count_many: CountMany = lambda _what, _n: None) -> Spelling | None:
    """The reader of every event spelled like the structured ``value``; None when its spelling cannot be learned."""
    try:
        envelope = structured(value)
        data = read_object(require_data(envelope))
        given_as = TABLE.canonical(data, lambda _: None).given_as
    except UnreadableError:
        return None
    paths = dict(_leaves(data, TABLE.whole))
    meant = {paths[name]: field for field, name in given_as.items() if name in paths}
    if len(meant) != len(paths) or any(TABLE.unit(name) for field, name in given_as.items() if name != field):
        return None
    if given_as.get("error_type", "error_type") != "error_type":
        return None  # it then also means a status
    try:
        return _reader(envelope.type, meant, count, count_many) if envelope.type in TYPES else None
    except (TypeError, ValueError):  # names that make no struct type
        return None


def _leaves(data: Mapping[str, Any], whole: frozenset[str], above: Path = ()) -> Iterator[tuple[str, Path]]:
    for name, value in data.items():
        path = (*above, name)
        if type(value) is dict and ".".join(path) not in whole:
            yield from _leaves(value, whole, path)
        else:
            yield ".".join(path), path


def _reader(type_: str, meant: Mapping[Path, str], count: Count, count_many: CountMany) -> Spelling:
    usual = _usual(type_, meant, count_many)
    decode, event_of = usual.read, usual.event
    aliased = _aliased(meant)

    def read(value: bytes) -> Any:
        event = decode(value)
        if aliased:
            count("aliased")
        return event_of(event)

    return Spelling(read, usual)


def _aliased(meant: Mapping[Path, str]) -> bool:
    return any(path != tuple(field.split(".")) for path, field in meant.items())


def _usual(type_: str, meant: Mapping[Path, str], count_many: CountMany) -> Usual:
    places = _places(meant)
    told = partial(count_many, "aliased") if _aliased(meant) else _nothing
    return Usual(
        read=msgspec.json.Decoder(_event_type(type_, meant)).decode,
        places=tuple(places.items()),
        event=_builder(places),
        told=told,
        type=type_,
        paths=tuple(meant.items()),
    )


def _nothing(_n: int) -> None:
    """A canonical spelling puts up with nothing."""


def _places(meant: Mapping[Path, str]) -> dict[str, str]:
    return {field: "data." + ".".join(map(_attribute, path)) for path, field in meant.items()}


def _builder(places: Mapping[str, str]) -> Callable[[Any], ResponseEvent]:
    """What makes the canonical event of one that was read as spelled. Python of its own, as dataclasses are made: every
    name in it is one of ``Response`` or made by ``_attribute``, and a loop would cost more than the decoding.
    """
    arguments = [f"{field}={place}" for field, place in places.items() if field not in _PARTS]
    parts = [f"{field.partition('.')[2]}={place}" for field, place in places.items() if field in _PARTS]
    if parts:
        arguments.append(f"segment=SegmentParts({', '.join(parts)})")
    source = f"ResponseEvent(event.id, event.source, RESPONSE_COMPLETED, Response({', '.join(arguments)}), event.time)"
    names = {"ResponseEvent": ResponseEvent, "Response": Response, "SegmentParts": SegmentParts}
    made: Callable[[Any], ResponseEvent] = eval(  # noqa: S307  # see above: no text of an event is in it
        f"lambda event: (lambda data: {source})(event.data)", {**names, "RESPONSE_COMPLETED": RESPONSE_COMPLETED}
    )
    return made


def _event_type(type_: str, meant: Mapping[Path, str]) -> Any:
    members: list[tuple[str, Any] | tuple[str, Any, Any]]
    members = [("specversion", Literal[SPECVERSION]), ("id", Name), ("source", Name), ("type", Literal[type_])]
    members += [("data", _group(meant)), ("time", str, "")]
    return msgspec.defstruct("SpelledEvent", members, frozen=True, gc=False)


def _group(meant: Mapping[Path, str], above: str = "") -> Any:
    """The struct type of one level: exactly these names. Those of aliases and of groups are required."""
    members: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys(path[0] for path in meant):
        below = {path[1:]: field for path, field in meant.items() if path[0] == name}
        if () in below:
            field = _MEANS[below[()]]
            kind, default = field.type, field.default if above + name == below[()] else NODEFAULT
        else:
            kind, default = _group(below, f"{above}{name}."), NODEFAULT
        members.append((_attribute(name), kind, msgspec.field(name=name, default=default)))
    return msgspec.defstruct("Spelled", members, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True)


def _attribute(name: str) -> str:
    """A Python name for any JSON name."""
    return "at_" + name.encode().hex()
