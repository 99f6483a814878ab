"""`llm-optimizer service`: a document goes into force over a real (mock-cluster) topic and comes back as it went."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from app.adapters.kafka.command_log import CommandLog, CommandLogError
from app.adapters.kafka.mock import MockCluster
from app.cli.main import cli
from app.core.commands import COMMAND, Command, Configure, Freeze, to_json
from app.core.document import parse_toml
from app.core.document.reference import reference
from app.settings import load

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "documents" / "support-chat.toml"
MINIMAL = ROOT / "examples" / "documents" / "minimal.toml"


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


def flags_of(cluster: MockCluster, topic: str) -> dict[str, str]:
    cluster.touch(topic)
    return {"kafka.bootstrap_servers": cluster.bootstrap_servers, "topics.commands": topic}


@pytest.fixture
def fresh(cluster: MockCluster, request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings with an empty commands topic."""
    return flags_of(cluster, "".join(c if c.isalnum() else "-" for c in request.node.name)[:100])


@pytest.fixture(scope="module")
def used(cluster: MockCluster) -> dict[str, str]:
    """Settings with a topic that has a history: other commands, rubbish, two documents of one service, one of another."""
    flags = flags_of(cluster, "used")
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    search = 'service = "search"\n[[arms]]\nname = "small"\n'
    commands = [
        Command(service="support-chat", command="freeze", args=Freeze(hold=True)),
        *(
            Command(service=document.service, command="configure", args=Configure(document))
            for document in map(parse_toml, (search, MINIMAL.read_text(), in_mode("auto")))
        ),
    ]
    for number, command in enumerate(commands):
        headers: list[tuple[str, str | bytes | None]] = [
            (f"ce_{name}", text) for name, text in attributes(f"id-{number}").items()
        ]
        producer.produce("used", key=command.service.encode(), value=to_json(command), headers=headers)
    for value in (b"rubbish", b'{"service": "support-chat", "command": "configure"}', None):
        producer.produce("used", key=b"support-chat", value=value)
    assert producer.flush(10) == 0
    return flags


def attributes(id_: str) -> dict[str, str]:
    return {"specversion": "1.0", "id": id_, "source": "/test", "type": COMMAND, "time": "2026-01-01T00:00:00Z"}


def in_mode(mode: str) -> str:
    return MINIMAL.read_text().replace("[[arms]]", f'mode = "{mode}"\n[[arms]]', 1)


def run(flags: dict[str, str], *words: str, text: str | None = None) -> Result:
    options = [part for name, value in flags.items() for part in ("--set", f"{name}={value}")]
    return CliRunner().invoke(cli, [*options, "service", *words], input=text)


def logged(flags: dict[str, str]) -> list[Command]:
    return [entry.command for entry in CommandLog(load(flags=flags)).read()]


def test_an_applied_document_is_shown_as_it_was_written(fresh: dict[str, str]) -> None:
    assert run(fresh, "apply", str(EXAMPLE)).exit_code == 0
    shown = run(fresh, "show", "support-chat")
    assert shown.exit_code == 0
    assert parse_toml(shown.stdout) == parse_toml(EXAMPLE.read_text())


def test_apply_says_what_changed_and_sends_one_attributed_command_however_often(fresh: dict[str, str]) -> None:
    said = json.loads(run(fresh, "apply", str(MINIMAL), "--actor", "ada", "--reason", "first try", "--json").stdout)
    assert {change["parameter"] for change in said["changes"]} >= {"arms[gpt-4o]", "arms[gpt-4o-mini]"}
    again = json.loads(run(fresh, "apply", str(MINIMAL), "--json").stdout)
    assert again == {"service": "support-chat", "event": None, "changes": []}
    (command,) = logged(fresh)
    assert (command.command, command.service) == ("configure", "support-chat")
    assert (command.actor, command.reason) == ("ada", "first try")


def test_diff_compares_with_the_newest_document_and_changes_nothing(used: dict[str, str]) -> None:
    before = sorted(map(str, logged(used)))  # the order between partitions is nobody's
    assert run(used, "diff", str(MINIMAL)).stdout.split() == ["~", "mode", "auto", "->", "recommend"]
    same = run(used, "diff", "-", text=in_mode("auto"))
    assert (same.stdout, same.exit_code) == ("", 0)
    assert "already in force" in same.stderr
    assert sorted(map(str, logged(used))) == before


def test_other_commands_and_rubbish_on_the_topic_are_passed_over(used: dict[str, str]) -> None:
    assert Counter(command.command for command in logged(used)) == {"configure": 3, "freeze": 1}
    assert set(CommandLog(load(flags=used)).newest_documents()) == {"support-chat", "search"}


def test_services_are_listed(used: dict[str, str]) -> None:
    rows = json.loads(run(used, "show", "--json").stdout)
    assert [(row["service"], row["mode"], row["incumbent"], row["arms"]) for row in rows] == [
        ("search", "recommend", "small", 1),
        ("support-chat", "auto", "gpt-4o", 2),
    ]


def test_a_service_without_a_document_is_an_error_that_names_the_known_ones(used: dict[str, str]) -> None:
    shown = run(used, "show", "billing")
    assert shown.exit_code == 1
    assert "configured services: search, support-chat" in shown.stderr


def test_a_bad_document_is_refused_with_its_line_and_nothing_is_sent(fresh: dict[str, str]) -> None:
    refused = run(fresh, "apply", "-", text='service = "s"\nmode = "live"\n[[arms]]\nname = "a"\n')
    assert refused.exit_code == 1
    assert "standard input:2: mode: not allowed" in refused.stderr
    assert logged(fresh) == []


def test_a_missing_file_is_named() -> None:
    refused = run({}, "diff", "nowhere.toml")
    assert refused.exit_code == 1
    assert "cannot read nowhere.toml" in refused.stderr


def test_without_a_broker_the_error_names_it_and_what_to_do() -> None:
    log = CommandLog(load(flags={"kafka.bootstrap_servers": "127.0.0.1:1"}), timeout_s=0.1)
    with pytest.raises(CommandLogError, match=r"127\.0\.0\.1:1 the broker.*topics apply"):
        log.newest_documents()
    with pytest.raises(CommandLogError, match="was not written"):
        log.send(Command(service="s", command="freeze", args=Freeze()))


def test_the_reference_is_the_page_in_the_docs() -> None:
    assert run({}, "reference").stdout == reference()


def test_import_prints_one_document_and_writes_several(tmp_path: Path):
    example = str(ROOT / "examples" / "litellm-config.yaml")
    one = CliRunner().invoke(cli, ["service", "import", example])
    assert one.exit_code == 0
    assert parse_toml(one.stdout).mode == "observe"
    two = tmp_path / "two.yaml"
    two.write_text(
        (ROOT / "examples" / "litellm-config.yaml").read_text().replace("model_name: chat\n", "model_name: b/b\n", 1)
    )
    refused = CliRunner().invoke(cli, ["service", "import", str(two)])
    assert refused.exit_code == 1
    assert "--into FOLDER" in refused.stderr
    written = CliRunner().invoke(cli, ["service", "import", str(two), "--into", str(tmp_path / "new")])
    assert written.exit_code == 0
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["b%2Fb.toml", "chat.toml"]
    named = CliRunner().invoke(cli, ["service", "import", str(two), "--service", "both"])
    assert parse_toml(named.stdout).arm_names == ("gpt-4o-eu", "haiku")


def test_import_puts_into_force_what_is_new_and_leaves_what_a_person_wrote(fresh: dict[str, str]) -> None:
    example = str(ROOT / "examples" / "litellm-config.yaml")
    first = run(fresh, "import", example, "--apply")
    assert (first.exit_code, first.stdout) == (0, "chat: observe, arms gpt-4o-eu, haiku\n")
    again = run(fresh, "import", example, "--apply")
    assert "has a document already, left as it is" in again.stdout
    assert [command.service for command in logged(fresh)] == ["chat"]


def test_policies_in_yaml_join_the_document_or_say_their_line(fresh: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text('policies:\n  - id: cost\n    rules:\n      - condition: "cost_usd > 0.02"\n        action: deny\n')
    assert run(fresh, "apply", str(MINIMAL), "--policies", str(file)).exit_code == 0
    assert [policy.id for policy in parse_toml(run(fresh, "show", "support-chat").stdout).policies] == ["cost"]
    file.write_text('policies:\n  - id: cost\n    rules:\n      - condition: "cost_usd > "\n')
    refused = run(fresh, "apply", str(MINIMAL), "--policies", str(file))
    assert refused.exit_code == 1
    assert (
        "policies.yaml:4: policies[0].rules[0].condition: line 1, column 12" in f"{refused.stderr}{refused.exception}"
    )
    assert len(logged(fresh)) == 1
