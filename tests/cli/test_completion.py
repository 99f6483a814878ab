import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from app.cli.completion import SHELLS, VARIABLE
from app.cli.main import COMMANDS, cli


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_for_both_names(shell: str):
    script = CliRunner().invoke(cli, ["completion", shell], prog_name="llm-optimizer").stdout
    assert f"{VARIABLE}={shell}_complete" in script
    assert "llmopt" in script.splitlines()[-1]


def test_bash_reads_its_script():
    script = CliRunner().invoke(cli, ["completion", "bash"]).stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def completed(words: str) -> list[str]:
    """What bash would offer after ``words``; also that nothing heavy was imported for it."""
    code = (
        "import sys; from app.cli.main import main\ntry: main()\nfinally: assert 'confluent_kafka' not in sys.modules"
    )
    env = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return [line.removeprefix("plain,") for line in done.stdout.splitlines()]


def test_commands_options_and_choices_are_completed():
    assert completed("llm-optimizer s") == [name for name in COMMANDS if name.startswith("s")]
    assert "--follow" in completed("llm-optimizer decisions --")
    assert completed("llm-optimizer experiment ") == ["create", "list", "stop"]
    assert completed("llm-optimizer export --format ") == ["csv", "jsonl", "parquet"]
