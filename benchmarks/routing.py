"""Routing policies on real tables, with the goals beside: `python -m benchmarks.routing DIRECTORY [--seeds N]`.

DIRECTORY holds routellm_gsm8k_mmlu.csv.gz and conduit_logged_feedback.csv.gz. The first is a full table. The second is
a log: it is played as one, and resampled per arm into a full table of 10,000 requests. `--write FOLDER` writes the
three as tables of `llm-optimizer backtest` and stops. Regret is against the best fixed arm of the time; normalised, in
percent of (best fixed - random). Every row: mean over the seeds, and their standard deviation.
"""

import argparse
import csv
import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, stdev
from time import process_time

import msgspec
import numpy as np

from app.core.backtest.named import POLICIES
from app.core.backtest.play import Terms, degraded, play, problem_of
from app.core.backtest.score import Score, scored
from app.core.backtest.table import Table, objective_of, read, rewards
from benchmarks.printing import say

Row = list[object]
RESAMPLED = 10_000


def routellm(folder: Path) -> tuple[Row, list[Row]]:
    """Two models, 15,361 prompts; segment = task."""
    header: Row = ["q_mixtral", "cost_mixtral", "q_gpt4", "cost_gpt4", "segment", "prompt", "in_tokens"]
    rows: list[Row] = [
        [r["mixtral"], r["mixtral_cost"], r["gpt4"], r["gpt4_cost"], r["task"], r["prompt"], r["in_tok"]]
        for r in _source(folder / "routellm_gsm8k_mmlu.csv.gz")
    ]
    return header, rows


def conduit_log(folder: Path) -> tuple[Row, list[Row]]:
    """Nine models, 2,228 logged calls, one arm a row; segment = data set."""
    calls = list(_source(folder / "conduit_logged_feedback.csv.gz"))
    arms = sorted({call["model"] for call in calls})
    rows: list[Row] = []
    for call in calls:
        row: Row = []
        for arm in arms:
            row += _answer(call) if call["model"] == arm else ["", "", ""]
        rows.append([*row, call["dataset"]])
    return [*_columns(arms), "segment"], rows


def conduit(folder: Path) -> tuple[Row, list[Row]]:
    """The same, each arm's answers drawn with replacement: a full table without structure between the arms."""
    calls = list(_source(folder / "conduit_logged_feedback.csv.gz"))
    arms, rng = sorted({call["model"] for call in calls}), np.random.default_rng(7)
    columns = []
    for arm in arms:
        own = [_answer(call) for call in calls if call["model"] == arm]
        columns.append([own[i] for i in rng.integers(len(own), size=RESAMPLED)])
    return _columns(arms), [[cell for answer in answers for cell in answer] for answers in zip(*columns, strict=True)]


class Case(msgspec.Struct, frozen=True):
    """One row: a policy on a table under terms. ``goal`` is an upper bound of ``figure``, which is in percent."""

    table: str
    policy: str
    figure: str = "normalised"
    goal: float | None = None
    passes: int = 1
    delay: int = 0
    score_rate: float = 1.0
    degrade: bool = False


CASES = (
    Case("routellm", "random", "regret"),
    Case("routellm", "thompson", "regret", 0.3),
    Case("routellm", "contextual", "regret", -1.2),
    Case("routellm", "segments", "regret", -1.0),
    Case("routellm", "segments", "regret", -1.6, passes=4),
    Case("routellm", "ucb", "regret"),
    Case("routellm", "epsilon-greedy", "regret"),
    Case("routellm", "q-learning", "regret"),
    Case("routellm", "weights", goal=-9.0),
    Case("routellm", "weights", goal=-29.0, passes=4),
    Case("routellm", "thompson", "regret", 2.6, degrade=True),
    Case("routellm", "weights", goal=2.4, degrade=True),
    Case("conduit", "random", "regret"),
    Case("conduit", "thompson", goal=5.0),
    Case("conduit", "thompson", goal=1.2, passes=4),
    Case("conduit", "thompson", "regret", 4.0, delay=1000, score_rate=0.1),
    Case("conduit", "thompson", "regret", 2.6, degrade=True),
    Case("conduit", "contextual"),
    Case("conduit", "ucb"),
    Case("conduit", "ucb", "regret", delay=1000, score_rate=0.1),
    Case("conduit", "epsilon-greedy"),
    Case("conduit", "q-learning"),
    Case("conduit", "weights", goal=4.2),
    Case("conduit", "weights", goal=4.2, passes=4),
    Case("conduit", "weights", goal=5.0, passes=8),
    Case("conduit", "weights", "regret", 2.6, degrade=True),
    Case("conduit", "weights", goal=7.6, degrade=True),
)


def measured(case: Case, table: Table, seed: int) -> tuple[Score, float]:
    """The score of one run, and its decisions per second."""
    objective = objective_of(table)
    terms = Terms(passes=case.passes, seed=seed, delay=case.delay, score_rate=case.score_rate)
    if case.degrade:
        best = table.arms[int(rewards(table, objective).mean(axis=0).argmax())]
        terms = msgspec.structs.replace(terms, degrade=degraded(best, 0.5, table, terms))
    policy = POLICIES[case.policy](problem_of(table, objective, seed))
    start = process_time()
    played = play(table, policy, terms)
    taken_s = process_time() - start
    return scored(case.policy, table, objective, played, terms.degrade), len(played.rows) / taken_s


def line(case: Case, table: Table, seeds: int) -> str:
    """One row of the report."""
    runs = [measured(case, table, seed) for seed in range(seeds)]
    plain = [100 * score.regret for score, _ in runs]
    normalised = [100 * score.normalised_regret for score, _ in runs]
    figures = plain if case.figure == "regret" else normalised
    met = "" if case.goal is None else "yes" if fmean(figures) <= case.goal else "NO"
    goal = "" if case.goal is None else f"{case.figure} <= {case.goal:g}"
    terms = [f"{case.passes} passes"] * (case.passes > 1) + ["best arm halved"] * case.degrade
    terms += [f"delay {case.delay}, {case.score_rate:.0%} scored"] * (case.delay > 0)
    name = f"{case.table:9} {case.policy:14} {', '.join(terms):24}"
    shown = f"{_spread(plain, 2)}  {_spread(normalised, 1)}"
    return f"{name} {shown}  {fmean(rate for _, rate in runs):8,.0f}/s  {goal:18} {met}"


def main(words: Sequence[str]) -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--policy", help="only rows of this policy")
    arguments.add_argument("--write", type=Path, metavar="FOLDER")
    given = arguments.parse_args(words)
    made = {make.__name__: make for make in (routellm, conduit, conduit_log)}
    if given.write:
        for name, make in made.items():
            _write(given.write / f"{name}.csv", *make(given.directory))
        return
    tables = {name: _table(make, given.directory) for name, make in made.items() if name != "conduit_log"}
    say(f"{given.seeds} seeds; regret % and normalised regret %: mean (standard deviation over seeds)")
    for case in CASES:
        if given.policy in {None, case.policy}:
            say(line(case, tables[case.table], given.seeds))


def _source(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
        yield from csv.DictReader(text)


def _answer(call: dict[str, str]) -> Row:
    return [call["quality"], call["cost"], 1000 * float(call["latency_s"])]


def _columns(arms: Sequence[str]) -> Row:
    return [kind + arm for arm in arms for kind in ("q_", "cost_", "latency_ms_")]


def _table(make: Callable[[Path], tuple[Row, list[Row]]], folder: Path) -> Table:
    header, rows = make(folder)
    names = [str(name) for name in header]
    return read(names, ((f"row {i}", dict(zip(names, map(str, row), strict=True))) for i, row in enumerate(rows, 1)))


def _write(file: Path, header: Row, rows: list[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text, lineterminator="\n").writerows([header, *rows])


def _spread(figures: Sequence[float], digits: int) -> str:
    return f"{fmean(figures):7.{digits}f} ({stdev(figures) if len(figures) > 1 else 0.0:.{digits}f})"


if __name__ == "__main__":
    main(sys.argv[1:])
