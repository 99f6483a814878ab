"""`llm-optimizer doctor`: what would keep a worker from running here, and how to mend it.

Exit code 1 when something is broken; 0 otherwise, also with warnings.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

import app
from app.cli.finding import Finding
from app.cli.options import Options
from app.cli.output import json_option, write_columns, write_json
from app.cli.version import versions

if TYPE_CHECKING:
    from app.settings import Loaded

PINNED = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}
"""The batch lane reads these libraries' internals: other versions are not known to be exact."""

UNUSED = ("REDIS_URL", "POSTGRES_URL", "DATABASE_URL")
"""Variables of the platform's manifests for stores the optimizer does without: its state is the log."""

NAMES = ("app", "agents", "tables")
"""Our packages: short names, which others have, too."""


@click.command
@json_option
@click.pass_obj
def doctor(options: Options, *, as_json: bool) -> int:
    """Check this machine, the settings and the broker."""
    found = list(examine(options))
    if as_json:
        write_json(found)
    else:
        write_columns([(f.result, f.check, f.found) for f in found])
        for finding in found:
            if finding.mend:
                click.echo(f"\n{finding.check}: {finding.mend}")
    return int(any(finding.result == "broken" for finding in found))


def examine(options: Options) -> Iterator[Finding]:
    """Every check, cheapest first; those that need usable settings are left out when there are none."""
    from app.cli.doctor_broker import broker
    from app.cli.doctor_http import around
    from app.settings import SettingsError

    yield python_version(sys.version_info[:3])
    yield from pinned_versions(versions())
    yield hot_loops(native_modules(Path(app.__file__).parent))
    yield import_names(packages_distributions())
    yield imported_from({name: origin(name) for name in NAMES})
    yield from unused_variables(os.environ)
    yield local_kafka()
    try:
        loaded = options.loaded()
    except SettingsError as error:
        yield Finding("settings", "broken", f"{len(error.problems)} problems", "\n  ".join(map(str, error.problems)))
        return
    settings = loaded.settings
    yield Finding("settings", "ok", "valid")
    yield from unread_settings(loaded)
    yield state_folder(Path(settings.state.dir))
    yield from broker(settings, options.command("topics", "apply"))
    yield from around(settings)


def python_version(version: tuple[int, ...]) -> Finding:
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Finding("python", "broken", text, "install Python 3.11 or newer and make .venv again")
    return Finding("python", "ok", text)


def pinned_versions(found: dict[str, str]) -> Iterator[Finding]:
    for package, wanted in PINNED.items():
        if found[package] == wanted:
            yield Finding(package, "ok", wanted)
        else:
            yield Finding(package, "broken", found[package], f"install exactly {wanted}: `make setup` does")


def native_modules(package: Path) -> list[str]:
    """The modules that have a twin in C below the folder of ``app``, by their full names."""
    found = sorted(package.glob("**/native/*.c"))
    return [".".join(path.relative_to(package.parent).with_suffix("").parts) for path in found]


def hot_loops(modules: Sequence[str]) -> Finding:
    """Whether each of ``modules`` is compiled and loads here; what is not runs in Python, with the same results."""
    failed, old = [], []
    for name in modules:
        try:
            made = Path(import_module(name).__file__ or "")
        except ImportError as error:
            failed.append(f"{name} does not load ({error})")
            continue
        if any(source.stat().st_mtime > made.stat().st_mtime for source in made.parent.glob("*.[ch]")):
            old.append(f"{name} is older than its source")
    if failed:
        mend = "`make native` compiles them where there is a C compiler; until then events cost more CPU"
        return Finding("hot loops", "warning", f"Python, because {'; '.join(failed)}", mend)
    if old:
        return Finding("hot loops", "warning", f"C, but {'; '.join(old)}", "`make native` compiles it anew")
    return Finding("hot loops", "ok", "C")


def import_names(provided: Mapping[str, list[str]]) -> Finding:
    """openai-agents has a package ``agents``, too: whichever was installed last wins, and the other breaks.

    ``provided``: top-level package -> the distributions that have one of that name.
    """
    others = {name: sorted(set(provided.get(name, ())) - {"llm-auto-optimizer"}) for name in NAMES}
    clashes = [f"{', '.join(found)} also provides the package `{name}`" for name, found in others.items() if found]
    if clashes:
        mend = "give the optimizer an environment of its own (`make setup`), never a shared one"
        return Finding("import names", "broken", "; ".join(clashes), mend)
    return Finding("import names", "ok", f"no other package provides {', '.join(NAMES)}")


def origin(name: str) -> Path | None:
    """The folder that holds the package ``name`` as Python finds it; None when there is none."""
    found = find_spec(name)
    return Path(found.origin).parent.parent if found is not None and found.origin else None


def imported_from(folders: Mapping[str, Path | None]) -> Finding:
    """All of ours must come from one place; a folder `agents` where the program was started would hide ours."""
    home = folders["app"]
    strange = [f"`{name}` comes from {folder}" for name, folder in folders.items() if folder != home]
    if strange:
        mend = f"start it from another folder, and unset PYTHONPATH: `app` comes from {home}"
        return Finding("import path", "broken", "; ".join(strange), mend)
    return Finding("import path", "ok", str(home))


def unused_variables(env: Mapping[str, str]) -> Iterator[Finding]:
    given = [name for name in UNUSED if env.get(name)]
    if given:
        yield Finding(
            "environment", "warning", f"{', '.join(given)} set", "no such store is used: the state is in Kafka"
        )


def unread_settings(loaded: "Loaded") -> Iterator[Finding]:
    from app.settings.aliases import UNREAD
    from app.settings.load import DEFAULT

    given = sorted(path for path in UNREAD if loaded.origins[path] != DEFAULT)
    for path in given:
        found = f"{'.'.join(path)} is set ({loaded.origins[path]})"
        yield Finding("settings", "warning", found, f"nothing reads {'.'.join(path)} in this version: it has no effect")


def local_kafka() -> Finding:
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if missing:
        return Finding("make kafka", "warning", f"no {' or '.join(missing)}", "only needed for a Kafka on this machine")
    return Finding("make kafka", "ok", "java and mvn are here")


def state_folder(folder: Path) -> Finding:
    """Writable, or creatable in the nearest folder above that exists. Touches nothing."""
    nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return Finding("state.dir", "ok", str(folder))
    return Finding("state.dir", "broken", f"{folder} cannot be written", "choose another with --set state.dir=FOLDER")
