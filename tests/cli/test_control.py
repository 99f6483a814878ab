import msgspec
import pytest
from click.testing import CliRunner

from app.adapters.kafka.mock import MockCluster
from app.adapters.kafka.subscriber import Subscriber
from app.cli.main import cli
from app.core.commands import About, Command, Freeze, Nothing, SetMode, ShareBudget, parse


@pytest.fixture
def sent(monkeypatch):
    """Commands in place of being written: writing one is tested once, below, and in the tests of the command log."""
    commands: list[Command] = []

    class Recorder:
        def __init__(self, settings) -> None:
            self.settings = settings

        def send(self, command):
            commands.append(command)
            return f"event-{len(commands)}"

    monkeypatch.setattr("app.adapters.kafka.command_log.CommandLog", Recorder)
    return commands


def order(*words: str):
    return CliRunner().invoke(cli, words)


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        (["freeze", "chat", "--hold"], "freeze", Freeze(hold=True)),
        (["freeze", "chat"], "freeze", Freeze(hold=False)),
        (["rollback", "chat", "--decision", "d-1"], "rollback", About("d-1")),
        (["approve", "chat"], "approve", About("")),
        (["resume", "chat"], "resume", Nothing()),
        (["set-mode", "chat", "auto"], "set-mode", SetMode("auto")),
        (["share-budget", "chat", "0.4", "--group", "apps"], "share-budget", ShareBudget(share=0.4, group="apps")),
    ],
)
def test_an_order_says_what_for_whom_by_whom_and_why(sent, words, verb, args):
    result = order(*words, "--actor", "ana", "--reason", "because", "--json")
    assert result.exit_code == 0, result.stderr
    assert sent == [Command(service="chat", command=verb, args=args, actor="ana", reason="because")]
    assert msgspec.json.decode(result.stdout)["id"] == "event-1"


def test_an_order_is_on_the_topic_when_the_command_returns():
    with MockCluster(["llm.commands"]) as cluster:
        result = order("--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}", "pause", "*", "--json")
        assert result.exit_code == 0, result.stderr
        with Subscriber({"bootstrap.servers": cluster.bootstrap_servers}, ["llm.commands"]) as reader:
            (seen,) = reader.until_now(timeout_s=10)
    assert seen.id == msgspec.json.decode(result.stdout)["id"]
    assert parse(seen.value).service == "*"


def test_the_actor_is_the_user_unless_said_otherwise(sent):
    order("pause", "chat")
    assert sent[0].actor


@pytest.mark.parametrize("verb", ["promote", "approve", "reject"])
def test_what_needs_a_look_at_each_service_is_refused_for_all(sent, verb):
    result = order(verb, "*")
    assert result.exit_code == 2
    assert "name one service" in result.stderr
    assert sent == []


def test_an_unknown_mode_is_a_usage_error_that_lists_the_modes():
    result = order("set-mode", "chat", "fast")
    assert result.exit_code == 2
    assert "recommend" in result.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort", "rollback", "approve", "reject", "freeze"])
def test_every_order_explains_itself(verb):
    result = order(verb, "--help")
    assert result.exit_code == 0
    assert "SERVICE" in result.stdout
    assert "--reason" in result.stdout


def test_people_get_a_line_and_the_next_command(sent):
    result = order("pause", "chat")
    assert result.stdout.startswith("pause for chat is on llm.commands as event ")
    assert "decisions" in result.stderr
