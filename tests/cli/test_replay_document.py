"""`llm-optimizer replay FACTS --document OTHER.toml`: the decisions of another document beside those that were made."""

from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.cli.main import cli
from app.core.document import ServiceDocument, to_toml
from app.core.outputs import DECIDED
from tests.cli.test_what_if import recorded
from tests.core.test_service import document

PRICES = [{"model": m, "input_usd": p, "output_usd": p} for m, p in (("big", 9), ("small", 1))]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("facts") / "facts"
    one = recorded(path, 4, prices=PRICES)
    assert [d["action"] for d in one.said(DECIDED)] == ["configure", "open-trial"]
    return path


def compare(facts: Path, other: ServiceDocument, *words: str) -> Result:
    file = facts.parent / "other.toml"
    file.write_text(to_toml(other))
    options = ["--set", "ingest.lateness_s=0", "--set", "ingest.ahead_s=0"]
    return CliRunner().invoke(cli, [*options, "replay", str(facts), "--document", str(file), *words])


def test_the_same_document_gives_the_same_decisions(facts: Path) -> None:
    said = compare(facts, document(prices=PRICES))
    assert said.exit_code == 0, said.exception
    assert said.stdout.splitlines()[-1] == "2 the same, 0 for other reasons, 0 gone, 0 new"
    assert said.stderr == ""


def test_another_document_shows_what_goes_what_comes_and_why(facts: Path) -> None:
    said = compare(facts, document(prices=PRICES, limits={"approved_models": ["big"]}))
    lines = said.stdout.splitlines()
    assert lines[0].startswith("~ ") and "limits" in lines[0] and lines[1].startswith("      was: ")
    assert [line[0] for line in lines[2:4]] == ["-", "+"]
    assert "A trial gives small" in lines[2]
    assert "refused  Refused to open a trial of small" in lines[3]
    assert lines[-1] == "0 the same, 1 for other reasons, 1 gone, 1 new"
    assert "the recorded traffic followed other decisions" in said.stderr


def test_json_has_both_sides(facts: Path) -> None:
    said = compare(facts, document("recommend", prices=PRICES), "--json")
    rows = [msgspec.json.decode(line) for line in said.stdout.splitlines()]
    assert [row["sign"] for row in rows] == ["reasons", "removed", "added"]
    assert rows[1]["after"] is None and rows[1]["before"]["data"]["action"] == "open-trial"
    assert rows[2]["after"]["status"] == "proposed"


def test_facts_without_a_document_of_that_service_are_an_error(facts: Path) -> None:
    other = msgspec.structs.replace(document(), service="search")
    said = compare(facts, other)
    assert said.exit_code == 1
    assert "no configure command of 'search'" in said.stderr
