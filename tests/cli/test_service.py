"""`llm-optimizer service`: a document goes into force over a real (mock-cluster) topic and comes back as it went."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from app.adapters.kafka.command_log import CommandLog, CommandLogError
from app.adapters.kafka.mock import MockCluster
from app.cli.main import cli
from app.core.commands import Command, Freeze
from app.core.document import parse_toml
from app.core.document.reference import reference
from app.settings import load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "02-support-chat.toml"
MINIMAL = ROOT / "examples" / "01-minimal.toml"


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def flags(cluster: MockCluster, request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings with a commands topic of their own for each test."""
    topic = "commands." + "".join(c if c.isalnum() else "-" for c in request.node.name)[:100]
    cluster.touch(topic)
    return {"kafka.bootstrap_servers": cluster.bootstrap_servers, "topics.commands": topic}


def run(flags: dict[str, str], *words: str, text: str | None = None) -> Result:
    options = [part for name, value in flags.items() for part in ("--set", f"{name}={value}")]
    return CliRunner().invoke(cli, [*options, "service", *words], input=text)


def test_an_applied_document_is_shown_as_it_was_written(flags: dict[str, str]) -> None:
    assert run(flags, "apply", str(EXAMPLE)).exit_code == 0
    shown = run(flags, "show", "support-chat")
    assert shown.exit_code == 0
    assert parse_toml(shown.stdout) == parse_toml(EXAMPLE.read_text())


def test_apply_says_what_changed_and_sends_one_attributed_command(flags: dict[str, str]) -> None:
    applied = run(flags, "apply", str(MINIMAL), "--actor", "ada", "--reason", "first try", "--json")
    said = json.loads(applied.stdout)
    assert {change["parameter"] for change in said["changes"]} >= {"arms[gpt-4o]", "arms[gpt-4o-mini]"}
    (logged,) = CommandLog(load(flags=flags)).read()
    assert (logged.command.command, logged.command.service) == ("configure", "support-chat")
    assert (logged.command.actor, logged.command.reason) == ("ada", "first try")


def test_applying_the_same_document_again_sends_nothing(flags: dict[str, str]) -> None:
    run(flags, "apply", str(MINIMAL))
    again = run(flags, "apply", str(MINIMAL), "--json")
    assert json.loads(again.stdout) == {"service": "support-chat", "event": None, "changes": []}
    assert len(list(CommandLog(load(flags=flags)).read())) == 1


def test_diff_compares_with_the_newest_document_and_changes_nothing(flags: dict[str, str]) -> None:
    run(flags, "apply", str(MINIMAL))
    run(flags, "apply", "-", text=MINIMAL.read_text().replace("[[arms]]", 'mode = "auto"\n[[arms]]', 1))
    shown = run(flags, "diff", str(MINIMAL))
    assert shown.stdout.split() == ["~", "mode", "auto", "->", "recommend"]
    assert len(list(CommandLog(load(flags=flags)).read())) == 2


def test_services_are_listed(flags: dict[str, str]) -> None:
    run(flags, "apply", str(MINIMAL))
    run(flags, "apply", "-", text='service = "search"\n[[arms]]\nname = "small"\n')
    rows = json.loads(run(flags, "show", "--json").stdout)
    assert [(row["service"], row["incumbent"], row["arms"]) for row in rows] == [
        ("search", "small", 1),
        ("support-chat", "gpt-4o", 2),
    ]


def test_a_service_without_a_document_is_an_error_that_names_the_known_ones(flags: dict[str, str]) -> None:
    run(flags, "apply", str(MINIMAL))
    shown = run(flags, "show", "search")
    assert shown.exit_code == 1
    assert "configured services: support-chat" in shown.stderr


def test_a_bad_document_is_refused_with_its_line_and_nothing_is_sent(flags: dict[str, str]) -> None:
    refused = run(flags, "apply", "-", text='service = "s"\nmode = "live"\n[[arms]]\nname = "a"\n')
    assert refused.exit_code == 1
    assert "standard input:2: mode: not allowed" in refused.stderr
    assert list(CommandLog(load(flags=flags)).read()) == []


def test_a_missing_file_is_named(flags: dict[str, str]) -> None:
    refused = run(flags, "diff", "nowhere.toml")
    assert refused.exit_code == 1
    assert "cannot read nowhere.toml" in refused.stderr


def test_other_commands_and_rubbish_on_the_topic_are_passed_over(flags: dict[str, str]) -> None:
    log = CommandLog(load(flags=flags))
    log.send(Command(service="support-chat", command="freeze", args=Freeze(hold=True)))
    producer = Producer({"bootstrap.servers": flags["kafka.bootstrap_servers"]})
    for value in (b"rubbish", b'{"service": "support-chat", "command": "configure"}', None):
        producer.produce(flags["topics.commands"], value=value)
    assert producer.flush(10) == 0
    run(flags, "apply", str(MINIMAL))
    assert set(log.newest_documents()) == {"support-chat"}
    assert sorted(logged.command.command for logged in log.read()) == ["configure", "freeze"]


def test_without_a_broker_the_error_names_it_and_what_to_do() -> None:
    log = CommandLog(load(flags={"kafka.bootstrap_servers": "127.0.0.1:1"}), timeout_s=0.3)
    with pytest.raises(CommandLogError, match=r"127\.0\.0\.1:1 the broker.*topics apply"):
        log.newest_documents()
    with pytest.raises(CommandLogError, match="was not written"):
        log.send(Command(service="s", command="freeze", args=Freeze()))


def test_the_reference_is_the_page_in_the_docs() -> None:
    assert run({}, "reference").stdout == reference()
