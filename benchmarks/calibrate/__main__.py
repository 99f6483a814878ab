"""`python -m benchmarks.calibrate [--times 5] [--workers 2] [--nab DIRECTORY] [--only NAME ...]`: all tables, written
to docs/evidence/calibration.md with its plots. Seeds are fixed: the same replicates give the same numbers.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.calibrate import ab_rule, anomaly, canary, drift, quantiles
from benchmarks.calibrate.report import Effort, Table, markdown, misses

EVIDENCE = Path("docs/evidence")
INTRODUCTION = """# Calibration

What every rule of the statistics core does when nothing happens, and how soon it speaks when something does. Made by
`make calibrate` from the code as it is; do not edit. A goal stands beside each number that
has one: ✓ reached, ✗ missed.
"""


def tables(effort: Effort, directory: Path | None) -> dict[str, Callable[[], Table]]:
    """What there is, by the name `--only` takes."""
    found: dict[str, Callable[[], Table]] = {}
    if directory is not None:
        found["anomaly"] = partial(anomaly.anomaly_table, effort, directory)
    makers: dict[str, Callable[[Effort], Table]] = {
        "change": drift.change_table,
        "panes": drift.panes_table,
        "others": drift.others_table,
        "budget": drift.budget_table,
        "two-sample": quantiles.two_sample_table,
        "ab": ab_rule.ab_table,
        "many": ab_rule.many_table,
        "canary-good": canary.good_table,
        "canary-bad": canary.bad_table,
        "canary-rules": canary.rules_table,
        "quantiles": quantiles.quantile_table,
    }
    return found | {name: partial(make, effort) for name, make in makers.items()}


def main() -> int:
    """Make, print and write the tables; exit 0 whether or not a goal is missed (the page says which)."""
    given = _arguments()
    effort = Effort(given.times, given.workers)
    start, parts, missed = time.monotonic(), [], list[str]()
    for name, make in tables(effort, given.nab).items():
        if given.only and name not in given.only:
            continue
        began = time.monotonic()
        table = make()
        parts.append(markdown(table))
        missed += misses(table)
        _say(parts[-1])
        _say(f"({name}: {time.monotonic() - began:.0f} s)\n")
    if not given.only:
        _write(effort, parts, missed, start)
    _say("\n".join([f"{len(missed)} goals missed", *missed]))
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _write(effort: Effort, parts: list[str], missed: list[str], start: float) -> None:
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    for name, svg in drift.plots(effort).items():
        (EVIDENCE / name).write_text(svg)
    shown = "## False alarms against delay\n\nPanes of ten samples, five levels each.\n\n" + "\n\n".join(
        f"![{caption}]({name})"
        for name, caption in (("change-mean.svg", "CUSUM of the mean"), ("change-rate.svg", "e-detector on a rate"))
    )
    wall, cpu = time.monotonic() - start, _cpu_s()
    ran = (
        f"\n{effort.times:g} x the standard replicates in {effort.workers} processes: {cpu / 60:.1f} minutes of processor "
        f"time, {wall / 60:.1f} minutes on the clock.\n"
    )
    said = "## Goals missed\n\n" + ("\n".join(f"- {one}" for one in missed) or "None.") + "\n"
    (EVIDENCE / "calibration.md").write_text("\n".join([INTRODUCTION, ran, said, *parts, shown + "\n"]))


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="calibrate", description=__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="multiple of the standard replicates")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--nab", type=Path, default=None, help="a copy of the Numenta Anomaly Benchmark")
    parser.add_argument("--only", nargs="*", default=[], help="some tables, printed and not written")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
