"""The README is executed: commands run against the mock cluster, the event and the document are read as the worker would."""

import re
from pathlib import Path

import pytest

from app.adapters.codec import make_decode
from app.adapters.kafka.mock import MockCluster
from app.cli.main import COMMANDS
from app.core.document import parse_toml
from app.core.events import ResponseEvent
from app.settings import Settings, load
from app.topics import declared
from tests import pages

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    return [block.text for block in pages.blocks_of(README) if block.language == language]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One reader who types the whole page in order, on a broker of their own."""
    (document,) = blocks("toml")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "support-chat.toml").write_text(document)
    with MockCluster() as cluster, pytest.MonkeyPatch.context() as patch:
        yield list(pages.read_through(README, folder, cluster.bootstrap_servers, patch))


def test_every_command_of_the_page_works(session):
    assert len(session) >= 6
    assert {typed.line: typed.error for typed in session if typed.error} == {}


def test_every_output_is_what_the_page_shows(session):
    assert [typed for typed in session if pages.unlike(typed)] == []


def test_the_long_commands_exist():
    assert [pages.strange_in(line) for line, _ in pages.commands_of(README) if pages.strange_in(line)] == []


def test_the_event_is_read_by_the_worker_as_it_stands():
    (event,) = blocks("json")
    decoded = make_decode()(event.encode(), [])
    assert isinstance(decoded, ResponseEvent)
    assert (decoded.data.service, decoded.data.output_tokens) == ("support-chat", 143)


def test_the_document_is_valid_and_says_what_the_text_says():
    (document,) = blocks("toml")
    parsed = parse_toml(document, "README.md")
    assert (parsed.mode, parsed.incumbent, parsed.trial.steps) == ("recommend", "large", (5, 25, 50, 90, 100))


def test_settings_and_topics_named_on_the_page_exist():
    load(env={name: "1" for name in re.findall(r"LLM_OPTIMIZER__KAFKA__\w+", README) if "SERVERS" not in name})
    assert f"`web.port` ({Settings().web.port})" in README
    names = {topic.name for topic in declared(Settings().topics)}
    assert set(re.findall(r"`(llm\.[a-z-]+)`", README)) <= names


def test_every_command_named_in_the_table_exists():
    table = README[README.index("| command | does |") : README.index("All but `export`")]
    for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`([a-z-]+)", cell):
            assert name in COMMANDS


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
