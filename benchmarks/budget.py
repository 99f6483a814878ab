"""Days under a binding budget (STATISTICS 6): `python -m benchmarks.budget [--seeds N] [--only NAME]`.

Days of the Azure traces and of generated traffic: day and night, bursts, weekends. Two admitted arms, a dear and
better one and a cheap one, their qualities learned on the way; the budget of the day is 60 % of what the better arm
alone would cost on an ordinary day. The first day has no forecast, the second that of the first. With policy `single`
one arm serves at a time. Prints overshoot, what was left, and the quality lost against the best mix at the same spend.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import msgspec
import numpy as np

from app.core.document import Arm, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.document.objective import Objective
from app.core.document.strategy import StrategyPlan
from app.core.profile import Profile
from app.sim.traces import TraceName, arrivals, load
from benchmarks.minutes import START_S, Answers, Drawn, Service
from benchmarks.printing import say

RATE = 60.0
USD_PER_TOKEN = {"large": (2.5e-6, 1e-5), "small": (1.5e-7, 6e-7)}
QUALITY = {"large": 0.86, "small": 0.80}
SHARE = 0.6


class Traffic(msgspec.Struct, frozen=True):
    """``trace`` "": drawn, lognormal tokens. ``factor`` of the mean rate by day and hour; ``growth`` of the prompts
    over the day; ``bursts`` a day, of ten minutes at ``burst`` times the rate.
    """

    trace: str = ""
    factor: Callable[[int, float], float] = lambda _day, _hour: 1.0
    growth: float = 0.0
    bursts: int = 0
    burst: float = 6.0
    policy: str = "mix"


def _sine(_day: int, hour: float) -> float:
    return float(1.0 + 0.7 * np.sin(2 * np.pi * (hour - 9) / 24))


def _office(_day: int, hour: float) -> float:
    return 2.2 if 8 <= hour < 18 else 0.15


DAYS = {
    "conversation": Traffic("conv"),
    "code": Traffic("code"),
    "day and night": Traffic("conv", _sine),
    "surge of 1.4 from noon": Traffic("conv", lambda _, hour: 1.0 if hour < 12 else 1.4),
    "slump to .6 from noon": Traffic("code", lambda _, hour: 1.0 if hour < 12 else 0.6),
    "prompts grow by half": Traffic("conv", growth=0.5),
    "surge in the last hour": Traffic("conv", lambda _, hour: 1.0 if hour < 23 else 1.8),
    "drawn: day and night": Traffic(factor=_sine),
    "drawn: office hours": Traffic(factor=_office),
    "drawn: six bursts of six times the rate": Traffic(bursts=6),
    "drawn: a Friday, then a Saturday at a third": Traffic(factor=lambda day, hour: _office(day, hour) / (1 + 2 * day)),
    "drawn: a Sunday, then a Monday at three times": Traffic(
        factor=lambda day, hour: _office(day, hour) * (1 + 2 * day) / 3
    ),
    "one arm serves: conversation": Traffic("conv", policy="single"),
    "one arm serves: drawn, day and night": Traffic(factor=_sine, policy="single"),
    "one arm serves: drawn, six bursts": Traffic(bursts=6, policy="single"),
    "one arm serves: drawn, a Sunday, then a Monday": Traffic(
        factor=lambda day, hour: _office(day, hour) * (1 + 2 * day) / 3, policy="single"
    ),
}


class Day(msgspec.Struct, frozen=True):
    """Shares of the budget: ``overshoot`` (0 when inside), ``unspent``; ``loss``: quality lost against the best mix."""

    overshoot: float
    unspent: float
    loss: float
    decisions: int


def days_of(name: str, seed: int) -> list[Day]:
    """Two days of one service."""
    traffic = DAYS[name]
    days = [_minutes(traffic, day, seed) for day in range(2)]
    dear = [sum(float(_cost("large", *minute).sum()) for minute in minutes) for minutes in days]
    budget = SHARE * (dear[1] if "Monday" in name else dear[0]) / (1.2 if "surge" in name else 1.0)
    document = completed(
        ServiceDocument(
            service="s", mode="auto", policy=traffic.policy,  # type: ignore[arg-type]  # one of the two
            arms=tuple(Arm(name=n) for n in USD_PER_TOKEN), incumbent="large", holdout_share=0.02,
            budget=Budget(day_usd=budget), objective=Objective(preset="quality", cost_max_usd=1.0),
            strategy=StrategyPlan(backup="small"),
        )
    )  # fmt: skip
    service = Service(document, seed, score_rate=0.2)
    if traffic.policy == "mix":
        service.row = msgspec.structs.replace(service.row, admitted=("large", "small"))
    else:  # a dear arm that serves, a cheap one that is known: no trial is open
        known = sum(1.0 for minute in days[0][:60] for _ in minute[0])
        usd = sum(float(_cost("small", *minute).sum()) for minute in days[0][:60])
        profile = Profile(
            n=known, latency_ms=900.0 * known, cost_n=known, cost_usd=usd, scores=known, quality=0.8 * known
        )
        service.row = msgspec.structs.replace(service.row, profiles={"small": profile}, next_cycle_s=2**40)
    return [_day(service, minutes, budget) for minutes in days]


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


def _minutes(traffic: Traffic, day: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Input and output tokens of every minute of a day."""
    rng = np.random.default_rng([seed, 1 if traffic.trace else 2 + day])
    if traffic.trace:
        return _of_trace(traffic, traffic.trace, day, rng)  # type: ignore[arg-type]  # the name of one
    starts = rng.integers(0, 1430, size=traffic.bursts)
    out = []
    for minute in range(1440):
        bursting = bool(((starts <= minute) & (minute < starts + 10)).any())
        n = rng.poisson(RATE * traffic.factor(day, minute / 60) * (traffic.burst if bursting else 1.0))
        inputs = np.exp(6.5 + 0.9 * rng.normal(size=n)) * (1 + traffic.growth * minute / 1440)
        out.append((inputs.round() + 1, np.exp(5.0 + 0.7 * rng.normal(size=n)).round() + 1))
    return out


def _of_trace(
    traffic: Traffic, trace: TraceName, day: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The trace looped from a random place, thinned by the hour."""
    most = max(traffic.factor(day, hour) for hour in range(24))
    offset = float(rng.uniform(0, 3600))
    out: list[list[tuple[float, float]]] = [[] for _ in range(1440)]
    for arrival in arrivals(load(trace), start_s=START_S - offset, rate_per_min=RATE * most):
        minute = int((arrival.time_s - START_S) // 60)
        if minute >= 1440:
            break
        if minute >= 0 and rng.random() < traffic.factor(day, minute // 60) / most:
            longer = 1 + traffic.growth * minute / 1440
            out[minute].append((round(arrival.input_tokens * longer), arrival.output_tokens))
    return [tuple(np.array(minute).reshape(-1, 2).T) for minute in out]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="budget", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="only days whose name has this in it")
    given = parser.parse_args(words)
    say(f"{'day':48} overshoot % mean / worst (goal <= .2)   unspent % mean   quality lost % worst   decisions")
    start, worst = time.monotonic(), 0.0
    with ProcessPoolExecutor(2) as pool:
        for name in (name for name in DAYS if given.only in name):
            both = list(pool.map(days_of, [name] * given.seeds, range(given.seeds)))
            for which, days in zip(("first day", "second"), zip(*both, strict=True), strict=True):
                over = [100 * day.overshoot for day in days]
                worst = max(worst, *over)
                say(
                    f"{name:48} {np.mean(over):6.3f} / {max(over):6.3f}  {which:10}"
                    f" {np.mean([100 * d.unspent for d in days]):18.3f}"
                    f" {max(100 * d.loss for d in days):16.2f} {np.mean([d.decisions for d in days]):16.0f}"
                )
    say(f"worst overshoot {worst:.3f} %; {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
