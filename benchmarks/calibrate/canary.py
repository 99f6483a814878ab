"""The trial slice: false rollbacks, harm caught, promotion, in samples per session of 1, 5 and 20 (STATISTICS 5)."""

import math

import numpy as np

from app.core.stats.confidence import half_width
from app.core.trial import Guardrails, observe
from app.core.verdict import judge
from benchmarks.calibrate.report import Effort, Table, judged, mapped, percent, upper
from benchmarks.calibrate.world import Prompts, scored_cell, slices, trial_of
from benchmarks.worlds import Rollout, World, roll_out

TREND = {"trend_points": 0.05}
MOVING = {"trend_points": 0.05, "wobble_points": 0.03}
BETA = {"quality_sd": 0.11, "quality": 0.85}
MANY_MINUTES = {1: 1_500, 5: 3_000, 20: 5_000}
"""Longest trial by requests a session: fewer independent sessions take longer to say the same."""
GOOD: dict[str, tuple[World, float, int]] = {  # world, goal of false rollbacks, standard replicates
    "Bernoulli .90": (World(), 0.006, 400),
    "Beta scores, sd .11": (World(**BETA), 0.006, 300),
    "latency sigma 1.0": (World(latency_sigma=1.0), 0.006, 300),
    "daily trend of 5 points": (World(**TREND), 0.003, 400),
    "trend, and a bandit that moves the mix": (World(**MOVING), 0.003, 800),
    "5 requests a session": (World(session_size=5), 0.006, 60),
    "20 requests a session": (World(session_size=20), 0.006, 50),
}
BAD: dict[str, tuple[World, int]] = {
    "-4.5 points, Bernoulli .90": (World(quality_change=-0.045), 400),
    "-4.5 points, trend and moving mix": (World(quality_change=-0.045, **MOVING), 300),
    "-4.5 points, Beta": (World(quality_change=-0.045, **BETA), 200),
    "-5 points, Bernoulli .90": (World(quality_change=-0.05), 200),
    "-10 points": (World(quality_change=-0.10), 200),
    "+20 % latency": (World(latency_change=0.2), 200),
    "-4.5 points, 5 a session": (World(quality_change=-0.045, session_size=5), 60),
    "-4.5 points, 20 a session": (World(quality_change=-0.045, session_size=20), 50),
}


def rollouts(effort: Effort, world: World, standard: int) -> list[Rollout]:
    """The ends of that many trials, seeds from 0."""
    longest = MANY_MINUTES[world.session_size]
    return mapped(
        effort, roll_out, [(world, Guardrails(), seed, longest) for seed in range(effort.replicates(standard))]
    )


def _share(ends: list[Rollout], kind: str) -> float:
    return sum(end.end == kind for end in ends) / len(ends)


def good_table(effort: Effort) -> Table:
    """A challenger as good as the incumbent."""
    lines = []
    for name, (world, goal, standard) in GOOD.items():
        ends = rollouts(effort, world, standard)
        harmed = sum(end.end == "harm" for end in ends)
        first = np.array([end.first_promotion or math.inf for end in ends])
        plain = world.trend_points == 0 and world.session_size == 1
        median = float(np.median(first))
        lines.append((
            name,
            f"{len(ends)}",
            percent(harmed / len(ends), goal, digits=2),
            percent(upper(harmed, len(ends)), digits=2),
            percent(_share(ends, "accepted")),
            percent(_share(ends, "open")),
            judged(median, 750, "{:.0f}") if plain else f"{median:.0f}",
            percent(float((first <= 750).mean()), digits=0),
        ))  # fmt: skip
    return Table(
        "Canary: an equal challenger",
        "Whole rollouts 5 → 25 → 50 → 90 % at 100 requests a minute, every answer scored, judged after every "
        "minute for at "
        "most 1,500 minutes (3,000 and 5,000 at 5 and 20 requests a session, half of whose variance is the "
        "session's); four metrics with default guardrails; seeds 0...",
        ("situation", "rollouts", "false rollback", "95 % bound", "accepted", "open at the end",
         "canary requests to the first promotion, median", "promoted within 750"),
        tuple(lines),
        ("Open: neither harm nor safety certain yet; nothing is wrong, the trial goes on.",),
    )  # fmt: skip


def bad_table(effort: Effort) -> Table:
    """A challenger that harms."""
    lines = []
    for name, (world, standard) in BAD.items():
        ends = rollouts(effort, world, standard)
        caught = [end for end in ends if end.end == "harm"]
        lines.append((
            name,
            f"{len(ends)}",
            percent(len(caught) / len(ends), 0.985, at_least=True),
            percent(_share(ends, "accepted"), 0.0, digits=2),
            f"{np.median([end.canary_requests for end in caught]):.0f}" if caught else "-",
            f"{np.median([end.minutes for end in caught]):.0f}" if caught else "-",
        ))  # fmt: skip
    return Table(
        "Canary: a challenger that harms",
        "As above. Caught: rolled back within that time.",
        ("situation", "rollouts", "caught", "accepted", "canary requests to the rollback, median", "minutes"),
        tuple(lines),
    )


# ---- what other rules would have done, on the same traffic ----
SHARE, MINUTES = 0.05, 1_500
STRICT = Guardrails(latency_ratio=None, error_points=None, cost_ratio=None)
BEFORE = 360
RULES = (
    "ten windows of 50, means (not ours)",
    "ten windows of 200, means (not ours)",
    f"cumulative, incumbent since {BEFORE // 60} hours before (not ours)",
    "within the minute, incumbent's own traffic (not ours)",
    "within the minute, control slice (this)",
)


def compared(prompts: Prompts, seed: int) -> tuple[str, ...]:
    """Ends (harm, safe, open) of the five rules on quality alone, on the first step."""
    rng = np.random.default_rng([5, seed])
    start, ends, windows = rng.uniform(0, 1440), ["open"] * len(RULES), [Windows(50), Windows(200)]
    beside, own, total = trial_of(), trial_of(), np.zeros((3, 2))
    total[2] = sum(np.array(slices(prompts, rng, minute, start, SHARE)[2]) for minute in range(-BEFORE, 0))
    for minute in range(MINUTES):
        counts = np.array(slices(prompts, rng, minute, start, SHARE))
        total += counts
        cells = [scored_cell((int(n), int(k))) for n, k in counts]
        beside, own = observe(beside, minute, cells[0], cells[2]), observe(own, minute, cells[0], cells[1])
        now = (
            windows[0].seen(counts),
            windows[1].seen(counts),
            _cumulative(total[0], total[2]),
            _kind(judge(beside, STRICT).kind),
            _kind(judge(own, STRICT).kind),
        )
        ends = [end if end != "open" else kind for end, kind in zip(ends, now, strict=True)]
        if "open" not in ends:
            break
    return tuple(ends)


class Windows:
    """Rolled back when one of ten windows is 5 points below the incumbent's, promoted after the tenth."""

    def __init__(self, size: int) -> None:
        self.size, self.left, self.sums = size, 10, np.zeros((3, 2))

    def seen(self, counts: np.ndarray) -> str:
        self.sums = self.sums + counts
        if self.sums[0, 0] < self.size:
            return "open"
        (n, k), _, (m, j) = self.sums
        self.left, self.sums = self.left - 1, np.zeros((3, 2))
        return "harm" if k / n < j / m - 0.05 else "open" if self.left else "safe"


def _kind(kind: str) -> str:
    return kind if kind in {"harm", "safe"} else "open"


def _cumulative(canary: np.ndarray, incumbent: np.ndarray) -> str:
    """A confidence sequence of all canary against all incumbent answers so far."""
    if canary[0] < STRICT.n_min:
        return "open"
    (n, k), (m, j) = canary, incumbent
    p, q, pairs = (k + 1) / (n + 2), (j + 1) / (m + 2), n * m / (n + m)
    variance = pairs * (p * (1 - p) / n + q * (1 - q) / m)
    harm, low = j / m - k / n, half_width(pairs, variance, STRICT.harm_alpha, STRICT.n_star, sides=1)
    high = half_width(pairs, variance, STRICT.safe_alpha(admission=False), STRICT.n_star, sides=1)
    return "harm" if harm - low > 0 else "safe" if harm + high < 0.05 and canary[0] >= STRICT.scored_min else "open"


def rules_table(effort: Effort) -> Table:
    """False rollbacks and catches of five rules, side by side."""
    settings = {
        "no trend": {},
        "daily trend of 5 points": {"trend": 0.05},
        "trend, contextual bandit": {"trend": 0.05, "bandit": True},
    }
    lines, n = [], effort.replicates(300)
    for name, world in settings.items():
        good = mapped(effort, compared, [(Prompts(**world), seed) for seed in range(n)])
        bad = mapped(effort, compared, [(Prompts(change=-0.05, **world), seed) for seed in range(n)])
        for i, rule in enumerate(RULES):
            false = sum(ends[i] == "harm" for ends in good) / n
            caught, passed = (sum(ends[i] == kind for ends in bad) / n for kind in ("harm", "safe"))
            lines.append((rule, name, percent(false), percent(caught), percent(passed)))
    return Table(
        "Canary: why within the minute, and why a control slice",
        f"Quality only, first step (5 %), {n} trials each (seeds 0..), at most 1,500 minutes. Prompts are "
        f"easy (.96) or hard "
        "(.84); the bandit moves the hard ones to the incumbent, from half of its traffic to nine tenths "
        "within 300 minutes.",
        ("rule", "situation", "false rollback", "-5 points rolled back", "-5 points promoted"),
        tuple(lines),
        ("Every rule sees the same requests. The last one is the product's.",),
    )
