"""docs/backtest.md is executed: its tables are written, its commands run, its output compared (``...`` is any text)."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.main import cli

PAGE = (Path(__file__).parents[1] / "docs" / "backtest.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


TYPED = [
    pair for block in blocks("console") for pair in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in zip(("table.csv", "log.csv"), blocks("csv"), strict=True):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("line", "shown"), TYPED, ids=[line for line, _ in TYPED])
def test_a_command_prints_what_the_page_shows(folder: Path, line: str, shown: str) -> None:
    words = shlex.split(line)
    assert words[0] == "llm-optimizer"
    said = CliRunner().invoke(cli, words[1:])
    assert said.exit_code == 0, said.output
    pattern = ".*".join(map(re.escape, re.split(r"\.\.\.\n?", shown)))
    assert re.search(pattern, said.stdout, re.DOTALL), said.stdout


def test_there_are_commands() -> None:
    assert len(TYPED) == 4
