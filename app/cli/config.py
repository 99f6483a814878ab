"""`llm-optimizer config show|validate`: the settings in force, each with its origin; secrets masked."""

import click

from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json
from app.settings import Loaded
from app.settings.load import DEFAULT
from app.settings.model import FIELDS, Path
from app.settings.section import MASK


@click.group
def config() -> None:
    """Show the settings with their origin, or validate them."""


@config.command
@click.option("--changed", is_flag=True, help="Only settings that are not at their default.")
@click.option("--docs", is_flag=True, help="Also what is allowed, and why the default is so.")
@json_option
@click.pass_obj
def show(options: Options, *, changed: bool, docs: bool, as_json: bool) -> None:
    """Print every setting, its value and where the value came from."""
    loaded = options.loaded()
    shown = [path for path in FIELDS if not changed or loaded.origins[path] != DEFAULT]
    if as_json:
        write_json({".".join(path): _entry(path, loaded, docs=docs) for path in shown})
    elif docs:
        click.echo("\n\n".join(_paragraph(path, loaded) for path in shown))
    else:
        write_columns(
            [(".".join(path), _text(path, loaded), loaded.origins[path]) for path in shown],
            header=("SETTING", "VALUE", "ORIGIN"),
        )


@config.command
@json_option
@click.pass_obj
def validate(options: Options, *, as_json: bool) -> None:
    """Read every source and say whether the settings can be used (exit code 78 when not)."""
    loaded = options.loaded()
    given = sum(origin != DEFAULT for origin in loaded.origins.values())
    if as_json:
        write_json({"valid": True, "given": given})
    else:
        click.echo(f"the settings are valid; {given} differ from the defaults")


def _value(path: Path, loaded: Loaded) -> object:
    section, field = path
    value = getattr(getattr(loaded.settings, section), field)
    return MASK if FIELDS[path].secret and value else value


def _text(path: Path, loaded: Loaded) -> str:
    value = _value(path, loaded)
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _entry(path: Path, loaded: Loaded, *, docs: bool) -> dict[str, object]:
    field = FIELDS[path]
    entry = {"value": _value(path, loaded), "origin": loaded.origins[path], "default": field.default}
    return entry | ({"allowed": field.allowed, "reason": field.reason} if docs else {})


def _paragraph(path: Path, loaded: Loaded) -> str:
    field = FIELDS[path]
    head = f"{'.'.join(path)} = {_text(path, loaded)}  ({loaded.origins[path]})"
    variable = f"LLM_OPTIMIZER__{path[0].upper()}__{path[1].upper()}"
    return f"{head}\n    {field.reason}\n    Must be {field.allowed}. Variable: {variable}"
