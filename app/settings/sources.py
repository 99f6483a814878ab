"""Where values come from: a TOML file, the environment, flags. Each becomes a list of ``Given`` with its origin."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

import msgspec

from app.settings.aliases import ALIASES
from app.settings.model import FIELDS, SECTIONS, Path

PREFIX = "LLM_OPTIMIZER__"
CONFIG_VARIABLE = "LLM_OPTIMIZER_CONFIG"


class Given(msgspec.Struct, frozen=True):
    """A value as it was given. ``text``: it came without a type (environment, flag) and is read by its field's type."""

    path: Path
    value: Any
    origin: str
    text: bool


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with what was given: where, and what to write instead."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


Read = tuple[list[Given], list[Problem]]


def from_file(path: FilePath, origin: str) -> Read:
    """The settings of a TOML file. ``origin`` says who named the file (a flag or a variable), for errors about it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return [], [Problem(origin, f"cannot read {path}: {error.strerror or error}")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [], [Problem(str(path), f"not TOML: {error}")]
    given: list[Given] = []
    problems: list[Problem] = []
    for section, table in tables.items():
        if section not in SECTIONS:
            problems.append(Problem(f"{path}: [{section}]", _unknown((section, ""))))
        elif not isinstance(table, dict):
            problems.append(Problem(f"{path}: {section}", f"is {table!r}; must be a table [{section}]"))
        else:
            for field, value in table.items():
                item = Given((section, field), value, f"{path}: [{section}] {field}", text=False)
                _sort(item, given, problems)
    return given, problems


def from_environment(env: Mapping[str, str]) -> Read:
    """The variables ``LLM_OPTIMIZER__SECTION__FIELD``, and before them the platform's own names (aliases)."""
    given = [Given(path, env[name], _variable(name), text=True) for name, path in ALIASES.items() if env.get(name)]
    problems: list[Problem] = []
    for name in sorted(name for name in env if name.startswith(PREFIX)):
        section, _, field = name.removeprefix(PREFIX).lower().partition("__")
        _sort(Given((section, field), env[name], _variable(name), text=True), given, problems)
    return given, problems


def _variable(name: str) -> str:
    return f"environment variable {name}"


def from_flags(flags: Mapping[str, str]) -> Read:
    """Flags, keyed ``section.field``."""
    given: list[Given] = []
    problems: list[Problem] = []
    for name, value in flags.items():
        section, _, field = name.partition(".")
        _sort(Given((section, field), value, f"flag {name}", text=True), given, problems)
    return given, problems


def _sort(item: Given, given: list[Given], problems: list[Problem]) -> None:
    if item.path in FIELDS:
        given.append(item)
    else:
        problems.append(Problem(item.origin, _unknown(item.path)))


def _unknown(path: Path) -> str:
    section, field = path
    if section not in SECTIONS:
        return f"there is no section {section!r}{_meant(section, SECTIONS)}; sections: {', '.join(SECTIONS)}"
    names = [name for owner, name in FIELDS if owner == section]
    elsewhere = next((f"; did you mean {owner}.{name}?" for owner, name in FIELDS if name == field), "")
    return f"there is no setting {section}.{field}{_meant(field, names) or elsewhere}"


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def duration_s(text: str) -> float | None:
    """Seconds of ``250ms``, ``15m``, ``1h30m``; None when it is not written like that."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
