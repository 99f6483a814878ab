"""Minute weights on real routing tables (STATISTICS 3): `python -m benchmarks.bandits DIRECTORY [seeds]`.

DIRECTORY holds routellm_gsm8k_mmlu.csv.gz and conduit_logged_feedback.csv.gz. Requests of a table are served in random
order at 100 a minute, in passes; the logged table is resampled per arm. Prints the regret against the best fixed arm in
percent of (best fixed - random): plain, with segments, and dynamic when the best arm silently degrades at half time.
"""

import csv
import gzip
import sys
from pathlib import Path

import msgspec
import numpy as np

from app.core.cell import Cell, Score
from app.core.stats.reward import Objective
from app.core.weights import EVERYWHERE, Mix, reset_if_changed, reweighed, update, with_arms
from benchmarks.printing import say


class Table(msgspec.Struct, frozen=True):
    """Full information: quality and cost are requests x arms, one segment per request."""

    arms: tuple[str, ...]
    quality: np.ndarray
    cost: np.ndarray
    segment: np.ndarray
    segments: tuple[str, ...]
    latency: np.ndarray | None = None


def served(
    table: Table, rate: int, passes: int, seed: int, *, segmented: bool, degrade: bool = False
) -> dict[str, float]:
    """Run the minute weights over ``passes`` shuffled passes of the table."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(table.quality)) for _ in range(passes)])
    objective = objective_of(table)
    reward = reward_of(table, objective)
    best = int(reward.mean(axis=0).argmax())
    segments = table.segments if segmented else (EVERYWHERE,)
    mix = with_arms(Mix(), table.arms, segments)
    got, resets, recovered = 0.0, 0, 0
    half = len(order) // 2 // rate
    lost = np.zeros(table.quality.shape[1])
    offered, best_now = 0.0, 0.0
    for minute, start in enumerate(range(0, len(order), rate)):
        rows = order[start : start + rate]
        if degrade and minute == half:
            lost[best] = 0.5
        quality = table.quality[rows] * (1 - lost)
        now = reward[rows] - objective.quality * table.quality[rows] * lost
        mine = np.array([table.segment[r] if segmented else 0 for r in rows])
        arms = np.array([rng.choice(len(table.arms), p=np.array(mix.weights[s])) for s in mine])
        got += float(now[np.arange(len(rows)), arms].sum())
        fixed = (reward - objective.quality * table.quality * lost).mean(axis=0)
        best_now += float(fixed.max() * len(rows))
        offered += float(fixed.mean() * len(rows))
        if degrade and minute >= half and (arms == best).mean() > 0.5:
            recovered = minute - half + 1
        mix = update(mix, minute, cells(table, rows, arms, mine, quality, segments))
        mix, changed = reset_if_changed(mix, minute, objective)
        resets += len(changed)
        mix = reweighed(mix, minute, objective, service=str(seed), requests_per_minute=rate)
    return {"regret": 100 * (best_now - got) / (best_now - offered), "plain": 100 * (best_now - got) / best_now,
            "resets": resets, "minutes": recovered}  # fmt: skip


def objective_of(table: Table) -> Objective:
    latency = table.latency
    if latency is None:
        return Objective(0.6 / 0.9, 0.3 / 0.9, 0.0, float(table.cost.max()))
    return Objective(0.6, 0.3, 0.1, float(table.cost.max()), float(latency.max()))


def reward_of(table: Table, objective: Objective) -> np.ndarray:
    slow = 0.0 if table.latency is None else 1 - table.latency / objective.latency_max_ms
    return (
        objective.quality * table.quality
        + objective.cost * (1 - table.cost / objective.cost_max_usd)
        + objective.latency * slow
    )


def cells(
    table: Table, rows: np.ndarray, arms: np.ndarray, mine: np.ndarray, quality: np.ndarray, segments: tuple[str, ...]
) -> dict[tuple[str, str], Cell]:
    out: dict[tuple[str, str], Cell] = {}
    for i, (row, arm, s) in enumerate(zip(rows.tolist(), arms.tolist(), mine.tolist(), strict=True)):
        cell = out.setdefault((table.arms[arm], segments[s]), Cell(quality={"judge": Score()}))
        q, cost = float(quality[i, arm]), float(table.cost[row, arm])
        ms = 1000.0 if table.latency is None else max(1.0, float(table.latency[row, arm]))
        log = float(np.log(ms))
        cell.n += 1
        cell.latency_ms += ms
        cell.log_latency += log
        cell.log_latency_sq += log * log
        cell.cost_n += 1
        cell.cost_usd += cost
        cell.cost_sq += cost * cost
        score = cell.quality["judge"]
        score.n += 1
        score.total += q
        score.squares += q * q
    return out


def routellm(folder: Path) -> Table:
    with gzip.open(folder / "routellm_gsm8k_mmlu.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    tasks = sorted({coarse(row["task"]) for row in rows})
    return Table(
        ("mixtral", "gpt4"),
        np.array([[float(r["mixtral"]), float(r["gpt4"])] for r in rows]),
        np.array([[float(r["mixtral_cost"]), float(r["gpt4_cost"])] for r in rows]),
        np.array([tasks.index(coarse(r["task"])) for r in rows]),
        tuple(tasks),
    )


def coarse(task: str) -> str:
    """Three segments: the maths set, and the other subjects in two halves of the alphabet."""
    subject = task.removeprefix("mmlu").strip("_- ")
    return task if task == "gsm8k" else "mmlu a-h" if subject < "i" else "mmlu i-z"


def conduit(folder: Path, n: int = 10_000) -> Table:
    with gzip.open(folder / "conduit_logged_feedback.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    arms = tuple(sorted({r["model"] for r in rows}))
    rng = np.random.default_rng(7)
    columns = []
    for arm in arms:
        own = [(float(r["quality"]), float(r["cost"]), 1000 * float(r["latency_s"])) for r in rows if r["model"] == arm]
        columns.append(np.array(own)[rng.integers(len(own), size=n)])
    stacked = np.stack(columns, axis=1)
    return Table(arms, stacked[..., 0], stacked[..., 1], np.zeros(n, int), (EVERYWHERE,), stacked[..., 2])


def main() -> None:
    folder, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for name, table in (("routellm", routellm(folder)), ("conduit", conduit(folder))):
        spread = 100 * (
            1 - reward_of(table, objective_of(table)).mean() / reward_of(table, objective_of(table)).mean(0).max()
        )
        say(f"{name}: {len(table.quality)} requests, {len(table.arms)} arms, {len(table.segments)} segments")
        say(f"  regret of random routing {spread:.2f} %")
        for passes in (1, 4):
            for segmented in (False, True) if len(table.segments) > 1 else (False,):
                for degrade in (False, True):
                    runs = [served(table, 100, passes, s, segmented=segmented, degrade=degrade) for s in range(seeds)]
                    line = {key: round(float(np.mean([run[key] for run in runs])), 2) for key in runs[0]}
                    say(f"  passes {passes} segments {segmented!s:5} degraded {degrade!s:5} {line}")


if __name__ == "__main__":
    main()
