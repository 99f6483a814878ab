"""RouteLLM's table as traffic through the whole brain: `python -m benchmarks.routed DIRECTORY [--seeds N]`.

DIRECTORY holds routellm_gsm8k_mmlu.csv.gz: 15,361 prompts, each answered and paid for with both models. gpt-4 serves and
is the baseline of a 5 % holdout; mixtral is cheaper and weaker, and the document allows it 20 points on its own (a
lenient guardrail) because it only gets a share. A service in mode auto tries it, admits it, and shares the traffic of
each segment so that the budget of the day, 67 % of what gpt-4 alone would cost, is met: the quality of the whole must stay
within 5 points. Nothing but the document tells it what the table holds.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec
import numpy as np

from app.core.document import Arm, Segments, ServiceDocument, completed
from app.core.document.guardrails import Guardrails, QualityGuardrail
from app.core.document.limits import Budget
from app.core.document.objective import Objective, Weights
from app.core.quality_kept import kept
from app.core.savings import estimate
from benchmarks.bandits import Table, routellm
from benchmarks.minutes import Answers, Service
from benchmarks.printing import say

RATE, MINUTES, SHARE, TOLERANCE = 100, 1440, 0.67, 0.05


class Routed(msgspec.Struct, frozen=True):
    """Shares of gpt-4's cost and points of quality over the day, as they were and as the service says they were."""

    cut: float
    change: float
    proven: bool
    cut_low: float
    cut_high: float
    said_low: float
    said_high: float
    kept: bool
    admitted_minute: int
    overshoot: float


def routed(table: Table, seed: int) -> Routed:
    """One day; prompts in random order, as often as it takes."""
    dear = table.arms.index("gpt4")
    budget = SHARE * float(table.cost[:, dear].mean()) * RATE * MINUTES
    document = completed(
        ServiceDocument(
            service="routellm", mode="auto", policy="mix", incumbent="gpt4", holdout_share=0.05, sticky=False,
            arms=tuple(Arm(name=arm) for arm in table.arms),
            segments=Segments(by="task_type", values=table.segments),
            objective=Objective(weights=Weights(0.9, 0.1, 0.0), cost_max_usd=float(table.cost.max())),
            guardrails=Guardrails(quality=QualityGuardrail(tolerance_points=0.2, rule="lenient")),
            budget=Budget(day_usd=budget),
        )
    )  # fmt: skip
    service = Service(document, seed)
    cost = quality = base_cost = base_quality = 0.0
    admitted = 0
    for minute in range(MINUTES):
        rows = service.rng.integers(len(table.quality), size=service.rng.poisson(RATE))
        answers = {
            arm: Answers(table.quality[rows, k], table.cost[rows, k], np.full(len(rows), 1000.0))
            for k, arm in enumerate(table.arms)
        }
        drawn = service.pass_minute(answers, _tokens(table, rows, dear), segment=table.segment[rows])
        cost, quality = cost + float(drawn.cost.sum()), quality + float(drawn.quality.sum())
        base_cost += float(table.cost[rows, dear].sum())
        base_quality += float(table.quality[rows, dear].sum())
        admitted = admitted or (minute if "mixtral" in service.row.admitted else 0)
    row, requests = service.row, service.row.savings.n
    said = estimate(row.savings, baseline="gpt4", holdout=0.05, sticky=False, alpha=0.025)
    about = kept(row.quality_kept, baseline="gpt4", holdout=0.05, sessions=False)
    mean = base_cost / requests
    return Routed(
        1 - cost / base_cost, (quality - base_quality) / requests, said.proven, (said.low or 0) / mean, (said.high or 0) / mean,
        about.low if about.low is not None else -1.0, about.high if about.high is not None else 1.0,
        about.low is not None and about.low > -TOLERANCE, admitted, max(0.0, cost / budget - 1),
    )  # fmt: skip


def _tokens(table: Table, rows: np.ndarray, arm: int) -> np.ndarray:
    """What stands for the length of a prompt: the table gives costs, of which the dear model's grow with it."""
    return (1e5 * table.cost[rows, arm]).round() + 1


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="routed", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    given, start = parser.parse_args(words), time.monotonic()
    table = routellm(given.directory)
    with ProcessPoolExecutor(2) as pool:
        days = list(pool.map(routed, [table] * given.seeds, range(given.seeds)))
    say(
        "seed  mixtral admitted  cost cut: true, as said (97.5 %)    quality: true, as said (97.5 %), points   overshoot"
    )
    for seed, day in enumerate(days):
        say(
            f"{seed:4} {day.admitted_minute:10} min {100 * day.cut:14.1f} %  {100 * day.cut_low:.1f} to {100 * day.cut_high:.1f} %"
            f" {'proven' if day.proven else 'not proven':10} {100 * day.change:8.2f}  {100 * day.said_low:.2f} to {100 * day.said_high:.2f}"
            f" {'inside' if day.kept else 'not shown':9} {100 * day.overshoot:8.3f} %"
        )
    met = all(day.proven and day.cut >= 0.3 and day.change >= -TOLERANCE for day in days)
    say(
        f"goal: cost cut >= 30 %, quality within 5 points, saving proven: {'yes' if met else 'NO'}; {time.monotonic() - start:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
