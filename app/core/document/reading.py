"""From TOML or JSON to a checked document; every error names its place."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Never

import msgspec

from app.core.document.checks import check
from app.core.document.errors import NOTHING, DocumentError, Path, PathStep
from app.core.document.lines import line_of
from app.core.document.schema import allowed, keys_at, type_at
from app.core.document.service_document import ServiceDocument, completed

_PLACE = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"unknown field `(.*)`")
_MISSING = re.compile(r"missing required field `(.*)`")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def parse_toml(text: str, origin: str = "") -> ServiceDocument:
    """The document in ``text``; ``origin`` (a file name) stands in errors. Raises ``DocumentError``."""
    try:
        raw = tomllib.loads(text)
    except RecursionError:
        raise DocumentError("not TOML: nested too deeply", origin=origin) from None
    except tomllib.TOMLDecodeError as error:
        found = _TOML_LINE.search(str(error))
        line = int(found[1]) if found else len(text.splitlines())
        problem = f"not TOML: {_TOML_LINE.sub('', str(error)).strip()}"
        raise DocumentError(problem, origin=origin, line=line) from None
    try:
        return from_object(raw)
    except DocumentError as error:
        raise error.at(origin, line_of(text, error.path)) from None


def from_json(text: bytes | str, origin: str = "") -> ServiceDocument:
    """The document in a JSON object. Raises ``DocumentError``."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}", origin=origin) from None
    try:
        return from_object(raw)
    except DocumentError as error:
        raise error.at(origin, None) from None


def from_object(raw: Any) -> ServiceDocument:
    """The document in plain values (dict, list, str...). Raises ``DocumentError`` with a path but no origin."""
    if not isinstance(raw, Mapping):
        raise DocumentError("a service document is a table", value=raw)
    values = _with_text_times(raw)
    try:
        document = msgspec.convert(values, ServiceDocument)
    except msgspec.ValidationError as error:
        _raise_at_place(str(error), values)
    document = completed(document)
    check(document)
    return document


def _with_text_times(value: Any) -> Any:
    """TOML times and dates as RFC 3339 text in UTC, so that the document is the same in TOML and JSON."""
    if isinstance(value, Mapping):
        return {key: _with_text_times(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_times(item) for item in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    if isinstance(value, time):
        return value.isoformat()
    return value


def _raise_at_place(message: str, raw: Any) -> Never:
    """Turn msgspec's message into a ``DocumentError`` with path, value and what is allowed."""
    place = _PLACE.search(message)
    path = _path(place[1]) if place else ()
    problem = message[: place.start()] if place else message
    if unknown := _UNKNOWN.search(problem):
        _raise_unknown((*path, unknown[1]))
    if missing := _MISSING.search(problem):
        full = (*path, missing[1])
        kind = type_at(full)
        raise DocumentError("is required", path=full, allowed=allowed(kind) if kind else "") from None
    kind = type_at(path)
    raise DocumentError(
        "not allowed", path=path, value=_value_at(raw, path), allowed=allowed(kind) if kind else problem
    ) from None


def _raise_unknown(path: Path) -> Never:
    known = keys_at(path[:-1])
    near = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    hint = f", did you mean `{near[0]}`?" if near else ""
    raise DocumentError(f"unknown key{hint}", path=path, allowed=", ".join(known)) from None


def _path(text: str) -> Path:
    steps: list[PathStep] = []
    for name, index in _STEP.findall(text):
        steps.append(name or (int(index) if index.isdigit() else "..."))
    return tuple(steps)


def _value_at(raw: Any, path: Path) -> Any:
    for step in path:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return NOTHING
    return raw
