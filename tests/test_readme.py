"""The README is executed: commands run against the mock cluster, the event and the document are read as the worker would.

In a ``console`` block a line that begins with ``$`` is a command, the lines below it are its output; ``...`` stands for
any text. Commands that would not end or would start the world (LONG) are run elsewhere: make test, the demo's own test.
"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.adapters.codec import make_decode
from app.adapters.kafka.mock import MockCluster
from app.cli.main import COMMANDS, cli
from app.core.document import parse_toml
from app.core.events import ResponseEvent
from app.settings import Settings, load
from app.topics import declared

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LONG = ("make", "python -m app.sim.orchestrator", "llm-optimizer worker", "curl")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands(block):
    """(command line, output below it) in order."""
    parts = re.split(r"^\$ (.*)$", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


ALL = [pair for block in blocks("console") for pair in commands(block)]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """One reader who types the whole page in order, on a broker of their own."""
    (document,) = blocks("toml")
    folder = tmp_path_factory.mktemp("reader")
    (folder / "support-chat.toml").write_text(document)
    (folder / "examples").symlink_to(ROOT / "examples")
    with MockCluster() as cluster, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        typed = []
        for line, output in ALL:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").partition("=")
                broker = cluster.bootstrap_servers
                patch.setenv(name, broker if name.endswith("BOOTSTRAP_SERVERS") else value)
            elif not (line.startswith(LONG) or line == "llm-optimizer serve"):
                words = shlex.split(line)
                assert words[0] == "llm-optimizer", line
                typed.append((line, output, CliRunner().invoke(cli, words[1:])))
        yield typed


def test_every_command_of_the_page_works(session):
    assert len(session) >= 6
    failed = {line: (result.stderr, result.exception) for line, _, result in session if result.exit_code}
    assert failed == {}


def test_every_output_is_what_the_page_shows(session):
    for line, output, result in session:
        shown = ".*".join(re.escape(part) for part in output.strip().split("..."))
        assert re.fullmatch(shown, result.stdout.strip(), re.DOTALL), line


def test_the_long_commands_exist():
    makefile = (ROOT / "Makefile").read_text()
    for line, _ in ALL:
        words = shlex.split(line)
        if words[0] == "make":
            assert f"\n{words[1]}:" in makefile, line
        elif words[0] == "llm-optimizer":
            assert words[1] in COMMANDS, line


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
    table = README[README.index("| command | does |") : README.index("All of them take")]
    for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`([a-z-]+)", cell):
            assert name in COMMANDS


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
