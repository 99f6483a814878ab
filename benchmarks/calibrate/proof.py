"""Savings in worlds with nothing to gain, and days under a binding budget (STATISTICS 6)."""

import numpy as np

from benchmarks import budget
from benchmarks.calibrate.report import Effort, Table, judged, mapped, percent, upper
from benchmarks.nothing_to_gain import CASES, WORSE, lived


def savings_table(effort: Effort) -> Table:
    """Savings called proven where nothing is saved, and worse challengers admitted."""
    lines, seeds = [], effort.replicates(20)
    for name in CASES | WORSE:
        ends = mapped(effort, lived, [(name, seed) for seed in range(seeds)])
        proven, admitted = sum(end.proven for end in ends), sum(end.admitted for end in ends)
        lines.append((
            name,
            f"{seeds}",
            percent(proven / seeds, 0.03) if name in CASES else "-",
            percent(upper(proven, seeds)) if name in CASES else "-",
            percent(admitted / seeds, 0.0) if name in WORSE else "-",
            f"{np.mean([end.effect for end in ends]):.1f}",
        ))  # fmt: skip
    return Table(
        "Savings: nothing to gain",
        "Whole services for four hours of 250 requests a minute, looked at every minute; 5 % holdout; seeds 0...",
        ("world", "services", "saving falsely proven", "95 % bound", "worse arm admitted", "session effect"),
        tuple(lines),
        ("Session effect: requests that tell as much as one independent one, as estimated between session groups.",),
    )


def budget_table(effort: Effort) -> Table:
    """Spend against the budget of a day."""
    lines, seeds = [], max(1, round(effort.times))
    for name in budget.DAYS:
        both = mapped(effort, budget.days_of, [(name, seed) for seed in range(seeds)])
        for which, days in zip(("first day", "second day"), zip(*both, strict=True), strict=True):
            lines.append((
                f"{name}, {which}",
                judged(100 * max(day.overshoot for day in days), 0.2, "{:.3f} %"),
                f"{100 * np.mean([day.unspent for day in days]):.3f} %",
                judged(100 * max(day.loss for day in days), 2.5, "{:.2f} %"),
                f"{np.mean([day.decisions for day in days]):.0f}",
            ))  # fmt: skip
    return Table(
        "Budget: days of the Azure traces and of drawn traffic",
        f"Budget: 60 % of what the better arm alone would cost; two arms; {seeds} seed(s). Where one arm "
        "serves it is the better one or the cheap one, never both. Loss: quality against the "
        "best mix at the same spend, qualities learned on the way.",
        ("day", "overshoot, worst", "unspent", "quality lost, worst", "decisions"),
        tuple(lines),
    )
