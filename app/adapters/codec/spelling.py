"""One-step reading of a spelling that was seen: what a producer writes once, it writes again.

A *spelling* is the set of names, nested as they are, that one ``response.completed`` came with. Its first event is
translated by the alias table, name by name. From that a struct type is made that reads exactly this spelling with one
msgspec decode, ten times as fast. The type allows no other name, so whatever is spelled, or bounded, differently fails
and is translated as before: the table stays the only judge of what a name means.

Not learned: names whose value is converted (seconds, status words), two names for one field, names nobody knows,
``null``, binary mode.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import NODEFAULT

from app.adapters.codec.envelope import require_data, structured
from app.adapters.codec.payload import read_object
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.response import TABLE, TYPES
from app.adapters.codec.translate import Count
from app.core.events import RESPONSE_COMPLETED, SPECVERSION, Name, Response, ResponseEvent, SegmentParts

Read = Callable[[bytes], Any]
"""A ``ResponseEvent``, or an ``OtherVersion``. Raises one of ``FOREIGN`` on bytes of another spelling."""

Path = tuple[str, ...]

FOREIGN = (ValueError, RecursionError, TypeError)
"""What a reader raises on bytes of another spelling; msgspec's errors and UnicodeDecodeError are ValueErrors."""
MAX_SPELLINGS = 8
MAX_PAUSE = 1023
"""Most slow events between two tries to learn: a try costs about as much as three of them."""


class OtherVersion(msgspec.Struct, frozen=True, gc=False, tag_field="specversion", tag="0.3"):
    """The other member of the union: a union is what makes msgspec insist on the tag, here ``specversion``."""

    type: str = ""


CANONICAL = msgspec.json.Decoder(ResponseEvent | OtherVersion).decode
_PARTS = {f"segment.{part.name}": part for part in msgspec.structs.fields(SegmentParts)}
_MEANS = _PARTS | {field.name: field for field in msgspec.structs.fields(Response)}


class Spellings:
    """The spellings one worker met, the last one first. ``read`` reads that one; ``MAX_SPELLINGS`` are remembered.

    What a spelling gives never depends on which others are known: either the event of the table, or an error.
    """

    def __init__(self, count: Count) -> None:
        self.read: Read = CANONICAL
        self._others: list[Read] = []
        self._count = count
        self._wait = self._pause = 0

    def read_other(self, value: bytes) -> ResponseEvent | None:
        """As ``read`` with every other spelling; the one that fits becomes the first. None when none does."""
        for read in self._others:
            try:
                event = read(value)
            except FOREIGN:
                continue
            if isinstance(event, ResponseEvent) and event.type == RESPONSE_COMPLETED:
                self._others.remove(read)
                self._others.insert(0, self.read)
                self.read = read
                return event
        return None

    def learn(self, value: bytes, event: ResponseEvent) -> None:
        """Remember how ``value``, translated to ``event``, is spelled. Fewer and fewer tries while they are in vain."""
        self._wait -= 1
        if self._wait >= 0:
            return
        silent, read = spelling_of(value, lambda _: None), spelling_of(value, self._count)
        if silent is None or read is None or not _gives(silent, value, event):
            self._pause = self._wait = min(MAX_PAUSE, 2 * self._pause + 1)
            return
        self._pause = self._wait = 0
        self._others = [self.read, *self._others][: MAX_SPELLINGS - 1]
        self.read = read


def _gives(read: Read, value: bytes, event: ResponseEvent) -> bool:
    try:
        return bool(read(value) == event)
    except FOREIGN:
        return False


def spelling_of(value: bytes, count: Count) -> Read | None:
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
        return _reader(envelope.type, meant, count) if envelope.type in TYPES else None
    except (TypeError, ValueError):  # names that make no struct type
        return None


def _leaves(data: Mapping[str, Any], whole: frozenset[str], above: Path = ()) -> Iterator[tuple[str, Path]]:
    for name, value in data.items():
        path = (*above, name)
        if type(value) is dict and ".".join(path) not in whole:
            yield from _leaves(value, whole, path)
        else:
            yield ".".join(path), path


def _reader(type_: str, meant: Mapping[Path, str], count: Count) -> Read:
    kind = _event_type(type_, meant)
    decode = msgspec.json.Decoder(kind | OtherVersion).decode
    build = _builder(meant)
    aliased = any(path != tuple(field.split(".")) for path, field in meant.items())

    def read(value: bytes) -> Any:
        event = decode(value)
        if type(event) is not kind:
            return event
        if aliased:
            count("aliased")
        return build(event, event.data)

    return read


def _builder(meant: Mapping[Path, str]) -> Callable[[Any, Any], ResponseEvent]:
    """What makes the canonical event of one that was read as spelled. Python of its own, as dataclasses are made: every
    name in it is one of ``Response`` or made by ``_attribute``, and a loop would cost more than the decoding.
    """
    places = {field: "data." + ".".join(map(_attribute, path)) for path, field in meant.items()}
    arguments = [f"{field}={place}" for field, place in places.items() if field not in _PARTS]
    parts = [f"{field.partition('.')[2]}={place}" for field, place in places.items() if field in _PARTS]
    if parts:
        arguments.append(f"segment=SegmentParts({', '.join(parts)})")
    source = f"ResponseEvent(event.id, event.source, RESPONSE_COMPLETED, Response({', '.join(arguments)}), event.time)"
    names = {"ResponseEvent": ResponseEvent, "Response": Response, "SegmentParts": SegmentParts}
    made: Callable[[Any, Any], ResponseEvent] = eval(  # noqa: S307  # see above: no text of an event is in it
        f"lambda event, data: {source}", {**names, "RESPONSE_COMPLETED": RESPONSE_COMPLETED}
    )
    return made


def _event_type(type_: str, meant: Mapping[Path, str]) -> Any:
    options: dict[str, Any] = {"tag_field": "specversion", "tag": SPECVERSION, "frozen": True, "gc": False}
    members: list[tuple[str, Any] | tuple[str, Any, Any]]
    members = [("id", Name), ("source", Name), ("type", Literal[type_]), ("data", _group(meant)), ("time", str, "")]
    return msgspec.defstruct("SpelledEvent", members, **options)


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
