"""Several challengers in one trial slice, as a worker judges them: false promotions, the right one, how soon."""

import msgspec
import numpy as np

from app.core.contest import chosen, standings
from app.core.document import TrialPlan
from app.core.modes import contest_shares
from app.core.stats.reward import Objective
from app.core.trial import Guardrails, Trial, next_step, observe, open_trial, reshared, shares
from app.core.verdict import judge
from benchmarks.calibrate.report import Effort, Table, mapped, percent, upper
from benchmarks.worlds import Traffic, World

ALPHA = 0.05
PLAN = TrialPlan(contest_percent=40)
OBJECTIVE = Objective(quality=0.6, cost=0.3, latency=0.1, cost_max_usd=0.005, latency_max_ms=3000)
MINUTES = 1_200
EVERY = 3
"""Minutes between two looks; a worker looks at each, which finds a little more."""
RATE = 400.0
SAME = World(requests_per_minute=RATE, quality=0.85, quality_sd=0.11)


class End(msgspec.Struct, frozen=True):
    """``promoted``: place of the arm that took over, -1 for none; after ``minutes``."""

    promoted: int
    minutes: int
    dropped: int


def together(worlds: tuple[World, ...], seed: int) -> End:
    """One trial of all of them: together until one is chosen, then up the steps alone."""
    rng = np.random.default_rng([11, len(worlds), seed])
    traffic, k = [Traffic(world, rng) for world in worlds], len(worlds)
    rules = Guardrails(alpha=ALPHA / k)
    left = {i: open_trial("t", str(i), "old", 0, 1) for i in range(k)}
    winner = -1
    for minute in range(MINUTES):
        trial, control = shares(left[winner].steps[left[winner].step]) if winner >= 0 else _equal(len(left))
        seen = traffic[0].cell("control", control)
        for i, one in left.items():
            left[i] = observe(one, minute, traffic[i].cell("trial", trial), seen)
        if minute % EVERY:
            continue
        if winner >= 0:
            verdict = judge(left[winner], rules, OBJECTIVE)
            if verdict.kind == "harm":
                return End(-1, minute + 1, k)
            if verdict.kind == "safe" and left[winner].last_step and verdict.benefit:
                return End(winner, minute + 1, k - 1)
            if verdict.kind == "safe" and not left[winner].last_step:
                left[winner] = next_step(left[winner], minute + 1, left[winner].last_version + 1)
            continue
        winner = _contest(left, rules, k, minute)
        if not left:
            return End(-1, minute + 1, k)
    return End(-1, MINUTES, k - len(left))


def _equal(arms: int) -> tuple[float, float]:
    share, control = contest_shares(PLAN, arms)
    return share / arms, control


def _contest(left: dict[int, Trial], rules: Guardrails, k: int, minute: int) -> int:
    """One look: losers are taken out of ``left``; the place of who goes on alone, or -1."""
    trials = list(left.values())
    verdicts = [judge(one, rules, OBJECTIVE) for one in trials]
    standing = standings(trials, verdicts, rules, OBJECTIVE, arms=k)
    lost = [i for i, one in zip(list(left), standing, strict=True) if one.lost]
    for i in lost:
        del left[i]
    if lost:
        for i, one in left.items():
            left[i] = reshared(one, one.last_version + 1)
        return -1
    best = chosen(standing, alpha=ALPHA, enough=PLAN.contest_scored)
    if best is None:
        return -1
    place = int(best.trial.arm)
    for i in [i for i in left if i != place]:
        del left[i]
    left[place] = next_step(best.trial, minute + 1, best.trial.last_version + 1)
    return place


def in_turn(worlds: tuple[World, ...], seed: int) -> End:
    """The same arms one after the other, until one takes over; each has a k-th of the error."""
    rng = np.random.default_rng([12, len(worlds), seed])
    rules, minute, k = Guardrails(alpha=ALPHA / len(worlds)), 0, len(worlds)
    for i, world in enumerate(worlds):
        traffic, one, began = Traffic(world, rng), open_trial("t", str(i), "old", minute, 1), minute
        while minute - began < MINUTES:
            trial, control = shares(one.steps[one.step])
            one = observe(one, minute, traffic.cell("trial", trial), traffic.cell("control", control))
            minute += 1
            if (minute - began - 1) % EVERY:
                continue
            verdict = judge(one, rules, OBJECTIVE)
            if verdict.kind == "harm":
                break
            if verdict.kind == "safe" and one.last_step and verdict.benefit:
                return End(i, minute, i)
            if verdict.kind == "safe" and not one.last_step:
                one = next_step(one, minute, one.last_version + 1)
    return End(-1, minute, k)


def several_table(effort: Effort) -> Table:
    """Four challengers."""
    worthless = (SAME,) * 4
    harmful = (msgspec.structs.replace(SAME, quality_change=-0.01),) * 4
    cheaper = (*worthless[:3], msgspec.structs.replace(SAME, cost_change=-0.5))
    mixed = (
        *(msgspec.structs.replace(SAME, quality_change=-0.08),) * 2,
        SAME,
        msgspec.structs.replace(SAME, cost_change=-0.5),
    )
    lines = []
    for name, worlds, right, standard in (
        ("four that change nothing", worthless, -1, 120),
        ("four that cost a point of quality", harmful, -1, 80),
        ("three that change nothing, one that costs half", cheaper, 3, 60),
        ("two that harm, one that changes nothing, one that costs half", mixed, 3, 60),
    ):
        ends = mapped(effort, together, [(worlds, seed) for seed in range(effort.replicates(standard))])
        false = sum(end.promoted not in (-1, right) for end in ends)
        found = [end.minutes for end in ends if end.promoted == right >= 0]
        turns = mapped(effort, in_turn, [(worlds, seed) for seed in range(effort.replicates(10))]) if right >= 0 else []
        later = [end.minutes for end in turns if end.promoted == right]
        lines.append((
            name, f"{len(ends)}", percent(false / len(ends), ALPHA, digits=2), percent(upper(false, len(ends)), digits=2),
            percent(len(found) / len(ends), 0.95, at_least=True) if right >= 0 else "",
            f"{np.median(found):.0f}" if found else "",
            f"{np.median(later):.0f}" if later else "",
        ))  # fmt: skip
    return Table(
        "Several challengers in one trial slice",
        f"Whole lives at {RATE:.0f} requests a minute, every answer scored (Beta, sd .11), {PLAN.contest_percent} % of "
        f"the traffic shared by the challengers and the control, then the steps of a canary, for at most {MINUTES:,} "
        f"minutes; a look every {EVERY} minutes; seeds 0... Promoted means proven better; the goal is the stated error of "
        "all challengers together.",
        ("challengers", "trials", "false promotion", "95 % bound", "the right one promoted", "minutes, median",
         "one after the other, minutes"),
        tuple(lines),
        (f"One after the other: the same arms in that order, an undecided one for {MINUTES:,} minutes.",),
    )  # fmt: skip
