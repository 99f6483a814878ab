import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from app.cli.main import cli
from app.cli.options import Options
from app.cli.worker import _chosen, _command, worker


def test_an_unknown_agent_is_named_with_those_there_are():
    result = CliRunner().invoke(cli, ["worker", "--agents", "ingest,optimise"])
    assert result.exit_code == 2
    assert "'optimise' is no agent: choose from ingest, optimize, actuate" in re.sub(r"\s+", " ", result.output)


def test_agents_are_taken_once_and_in_order():
    assert _chosen(click.Context(worker), worker.params[0], "optimize, ingest,optimize") == ("optimize", "ingest")


@pytest.mark.parametrize("given", ["", " , "])
def test_no_agent_at_all_is_refused(given: str):
    with pytest.raises(click.BadParameter):
        _chosen(click.Context(worker), worker.params[0], given)


def test_a_child_gets_the_same_settings_and_only_optimize_the_tee():
    options = Options(config=Path("a.toml"), flags={"web.port": "1"})
    tee = Path("facts.tee")
    assert _command(options, "ingest", tee) == [
        sys.executable, "-m", "app.cli.main", "--config", "a.toml", "--set", "web.port=1",
        "worker", "--agent", "ingest", "--supervised",
    ]  # fmt: skip
    assert _command(options, "optimize", tee)[-2:] == ["--tee", "facts.tee"]
