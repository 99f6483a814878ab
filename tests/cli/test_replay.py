import msgspec
import pytest
from click.testing import CliRunner

from app.adapters.kafka.tee import Tee
from app.cli.main import cli
from app.core.batch import Batch
from app.core.commands import COMMAND, Command, Configure, to_json
from app.core.document import parse_toml
from app.core.facts import ControlFact, encode

TIME_S = 1_700_000_000


def configure(offset, service):
    document = parse_toml(f'service = "{service}"\nmode = "auto"\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\n', "test")
    order = Command(service=service, command="configure", args=Configure(document), actor="ana", reason="first")
    return encode(ControlFact("llm.commands-0", offset, service, COMMAND, f"c-{offset}", TIME_S, to_json(order)))


@pytest.fixture
def facts(tmp_path):
    path = tmp_path / "facts"
    values: list[bytes | None] = [configure(0, "chat"), configure(1, "mail")]
    tee = Tee(path)
    tee.write(Batch("llm-optimizer.facts-0", values, [0, 1], start=0, end=2, segments=[(2, TIME_S * 1000)]))
    tee.close()
    return path


def replay(*words: object):
    result = CliRunner().invoke(cli, ["replay", *map(str, words)])
    assert result.exit_code == 0, result.exception
    return [msgspec.json.decode(line) for line in result.stdout.splitlines()]


def test_the_decisions_in_the_facts_come_out_one_a_line_in_order(facts):
    events = replay(facts)
    assert [(e["service"], e["data"]["action"], e["data"]["version"]) for e in events] == [
        ("chat", "configure", 1),
        ("mail", "configure", 1),
    ]
    assert set(events[0]) == {"id", "type", "time", "service", "data"}


def test_the_same_facts_give_the_same_bytes(facts):
    first, again = (CliRunner().invoke(cli, ["replay", str(facts)]).stdout for _ in range(2))
    assert first == again != ""


def test_one_service_can_be_looked_at_alone_and_everything_it_said(facts):
    assert {e["service"] for e in replay(facts, "--service", "mail")} == {"mail"}
    types = {e["type"] for e in replay(facts, "--service", "mail", "--all")}
    assert "io.llm-platform.optimizer.split" in types


def test_a_file_that_is_not_there_is_a_usage_error():
    result = CliRunner().invoke(cli, ["replay", "nowhere"])
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
