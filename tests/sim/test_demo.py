"""`make demo` as a user runs it, then what it leaves behind with `--keep`."""

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

OWN_BROKER = os.environ.get("LLM_OPTIMIZER_TEST_KAFKA", "mock") != "mock"
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(OWN_BROKER, reason="the demo brings its own mock cluster")]

ROOT = Path(__file__).parents[2]


def run(folder, *words: str):
    command = [sys.executable, "-m", "app.cli.main", *words]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, run(folder, "demo", "--keep")


def shape(text):
    """The summary without what differs from run to run."""
    return re.sub(r"[\d.,:$]+", "0", text)


def test_the_whole_story_happens_and_every_event_is_counted_once(shown):
    _, done = shown
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    assert done.stdout.rstrip().endswith("All of it happened, and every event was counted once.")


def test_the_live_page_is_served_meanwhile_from_a_port_that_is_told(shown):
    folder, done = shown
    assert re.search(r"^the live page: http://127\.0\.0\.1:\d+$", done.stdout, re.MULTILINE)
    assert "api: http://127.0.0.1" in (folder / "demo" / "page.log").read_text()


def test_its_summary_has_the_shape_of_the_page(shown):
    _, done = shown
    page = re.search(r"\$ make demo\n\.\.\.\n(.*?)\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert page is not None
    for line in page[1].splitlines():
        name = shape(line)[:22]
        assert name in shape(done.stdout), line


def test_a_replay_of_its_facts_decides_the_same(shown):
    folder, done = shown
    replayed = run(folder, "--config", "demo/settings.toml", "replay", "demo/facts")
    assert replayed.returncode == 0, replayed.stderr
    events = [msgspec.json.decode(line) for line in replayed.stdout.splitlines()]
    again = re.search(r"(\d+) decisions again, byte for byte", done.stdout)
    assert again is not None
    assert len(events) == int(again[1])
    assert {"open-trial", "promote", "roll-back"} <= {event["data"].get("action") for event in events}
