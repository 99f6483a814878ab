import msgspec
import pytest
from click.testing import CliRunner

from app.adapters.kafka.mock import MockCluster
from app.cli.main import cli
from app.core.commands import About, Command, Freeze, SetMode, parse
from app.sim.subscriber import Subscriber


@pytest.fixture(scope="module")
def cluster():
    with MockCluster(["llm.commands"]) as running:
        yield running


@pytest.fixture
def order(cluster):
    def run(*words: str):
        return CliRunner().invoke(cli, ["--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}", *words])

    return run


def newest(cluster, result):
    """The command that was written last, as the worker reads it."""
    sent = msgspec.json.decode(result.stdout)
    with Subscriber({"bootstrap.servers": cluster.bootstrap_servers}, ["llm.commands"]) as reader:
        (seen,) = (s for s in reader.until_now(timeout_s=10) if s.id == sent["id"])
    return parse(seen.value)


@pytest.mark.parametrize(
    ("words", "verb", "args"),
    [
        (["freeze", "chat", "--hold"], "freeze", Freeze(hold=True)),
        (["rollback", "chat", "--decision", "d-1"], "rollback", About("d-1")),
        (["set-mode", "chat", "auto"], "set-mode", SetMode("auto")),
    ],
)
def test_an_order_is_on_the_topic_when_the_command_returns(cluster, order, words, verb, args):
    result = order(*words, "--actor", "ana", "--reason", "because", "--json")
    assert result.exit_code == 0, result.stderr
    assert newest(cluster, result) == Command(service="chat", command=verb, args=args, actor="ana", reason="because")


def test_all_services_can_be_frozen_at_once(cluster, order):
    assert newest(cluster, order("freeze", "*", "--json")).service == "*"


@pytest.mark.parametrize("verb", ["promote", "approve", "reject"])
def test_what_needs_a_look_at_each_service_is_refused_for_all(order, verb):
    result = order(verb, "*")
    assert result.exit_code == 2
    assert "name one service" in result.stderr


def test_an_unknown_mode_is_a_usage_error_that_lists_the_modes(order):
    result = order("set-mode", "chat", "fast")
    assert result.exit_code == 2
    assert "recommend" in result.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort", "rollback", "approve", "reject", "freeze"])
def test_every_order_explains_itself(order, verb):
    result = order(verb, "--help")
    assert result.exit_code == 0
    assert "SERVICE" in result.stdout
    assert "--reason" in result.stdout


def test_people_get_a_line_and_the_next_command(order):
    result = order("pause", "chat")
    assert result.stdout.startswith("pause for chat is on llm.commands as event ")
    assert "decisions" in result.stderr
