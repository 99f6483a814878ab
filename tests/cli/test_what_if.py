"""`llm-optimizer what-if`: a decision is found in recorded facts and made again with other settings."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from app.adapters.kafka.tee import Tee
from app.cli.main import cli
from app.core.batch import Batch
from app.core.outputs import DECIDED
from tests.core.loop import Arm, Loop
from tests.core.test_service import GOOD, document


class Recorded(Loop):
    """The whole brain with a tee of the facts it folds."""

    tee: Tee

    def _write(self, value: bytes) -> None:
        at, time_ms = self._facts, 1000 * self.now_s
        self.tee.write(
            Batch("llm-optimizer.facts-0", [value], [at], start=at, end=at + 1, segments=[(at + 1, time_ms)])
        )
        super()._write(value)


def recorded(path: Path, minutes: int = 4, **more: Any) -> Loop:
    one = Recorded({"big": Arm(), "small": GOOD}, requests=60)
    one.tee = Tee(path)
    one.configure(document(**more))
    one.run(minutes)
    one.tee.close()
    return one


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("facts") / "facts"
    one = recorded(path, prices=[{"model": m, "input_usd": p, "output_usd": p} for m, p in (("big", 9), ("small", 1))])
    return path, next(d["decision_id"] for d in one.said(DECIDED) if d["action"] == "open-trial")


def ask(world: tuple[Path, str], *words: str) -> Result:
    path, decision = world
    options = ["--set", "ingest.lateness_s=0", "--set", "ingest.ahead_s=0"]
    return CliRunner().invoke(cli, [*options, "what-if", decision, "--facts", str(path), *words])


def test_without_a_setting_it_is_the_same(world: tuple[Path, str]) -> None:
    was, would = ask(world).stdout.splitlines()[:2]
    assert was.removeprefix("was    ") == would.removeprefix("would  ")
    assert was.startswith("was    A trial gives small 5 %")


def test_a_limit_makes_it_a_refusal(world: tuple[Path, str]) -> None:
    said = ask(world, "--set", 'limits.approved_models=["big"]', "--json")
    after = msgspec.json.decode(said.stdout)["after"]
    (refused,) = after["decisions"]
    assert (refused["status"], refused["constraints"][0]["name"]) == ("refused", "limits.approved_models")


def test_other_weights_may_change_nothing_and_say_why(world: tuple[Path, str]) -> None:
    said = ask(world, "--set", "arms.small.region=eu", "--set", "policy=single", "--set", "objective.weights.cost=.5")
    assert said.exit_code == 0, said.stderr
    assert "would  A trial gives small" in said.stdout


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--set", "mode"], 2, "KEY=VALUE"),
        (["--set", "limits.latency=3"], 1, "unknown key"),
        (["--set", "mode=fast"], 1, 'one of "approve"'),
    ],
)
def test_a_wrong_setting_is_named(world: tuple[Path, str], words: list[str], code: int, says: str) -> None:
    said = ask(world, *words)
    assert said.exit_code == code
    assert says in said.stderr


def test_a_decision_that_is_not_there_is_an_error(world: tuple[Path, str]) -> None:
    said = ask((world[0], "nope"))
    assert said.exit_code == 1
    assert "no decision begins with 'nope'" in said.stderr
