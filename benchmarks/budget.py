"""Days of the Azure traces under a binding budget (STATISTICS 6): `python -m benchmarks.budget [--seeds N]`.

Two admitted arms, a dear and better one and a cheap one, their qualities learned on the way; the budget of the day is 60 %
of what the better arm alone would cost on an ordinary day. The first day has no forecast, the second that of the first.
Prints overshoot, what was left, and the quality lost against the best mix at the same spend.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import msgspec
import numpy as np

from app.core.document import Arm, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.document.objective import Objective
from app.sim.traces import TraceName, arrivals, load
from benchmarks.minutes import START_S, Answers, Drawn, Service

RATE = 60.0
USD_PER_TOKEN = {"large": (2.5e-6, 1e-5), "small": (1.5e-7, 6e-7)}
QUALITY = {"large": 0.86, "small": 0.80}
SHARE = 0.6
DAYS = {  # trace, factor of the traffic by hour, growth of the prompts over the day
    "conversation": ("conv", lambda hour: 1.0, 0.0),
    "code": ("code", lambda hour: 1.0, 0.0),
    "day and night": ("conv", lambda hour: 1.0 + 0.7 * np.sin(2 * np.pi * (hour - 9) / 24), 0.0),
    "surge of 1.4 from noon": ("conv", lambda hour: 1.0 if hour < 12 else 1.4, 0.0),
    "slump to .6 from noon": ("code", lambda hour: 1.0 if hour < 12 else 0.6, 0.0),
    "prompts grow by half": ("conv", lambda hour: 1.0, 0.5),
    "surge in the last hour": ("conv", lambda hour: 1.0 if hour < 23 else 1.8, 0.0),
}


class Day(msgspec.Struct, frozen=True):
    """Shares of the budget: ``overshoot`` (0 when inside), ``unspent``; ``loss``: quality lost against the best mix."""

    overshoot: float
    unspent: float
    loss: float
    decisions: int


def days_of(name: str, seed: int) -> list[Day]:
    """Two days of one service."""
    trace_name, factor, growth = DAYS[name]
    minutes = _minutes(trace_name, factor, growth, seed)
    ordinary = sum(_cost("large", *minute).sum() for minute in minutes) / (1.2 if "surge" in name else 1.0)
    budget = SHARE * float(ordinary)
    document = completed(
        ServiceDocument(
            service="s", mode="auto", policy="mix", arms=tuple(Arm(name=n) for n in USD_PER_TOKEN), incumbent="large",
            holdout_share=0.02, budget=Budget(day_usd=budget),
            objective=Objective(preset="quality", cost_max_usd=1.0),
        )
    )  # fmt: skip
    service = Service(document, seed, score_rate=0.2)
    service.row = msgspec.structs.replace(service.row, admitted=("large", "small"))
    return [_day(service, minutes, budget) for _ in range(2)]


def _day(service: Service, minutes: list[tuple[np.ndarray, np.ndarray]], budget: float) -> Day:
    spent = quality = dear = cheap = 0.0
    requests, said = 0, len(service.outputs)
    for inputs, outputs in minutes:
        drawn: Drawn = service.pass_minute(_answers(service, inputs, outputs), inputs)
        spent, quality, requests = spent + float(drawn.cost.sum()), quality + _true(drawn), requests + len(inputs)
        dear, cheap = (
            dear + float(_cost("large", inputs, outputs).sum()),
            cheap + float(_cost("small", inputs, outputs).sum()),
        )
    part = (spent - cheap) / (dear - cheap)
    best = QUALITY["small"] + part * (QUALITY["large"] - QUALITY["small"])
    decisions = sum(output.role == "optimizations" for output in service.outputs[said:])
    over = spent / budget - 1
    return Day(max(0.0, over), max(0.0, -over), 1 - quality / requests / best, decisions)


def _true(drawn: Drawn) -> float:
    return float(np.array(list(QUALITY.values()))[drawn.arm].sum())


def _answers(service: Service, inputs: np.ndarray, outputs: np.ndarray) -> dict[str, Answers]:
    n, rng = len(inputs), service.rng
    return {
        name: Answers((rng.random(n) < QUALITY[name]) * 1.0, _cost(name, inputs, outputs), rng.lognormal(6.7, 0.5, n))
        for name in USD_PER_TOKEN
    }


def _cost(arm: str, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    of_input, of_output = USD_PER_TOKEN[arm]
    return of_input * inputs + of_output * outputs


def _minutes(trace: TraceName, factor: "object", growth: float, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Input and output tokens of every minute of a day: the trace looped from a random place, thinned by the hour."""
    rng, most = np.random.default_rng([seed, 1]), max(factor(hour) for hour in range(24))
    offset = float(rng.uniform(0, 3600))
    out: list[list[tuple[float, float]]] = [[] for _ in range(1440)]
    for arrival in arrivals(load(trace), start_s=START_S - offset, rate_per_min=RATE * most):
        minute = int((arrival.time_s - START_S) // 60)
        if minute >= 1440:
            break
        if minute >= 0 and rng.random() < factor(minute // 60) / most:
            longer = 1 + growth * minute / 1440
            out[minute].append((round(arrival.input_tokens * longer), arrival.output_tokens))
    return [tuple(np.array(minute).reshape(-1, 2).T) for minute in out]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="budget", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args(words)
    sys.stdout.write(
        f"{'day':26} overshoot % mean / worst (goal <= .2)   unspent % mean   quality lost % worst   decisions\n"
    )
    start, worst = time.monotonic(), 0.0
    with ProcessPoolExecutor(2) as pool:
        for name in DAYS:
            both = list(pool.map(days_of, [name] * given.seeds, range(given.seeds)))
            for which, days in zip(("first day", "second"), zip(*both, strict=True), strict=True):
                over = [100 * day.overshoot for day in days]
                worst = max(worst, *over)
                sys.stdout.write(
                    f"{name:26} {np.mean(over):6.3f} / {max(over):6.3f}  {which:10} {np.mean([100 * d.unspent for d in days]):18.3f}"
                    f" {max(100 * d.loss for d in days):16.2f} {np.mean([d.decisions for d in days]):16.0f}\n"
                )
                sys.stdout.flush()
    sys.stdout.write(f"worst overshoot {worst:.3f} %; {time.monotonic() - start:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
