"""What a calibrated table is, and how it is written: Markdown with a mark beside every number that has a goal."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True):
    """``lines``: rows of cells; ``notes``: what one must know to read them; ``plots``: (file name, caption)."""

    title: str
    setting: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    plots: tuple[tuple[str, str], ...] = ()


class Effort(msgspec.Struct, frozen=True):
    """``times``: multiple of the standard number of replicates; ``workers``: processes."""

    times: float = 1.0
    workers: int = 2

    def replicates(self, standard: int) -> int:
        """How many to run instead of ``standard``."""
        return max(4, round(standard * self.times))


def judged(value: float, goal: float, shown: str = "{:.3g}", *, at_least: bool = False) -> str:
    """The value, its goal and a mark."""
    passed = value >= goal if at_least else value <= goal
    return f"{shown.format(value)} {'✓' if passed else '✗'} ({'≥' if at_least else '≤'} {shown.format(goal)})"


def percent(part: float, goal: float | None = None, *, at_least: bool = False, digits: int = 1) -> str:
    """A share in percent, judged when there is a goal."""
    shown = f"{{:.{digits}f}} %"
    return shown.format(100 * part) if goal is None else judged(100 * part, 100 * goal, shown, at_least=at_least)


def upper(events: int, trials: int) -> float:
    """95 % upper bound of a rate (Wilson), to say what so many replicates can show."""
    z, p = 1.645, events / trials
    centre = p + z * z / (2 * trials)
    return (centre + z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials**2))) / (1 + z * z / trials)


def mapped(effort: Effort, work: Callable[..., T], jobs: Sequence[tuple[Any, ...]]) -> list[T]:
    """``work(*job)`` for every job, in order, over the worker processes."""
    if effort.workers == 1:
        return [work(*job) for job in jobs]
    with ProcessPoolExecutor(effort.workers) as pool:
        return list(pool.map(work, *zip(*jobs, strict=True), chunksize=max(1, len(jobs) // (16 * effort.workers))))


def markdown(table: Table) -> str:
    """The table as a section."""
    rows = [table.columns, ("---",) * len(table.columns), *table.lines]
    shown = ("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    parts = [f"## {table.title}", table.setting, "\n".join(shown)]
    parts += [f"![{caption}]({name})" for name, caption in table.plots]
    parts += ["\n".join(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n\n".join(parts) + "\n"
