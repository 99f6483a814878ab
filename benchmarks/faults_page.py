"""The page of `make faults`: what the analyzers told of every fault of the simulator, and of none."""

import statistics
from collections import Counter
from collections.abc import Mapping

import msgspec

SERIES = 2 * 12 + 8
"""Series of two arms and the service, as the analyzers count them."""
GOAL_US = 50.0
"""CPU that a pane may cost for each series (STATISTICS, cost of detectors)."""
COLUMNS = (
    "fault",
    "found",
    "after panes",
    "false alarms before",
    "first by",
    "severity in the end",
    "series that saw it",
    "other findings",
    "resolved, panes after the end",
)


class Told(msgspec.Struct, frozen=True):
    """One finding event: at which minute of the run, and its data."""

    minute: int
    finding_id: str
    status: str
    severity: str
    analyzer: str
    kind: str
    series: tuple[str, ...] = ()


class Run(msgspec.Struct, frozen=True):
    """What one run told, panes and CPU seconds of the analyzers, bytes of the kept state (analysis, with windows)."""

    told: tuple[Told, ...]
    panes: int
    analyse_s: float
    analysis_bytes: int
    kept_bytes: int


class Settings(msgspec.Struct, frozen=True):
    """``seeds`` of every row; minutes ``warm`` before a fault and that it ``lasts``; hours of a quiet run."""

    seeds: int
    warm: int
    lasts: int
    quiet_hours: int


class Row(msgspec.Struct, frozen=True):
    """A fault over its seeds: minutes until found and until resolved after the end, who found it, what else."""

    found: list[int] = []
    ended: list[int] = []
    first: Counter[str] = msgspec.field(default_factory=Counter)
    severity: Counter[str] = msgspec.field(default_factory=Counter)
    series: Counter[str] = msgspec.field(default_factory=Counter)
    others: Counter[str] = msgspec.field(default_factory=Counter)
    false: list[int] = []


def page(faults: Mapping[str, list[Run]], quiet: Mapping[str, list[Run]], settings: Settings) -> str:
    """The whole page."""
    every = [one for runs in (*faults.values(), *quiet.values()) for one in runs]
    parts = [
        "# Faults of the simulator against the analyzers",
        "Made by `make faults` from the code as it is; do not edit.",
        f"Real arrivals (conversations), 240 requests a minute over two arms, 20 % of the answers scored, a default "
        f"service document (budget: one false alarm a week). One arm has the fault from minute {settings.warm} on for "
        f"{settings.lasts} minutes, then it is well again. Seeds a row: {settings.seeds}, from 0. A pane is a minute; "
        "delays are the median, least and most. Counts `xN` are runs.",
        _table(COLUMNS, [_line(name, row(runs, settings), settings) for name, runs in faults.items()]),
        "## No fault",
        _table(("traffic", "hours", "findings", "which"), [_quiet(*item, settings) for item in quiet.items()]),
        "## Cost",
        _cost(every),
    ]
    return "\n\n".join(parts) + "\n"


def row(runs: list[Run], settings: Settings) -> Row:
    """The runs of one fault."""
    made = Row()
    for one in runs:
        findings = opened(one)
        made.false.append(sum(told.minute <= settings.warm for told in findings))
        during = [told for told in findings if told.minute > settings.warm]
        if not during or during[0].minute > settings.warm + settings.lasts:
            continue
        first, *rest = during
        made.found.append(first.minute - settings.warm)
        made.first[f"{first.analyzer}: {first.kind}"] += 1
        made.others.update(told.kind for told in rest)
        last = next((t for t in one.told if t.status == "resolved" and t.finding_id == first.finding_id), None)
        if last is not None:
            made.ended.append(last.minute - settings.warm - settings.lasts)
            made.severity[last.severity] += 1
            made.series.update(last.series)
    return made


def opened(one: Run) -> list[Told]:
    """The first event of every finding, in time."""
    first = {told.finding_id: told for told in reversed(one.told) if told.status == "open"}
    return sorted(first.values(), key=lambda told: told.minute)


def _line(name: str, made: Row, settings: Settings) -> tuple[str, ...]:
    return (
        name,
        f"{len(made.found)} of {settings.seeds}",
        _minutes(made.found),
        str(sum(made.false)),
        _names(made.first),
        _names(made.severity),
        _names(made.series),
        _names(made.others) or "none",
        f"{len(made.ended)} of {settings.seeds}: {_minutes(made.ended)}",
    )


def _quiet(name: str, runs: list[Run], settings: Settings) -> tuple[str, ...]:
    kinds = Counter(told.kind for one in runs for told in opened(one))
    return name, str(settings.seeds * settings.quiet_hours), str(kinds.total()), _names(kinds) or "none"


def _cost(every: list[Run]) -> str:
    pane_us = 1e6 * sum(one.analyse_s for one in every) / sum(one.panes for one in every)
    a_series = pane_us / SERIES
    mark = "✓" if a_series <= GOAL_US else "✗"
    return (
        f"All analyzers: {pane_us:.0f} us of CPU a pane of the service, {a_series:.1f} us a pane and series {mark} (≤ "
        f"{GOAL_US:.0f}; {SERIES} series). State: at most {max(one.analysis_bytes for one in every):,} bytes, "
        f"{max(one.kept_bytes for one in every):,} with the open windows."
    )


def _minutes(minutes: list[int]) -> str:
    return f"{statistics.median(minutes):.0f} ({min(minutes)} to {max(minutes)})" if minutes else "-"


def _names(counts: Counter[str]) -> str:
    return ", ".join(f"{name} x{n}" for name, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:6])


def _table(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, ("---",) * len(columns), *lines))
