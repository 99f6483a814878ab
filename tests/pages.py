"""A page of the documentation, read as a person at a terminal would: files are written, commands are run, in order.

In a ``console`` block a line that begins with ``$`` is a command, the lines below it are its output; ``...`` stands for
any text. A block whose first line is ```` ```toml NAME ```` is the file NAME. Commands that would not end or would start
the world (LONG) are not run: that they exist, with their options, is checked.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from app.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[1]
LONG = (
    "make",
    "python -m app.sim.orchestrator",
    "python examples/02-emit-http",  # run where serve runs: tests/e2e/test_serve.py
    "llm-optimizer worker",
    "llm-optimizer simulate",  # minutes of CPU; the scenarios have tests of their own
    "curl",
    "git",
    "cd",
    "pip",
    "litellm",
    "cp",
)
STAYS = {"--follow", "--watch", "-f"}
SHARED = ("examples", "clients", "docs")
_FENCE = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(msgspec.Struct, frozen=True):
    """A fenced block; ``name``: the file it is, if any."""

    language: str
    name: str
    text: str


class Typed(msgspec.Struct, frozen=True):
    """A command that was run: what the page shows below it and what came. ``error``: empty when it ended well."""

    line: str
    shown: str
    out: str
    error: str


def blocks_of(text: str) -> list[Block]:
    """Every fenced block, in order."""
    return [Block(language, name, body) for language, name, body in _FENCE.findall(text)]


def commands_in(block: Block) -> list[tuple[str, str]]:
    """(command line, output below it) of a ``console`` block, in order; a line that ends in ``\\`` goes on."""
    parts = re.split(r"^\$ ((?:.*\\\n)*.*)$", block.text, flags=re.MULTILINE)
    return [(line.replace("\\\n", " "), shown) for line, shown in zip(parts[1::2], parts[2::2], strict=True)]


def commands_of(text: str) -> list[tuple[str, str]]:
    """Those of all blocks."""
    return [pair for block in blocks_of(text) if block.language == "console" for pair in commands_in(block)]


def is_long(line: str) -> bool:
    """Whether the command is only looked at, not run."""
    words = shlex.split(line)
    return line.startswith(LONG) or line == "llm-optimizer serve" or bool(STAYS & set(words)) or words[-1] == "&"


def read_through(text: str, folder: Path, broker: str, patch: pytest.MonkeyPatch) -> Iterator[Typed]:
    """Type everything of a page in ``folder`` against the broker at ``broker``."""
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    patch.chdir(folder)
    for block in blocks_of(text):
        if block.name:
            (folder / block.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.name).write_text(block.text)
        for line, shown in commands_in(block) if block.language == "console" else ():
            if line.startswith("export "):
                _export(line, broker, patch)
            elif not is_long(line):
                yield _run(line, shown)


def _export(line: str, broker: str, patch: pytest.MonkeyPatch) -> None:
    name, _, value = shlex.split(line)[1].partition("=")
    if name != "PATH":
        patch.setenv(name, broker if name.endswith("BOOTSTRAP_SERVERS") else value)


def _run(line: str, shown: str) -> Typed:
    words = shlex.split(line)
    if words[0] == "python":
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *words[1:]], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        return Typed(line, shown, done.stdout, done.stderr or "failed" if done.returncode else "")
    assert words[0] == "llm-optimizer", f"{line}: a page may run llm-optimizer and python only, or a LONG command"
    result = CliRunner().invoke(cli, words[1:])
    return Typed(line, shown, result.stdout, f"{result.stderr} {result.exception}" if result.exit_code else "")


def unlike(typed: Typed) -> bool:
    """Whether the output is not what the page shows."""
    shown = ".*".join(re.escape(part) for part in typed.shown.strip().split("..."))
    return not re.fullmatch(shown, typed.out.strip(), re.DOTALL)


def strange_in(line: str) -> str:
    """Why a command that is only looked at cannot be typed; empty when it can."""
    words = [word for word in shlex.split(line) if word != "&"]
    if words[0] == "make":
        known = f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        return "" if known else f"make has no target {words[1]}"
    if words[0] != "llm-optimizer":
        return ""
    command: click.Command = cli
    for at, word in enumerate(words[1:], 1):
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            return _options_of(command, words[at:])
        command = found
    return ""


def _options_of(command: click.Command, words: list[str]) -> str:
    known = {name for parameter in command.params for name in parameter.opts}
    wrong = [word for word in words if word.startswith("-") and word.split("=")[0] not in known]
    return f"{command.name} has no {wrong[0]}" if wrong else ""


def names_unknown_commands(text: str) -> set[str]:
    """Commands a page names in running text, as `llm-optimizer NAME`, that do not exist."""
    return set(re.findall(r"`llm-optimizer ([a-z][a-z-]*)", text)) - set(COMMANDS)


def dead_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    targets = re.findall(r"\]\((?!http)([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    return [target for target in targets if not (page.parent / target).exists()]
