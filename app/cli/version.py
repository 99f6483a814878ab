"""`llm-optimizer version`: what is installed, for bug reports."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from app.cli.output import json_option, write_json

PACKAGES = (
    "llm-auto-optimizer",
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "msgspec",
    "numpy",
    "scipy",
    "river",
)


def versions() -> dict[str, str]:
    """Package -> installed version (``missing`` when it is not), Python's first."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = installed(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


@click.command
@json_option
def version(*, as_json: bool) -> None:
    """Print the versions of what is installed."""
    found = versions()
    if as_json:
        write_json(found)
    else:
        for package, number in found.items():
            click.echo(f"{package} {number}")
