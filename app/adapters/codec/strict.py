"""Strict conversion of canonical data into an event struct, with the place and the given name in the error."""

import re
from typing import TypeVar

import msgspec

from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.translate import Canonical

T = TypeVar("T")

_PLACE = re.compile(r"`\$(?P<path>[^`]*)`")


def converted(canonical: Canonical, kind: type[T]) -> T:
    """``canonical.fields`` as a ``kind``. Raises ``UnreadableError`` (bad_data) with the JSON path of the trouble."""
    try:
        return msgspec.convert(canonical.fields, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError("bad_data", _placed(str(error), canonical.given_as)) from None
    except RecursionError:
        raise UnreadableError("too_deep", "the data is nested too deeply") from None


def _placed(message: str, given_as: dict[str, str]) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"{message} - at `$.data`"
    path = place["path"]
    given = given_as.get(path.lstrip("."))
    named = given is not None and given != path.lstrip(".")
    name = f".{given}` (meaning `{path.lstrip('.')}`)" if named else f"{path}`"
    return f"{message[: place.start()]}`$.data{name}{message[place.end() :]}"
