"""`llm-optimizer demo`: the whole loop on this machine, told in under two minutes."""

import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.output import json_option, write_json

if TYPE_CHECKING:
    from app.sim.demo import Demo
    from app.sim.report import Report
    from app.sim.view import View

EXIT_TERMINATED = 143
"""As a shell reports SIGTERM: everything the demo started has been stopped."""
MARK = "settings.toml"
"""The file by which a kept folder is known as a demo's."""


@click.command
@click.option(
    "--keep",
    is_flag=True,
    help="Serve the live page meanwhile and keep the folder ./demo; on a terminal, keep all of it until Ctrl-C.",
)
@click.option("--seed", type=click.IntRange(0), help="Another day with the same services [default: the scenario's].")
@click.option("--scenario", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Another scenario file.")
@json_option
def demo(seed: int | None, scenario: Path | None, *, keep: bool, as_json: bool) -> int:
    """Show the whole loop on this machine: no Docker, no JVM, under two minutes.

    A cheaper model is proven and promoted, the next one turns bad on trial and is rolled back. Exit code 1, with the
    reason, when any of it did not happen or a single event was not counted.
    """
    from app.sim.demo import BUILT_IN, Demo

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    port = _free_port() if keep else None
    with (
        _folder(keep=keep) as folder,
        Demo(folder, _view(as_json=as_json), scenario=scenario or BUILT_IN, seed=seed, page=port) as running,
    ):
        told = running.run()
        if as_json:
            write_json(told)
        else:
            _print(told)
        if keep:
            _stay(running, folder)
    return 1 if told.failures else 0


def _free_port() -> int:
    """The usual port of the API where nobody has it, else any free one."""
    from app.settings import Api

    for wanted in (Api().port, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", wanted)) as found:
            return int(found.getsockname()[1])
    raise click.ClickException("no port of 127.0.0.1 is free for the live page")


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    if not keep:
        with tempfile.TemporaryDirectory(prefix="llm-optimizer-demo-") as name:
            yield Path(name)
        return
    folder = Path("demo")
    if folder.exists() and not (folder / MARK).exists():
        raise click.ClickException("./demo exists and is not a demo's folder: move it away, or start somewhere else")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    yield folder


def _view(*, as_json: bool) -> "View":
    from app.sim.view import LiveView, PlainView

    stream = sys.stderr if as_json else sys.stdout
    if stream.isatty():
        return LiveView(stream)
    return PlainView(lambda line: click.echo(line, file=stream))


def _print(told: "Report") -> None:
    from app.sim.summary import lines

    for line in lines(told):
        click.echo(line)


def _stay(running: "Demo", folder: Path) -> None:
    click.echo(f"kept: {folder}/ (settings, facts, the worker's log)", err=True)
    click.echo(f"decide again: llm-optimizer replay {running.facts}", err=True)
    if sys.stdout.isatty():
        running.go_on()
        command = f"llm-optimizer --config {folder}/{MARK} status"
        click.echo(f"the cluster, a worker, the gateway and the page stay until Ctrl-C: {command}", err=True)
        click.pause("")
