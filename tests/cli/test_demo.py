"""The demo's end, from a stored real report; the demo itself is run by tests/sim/test_demo.py."""

import socket
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from app.cli.demo import _free_port
from app.cli.main import cli
from app.sim.report import Report
from app.sim.summary import lines

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stored():
    return msgspec.json.decode((ROOT / "tests/golden/demo.json").read_bytes(), type=Report)


def test_the_page_shows_exactly_what_a_real_run_printed(stored):
    shown = "\n".join(["$ make demo", "...", *list(lines(stored))[1:], "```"])
    assert shown in (ROOT / "README.md").read_text(), "write it anew: python tests/golden/write_demo.py"


def test_the_stored_run_told_the_whole_story_in_time(stored):
    assert stored.failures == ()
    assert all(chapter.happened for chapter in stored.story)
    assert stored.exactness.exact
    assert stored.replayed.same
    assert stored.wall_s < 120


def test_a_chapter_that_did_not_happen_and_a_miscount_are_shown_as_failures(stored):
    story = (msgspec.structs.replace(stored.story[0], happened=False), *stored.story[1:])
    exactness = msgspec.structs.replace(stored.exactness, wrong=("chat/a/60",))
    failed = msgspec.structs.replace(stored, story=story, exactness=exactness, failures=("it rained",))
    text = "\n".join(lines(failed))
    assert "  NO " in text
    assert "NOT EXACT" in text
    assert text.endswith("FAILED: it rained")


def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("important")
    result = CliRunner().invoke(cli, ["demo", "--keep"])
    assert result.exit_code == 1
    assert "not a demo's folder" in result.stderr
    assert (tmp_path / "demo" / "mine.txt").exists()


def test_a_scenario_with_a_mistake_is_an_error_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text('name = "x"\nhours = 1\nservices = []\n')
    result = CliRunner().invoke(cli, ["demo", "--scenario", "s.toml"])
    assert "services" in str(result.exception)
    assert "s.toml" in str(result.exception)


def test_the_live_page_takes_another_port_where_the_usual_one_is_taken():
    with socket.socket() as other:
        with suppress(OSError):  # somebody else has it: as good
            other.bind(("127.0.0.1", 8088))
            other.listen()
        assert _free_port() not in {0, 8088}
