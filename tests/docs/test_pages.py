"""Every page with commands is typed at a terminal, in order, on one mock cluster; every page's links and names are true."""

import re

import pytest

from app.adapters.kafka.mock import MockCluster
from app.cli.main import run
from tests import pages
from tests.e2e.harness.broker import asked
from tests.pages import ROOT

ALL = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
)
OWN_TEST = {"README.md", "docs/backtest.md"}
"""Typed by a test of their own."""
TYPED = [
    page
    for page in ALL
    if str(page.relative_to(ROOT)) not in OWN_TEST and "evidence" not in page.parts and "```console" in page.read_text()
]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def broker():
    with MockCluster() as cluster:
        assert run(["--set", f"kafka.bootstrap_servers={cluster.bootstrap_servers}", "topics", "apply"]) == 0
        yield cluster.bootstrap_servers


@pytest.mark.e2e
@pytest.mark.skipif(asked() != "mock", reason="pages are typed once, on a mock cluster")
@pytest.mark.parametrize("page", TYPED, ids=name)
def test_every_command_of_a_page_works_and_prints_what_the_page_shows(page, broker, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_OPTIMIZER__KAFKA__BOOTSTRAP_SERVERS", broker)
    typed = list(pages.read_through(page.read_text(), tmp_path, broker, monkeypatch))
    assert {one.line: one.error for one in typed if one.error} == {}
    assert [one for one in typed if pages.unlike(one)] == []


@pytest.mark.parametrize("page", ALL, ids=name)
def test_what_a_page_names_exists(page):
    text = page.read_text()
    strange = {line: pages.strange_in(line) for line, _ in pages.commands_of(text) if pages.strange_in(line)}
    assert (strange, pages.names_unknown_commands(text), pages.dead_links(page)) == ({}, set(), [])


def test_every_how_to_and_every_reference_is_on_the_map():
    linked = set(re.findall(r"\]\(([\w/-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    folders = (ROOT / "docs" / "how-to", ROOT / "docs" / "reference")
    assert {str(page.relative_to(ROOT / "docs")) for folder in folders for page in folder.glob("*.md")} <= linked


def test_the_runbook_answers_every_alarm_of_the_metrics_page():
    metrics, runbook = ((ROOT / "docs" / page).read_text() for page in ("metrics.md", "runbook.md"))
    alarms = metrics[metrics.index("## What to alarm on") : metrics.index("## Measured when asked")]
    answered = set(re.findall(r"llm_optimizer_\w+", runbook))
    assert set(re.findall(r"^\| (llm_optimizer_\w+)", alarms, re.MULTILINE)) <= answered
    assert answered <= set(re.findall(r"llm_optimizer_\w+", metrics))
