import subprocess
import sys

import click
import pytest
from confluent_kafka import KafkaError, KafkaException

from app.cli.main import COMMANDS, cli, run
from app.cli.options import Options

HEAVY = [
    "scipy",
    "river",
    "rich",
    "numpy",
    "faust",
    "aiokafka",
    "aiohttp",
    "confluent_kafka",
    "structlog",
    "opentelemetry",
    "grpc",
    "sqlite3",
    "asyncio",
]


def test_help_of_every_command_imports_nothing_heavy():
    """One process for all of them: what any of their modules imports would be seen."""
    code = """
import sys
from app.cli.main import COMMANDS, run
run(["--help"])
print(len(sys.modules), file=sys.stderr)
for name in COMMANDS:
    assert run([name, "--help"]) == 0
print(*sys.modules, file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    of_help, of_all = done.stderr.splitlines()
    assert int(of_help) < 350
    assert set(HEAVY) & set(of_all.split()) == set()
    assert done.stdout.count("Usage: llm-optimizer") == 1 + len(COMMANDS)


def test_help_lists_every_command_with_a_line(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_exists_under_its_name(name: str):
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.help


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert run(["topic"]) == 2
    assert "No such command 'topic'" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["web.port", "port=1", "="])
def test_a_flag_must_name_a_section_a_field_and_a_value(flag: str, capsys: pytest.CaptureFixture[str]):
    assert run(["--set", flag, "config", "show"]) == 2
    assert "write it as SECTION.FIELD=VALUE" in capsys.readouterr().err


def test_unusable_settings_have_an_exit_code_of_their_own(capsys: pytest.CaptureFixture[str]):
    assert run(["--set", "web.port=x", "config", "show"]) == 78
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "llm-optimizer: settings: flag web.port: web.port is 'x'; must be a whole number of at least 0 and at most 65,535\n"
    )


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("app.cli.main.cli.main", fail)


def test_an_own_error_is_one_line_and_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from app.adapters.kafka.admin import AdminError

    failing(monkeypatch, AdminError("no answer from Kafka at h:1"))
    assert run([]) == 1
    assert capsys.readouterr().err == "llm-optimizer: no answer from Kafka at h:1\n"


def test_what_a_kafka_client_raises_is_one_line_with_the_next_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    failing(monkeypatch, KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
    assert run([]) == 1
    said = capsys.readouterr().err
    assert "Topic authorization failed" in said
    assert "`llm-optimizer doctor`" in said


def test_an_unexpected_error_says_how_to_see_more(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    failing(monkeypatch, KeyError("x"))
    assert run([]) == 1
    assert (
        capsys.readouterr().err
        == "llm-optimizer: unexpected KeyError: 'x' (run again with --debug for the traceback)\n"
    )


def test_debug_shows_the_traceback_of_an_unexpected_error(monkeypatch: pytest.MonkeyPatch):
    failing(monkeypatch, KeyError("x"))
    with pytest.raises(KeyError):
        run(["--debug"])


def test_an_interruption_is_no_failure_of_ours(monkeypatch: pytest.MonkeyPatch):
    failing(monkeypatch, KeyboardInterrupt())
    assert run([]) == 130


def test_what_a_command_returns_is_the_exit_code(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.cli.main.cli.main", lambda *_, **__: 7)
    assert run([]) == 7


def test_a_command_shown_to_a_person_repeats_the_options():
    options = Options(flags={"kafka.bootstrap_servers": "h:1", "state.dir": "a b"})
    assert options.command("topics", "apply") == (
        "llm-optimizer --set kafka.bootstrap_servers=h:1 --set 'state.dir=a b' topics apply"
    )


def test_a_commands_own_option_wins_over_set():
    options = Options(flags={"topics.partitions": "3"})
    assert options.settings(topics__partitions=5).topics.partitions == 5
    assert options.settings(topics__partitions=None).topics.partitions == 3
