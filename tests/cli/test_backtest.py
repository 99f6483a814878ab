import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from app.cli.main import cli, run
from app.core.backtest.named import POLICIES

KEYS = {
    "policy", "requests", "arms", "reward_mean", "regret", "normalised_regret", "best_fixed", "random_reward_mean",
    "pulls", "cost_usd", "quality_mean", "decisions_per_s",
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv", logged=False)


def write(path: Path, *, logged: bool, n: int = 300) -> Path:
    rng = np.random.default_rng(1)
    with path.open("w", newline="", encoding="utf-8") as text:
        rows = csv.writer(text)
        rows.writerow(["q_small", "cost_small", "q_large", "cost_large", "segment", "prompt", "in_tokens"])
        for i in range(n):
            small, large = (str(int(rng.random() < 0.4)), "0.001"), (str(int(rng.random() < 0.9)), "0.002")
            if logged:
                small, large = (small, ("", "")) if rng.random() < 0.5 else (("", ""), large)
            rows.writerow([*small, *large, "ab"[i % 2], "line one\nline two, with a comma", 12])
    return path


def backtest(*words: object):
    return CliRunner().invoke(cli, ["backtest", *map(str, words)])


def test_json_has_exactly_the_promised_keys(file: Path):
    result = backtest(file, "--policy", "thompson", "--passes", 2, "--seed", 3, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert set(found) == KEYS
    assert found["requests"] == 600
    assert found["arms"] == ["small", "large"]
    assert found["best_fixed"]["arm"] == "large"
    assert sum(found["pulls"].values()) == 600
    assert found["decisions_per_s"] > 0


def test_all_compares_every_policy(file: Path):
    result = backtest(file, "--policy", "all")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split("  ")[0] == "policy"
    names = [line.split()[0] for line in lines[1:11]]
    assert names == list(POLICIES)
    assert "300 requests, 2 arms; best fixed arm large" in result.stdout
    assert "rewards fall to nothing at: cost 0.002 USD" in result.stdout
    assert len(json.loads(backtest(file, "--policy", "all", "--json").stdout)) == 10


def test_a_log_is_estimated_and_says_so(tmp_path: Path):
    log = write(tmp_path / "log.csv", logged=True)
    shown = backtest(log, "--policy", "best-fixed")
    assert "is a log" in shown.stdout and "doubly robust" in shown.stdout and "inverse propensity" in shown.stdout
    found = json.loads(backtest(log, "--policy", "best-fixed", "--json").stdout)
    assert set(found) == KEYS | {"logged", "matched", "reward"}
    assert found["reward"]["doubly_robust"]["low"] < found["reward_mean"] < found["reward"]["doubly_robust"]["high"]
    assert found["matched"] == found["reward"]["replay"]["n"]


def test_the_plot_is_written(file: Path, tmp_path: Path):
    for name in ("curves.svg", "curves.png"):
        assert backtest(file, "--policy", "all", "--plot", tmp_path / name).exit_code == 0
    assert "thompson" in (tmp_path / "curves.svg").read_text()
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    log = write(tmp_path / "log.csv", logged=True)
    assert backtest(log, "--policy", "ucb", "--plot", tmp_path / "spans.svg").exit_code == 0
    assert "ucb" in (tmp_path / "spans.svg").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--policy", "magic"), "choose one of random, best-fixed"),
        (("--policy", "ucb", "--degrade", "large"), "write it as ARM@T"),
        (("--policy", "ucb", "--degrade", "large@soon"), "write it as ARM@T"),
        (("--policy", "ucb", "--plot", "x.pdf"), "must end in .svg or .png"),
    ],
)
def test_wrong_use_is_said_plainly(file: Path, words, said):
    result = backtest(file, *words)
    assert result.exit_code == 2
    assert said in result.output


def test_what_cannot_be_read_names_file_and_line(file: Path, capsys):
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:3], "2,0.1,1,0.1,a,hello,3\n"]))
    assert run(["backtest", str(file), "--policy", "ucb"]) == 1
    assert "table.csv, line 4, q_small: 2 is not between 0 and 1" in capsys.readouterr().err
    assert run(["backtest", str(file), "--policy", "ucb", "--degrade", "huge@0.5"]) == 1


def test_a_degraded_arm_and_late_scores_change_the_result(file: Path):
    plain, other = (
        json.loads(backtest(file, "--policy", "best-fixed", "--json", *more).stdout)
        for more in ((), ("--degrade", "large@0.5", "--delay", 10, "--score-rate", 0.5, "--in-order"))
    )
    assert other["quality_mean"] < plain["quality_mean"]
    assert other["requests"] == plain["requests"]
