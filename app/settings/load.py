"""Settings from their sources: defaults < profile < TOML file < environment < flags. Each value knows its origin."""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import msgspec

from app.settings.aliases import PROFILES
from app.settings.checks import violations
from app.settings.model import FIELDS, SECTIONS, Path, Settings
from app.settings.section import Field
from app.settings.sources import (
    CONFIG_VARIABLE,
    Given,
    Problem,
    Read,
    duration_s,
    from_environment,
    from_file,
    from_flags,
)

DEFAULT = "default"


class SettingsError(ValueError):
    """Settings that cannot be used. ``problems`` name each place, what stands there and what is allowed."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, problems)))


class Loaded(msgspec.Struct, frozen=True):
    """Settings with the origin of every value: ``default``, a profile, a place in a file, a variable, or a flag."""

    settings: Settings
    origins: Mapping[Path, str]


Texts = Mapping[str, str]


def load(config: FilePath | None = None, env: Texts | None = None, flags: Texts | None = None) -> Settings:
    """``load_with_origins`` without the origins."""
    return load_with_origins(config, env, flags).settings


def load_with_origins(config: FilePath | None = None, env: Texts | None = None, flags: Texts | None = None) -> Loaded:
    """Read every source. ``config`` None: the file ``env`` names in LLM_OPTIMIZER_CONFIG, if any. ``flags`` are keyed
    ``section.field``. SettingsError with all problems at once.
    """
    given, problems = _read(config, env or {}, flags or {})
    values: dict[Path, Any] = {}
    origins = dict.fromkeys(FIELDS, DEFAULT)
    for item in given:
        value = _value(item, FIELDS[item.path])
        if isinstance(value, Problem):
            problems.append(value)
        else:
            values[item.path], origins[item.path] = value, item.origin
    if problems:
        raise SettingsError(problems)
    _add_profile(values, origins)
    settings = _build(values)
    broken = [_broken(at, other, rule, settings, origins) for at, other, rule in violations(settings)]
    if broken:
        raise SettingsError(broken)
    return Loaded(settings, origins)


def _read(config: FilePath | None, env: Texts, flags: Texts) -> Read:
    named = env.get(CONFIG_VARIABLE)
    sources = [from_environment(env), from_flags(flags)]
    if config is not None:
        sources.insert(0, from_file(config, "flag --config"))
    elif named:
        sources.insert(0, from_file(FilePath(named), f"environment variable {CONFIG_VARIABLE}"))
    return [item for given, _ in sources for item in given], [item for _, problems in sources for item in problems]


def _value(item: Given, field: Field) -> Any:
    try:
        return msgspec.convert(_typed(item, field), field.type, strict=not item.text)
    except msgspec.ValidationError:
        return Problem(item.origin, f"{'.'.join(item.path)} is {field.shown(item.value)}; must be {field.allowed}")


def _typed(item: Given, field: Field) -> Any:
    """A duration written with units, as a number (whole where it is); the rest as it is."""
    if field.name.endswith("_s") and isinstance(item.value, str):
        seconds = duration_s(item.value.strip())
        if seconds is not None:
            return int(seconds) if seconds.is_integer() else seconds
    return item.value.strip() if item.text and not field.secret else item.value


def _add_profile(values: dict[Path, Any], origins: dict[Path, str]) -> None:
    profile = values.get(("deployment", "profile"), Settings().deployment.profile)
    for path, value in PROFILES[profile].items():
        if path not in values:
            values[path], origins[path] = value, f"profile {profile}"


def _build(values: Mapping[Path, Any]) -> Settings:
    groups: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    for (section, field), value in values.items():
        groups[section][field] = value
    built: dict[str, Any] = {name: SECTIONS[name](**group) for name, group in groups.items()}
    return Settings(**built)


def _broken(at: Path, other: Path, rule: str, settings: Settings, origins: Mapping[Path, str]) -> Problem:
    """The blame goes to the one of the two that somebody has set."""
    place = origins[at] if origins[at] != DEFAULT else origins[other]
    return Problem(place, f"{_shown(at, settings)}; {rule} ({_shown(other, settings)})")


def _shown(path: Path, settings: Settings) -> str:
    section, field = path
    return f"{section}.{field} is {FIELDS[path].shown(getattr(getattr(settings, section), field))}"
