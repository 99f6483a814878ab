"""`python -m benchmarks.calibrate [--times 5] [--workers 2] [--nab DIRECTORY] [--only NAME ...]`: all tables, written to
docs/evidence/calibration.md with its plots, each as soon as it is measured. Seeds are fixed: the same replicates give
the same numbers.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.calibrate import ab_rule, anomaly, canary, drift, proof, quantiles, quiet, scorer_worlds, several
from benchmarks.calibrate.page import misses, page, section
from benchmarks.calibrate.report import Effort, Table
from benchmarks.printing import say

EVIDENCE = Path("docs/evidence")
PLOTS = "plots"


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
        "quiet": quiet.quiet_table,
        "noise": scorer_worlds.noise_table,
        "two-sample": quantiles.two_sample_table,
        "ab": ab_rule.ab_table,
        "many": ab_rule.many_table,
        "canary-good": canary.good_table,
        "canary-bad": canary.bad_table,
        "canary-rules": canary.rules_table,
        "several": several.several_table,
        "savings": proof.savings_table,
        "budget-days": proof.budget_table,
        "quantiles": quantiles.quantile_table,
    }
    return found | {name: partial(make, effort) for name, make in makers.items()}


def main() -> int:
    """Make, print and write the tables; exit 0 whether or not a goal is missed (the page says which)."""
    given = _arguments()
    effort = Effort(given.times, given.workers)
    found, missed = tables(effort, given.nab), list[str]()
    unknown = sorted(set(given.only) - {*found, PLOTS})
    if unknown:
        sys.exit(f"no table is called {', '.join(unknown)}: there are {', '.join([*found, PLOTS])}")
    for name, make in found.items():
        if not given.only or name in given.only:
            missed += _measured(name, make, effort)
    if not given.only or PLOTS in given.only:
        _keep({PLOTS: _plotted(effort)})
    say("\n".join([f"{len(missed)} goals missed", *missed]))
    return 0


def _measured(name: str, make: Callable[[], Table], effort: Effort) -> list[str]:
    """One table, printed and kept; the goals it misses."""
    began, used = time.monotonic(), _cpu_s()
    table = make()
    text = section(table, effort.times, _cpu_s() - used)
    _keep({name: text})
    say(text)
    say(f"({name}: {time.monotonic() - began:.0f} s on the clock)\n")
    return misses(text)


def _plotted(effort: Effort) -> str:
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    for name, svg in drift.plots(effort).items():
        (EVIDENCE / name).write_text(svg)
    shown = (f"![{caption}]({name})" for name, caption in drift.PLOTS.items())
    return "## False alarms against delay\n\nPanes of ten samples, five levels each.\n\n" + "\n\n".join(shown) + "\n"


def _keep(measured: dict[str, str]) -> None:
    """Each section at once: what was measured is kept whatever comes after."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    path = EVIDENCE / "calibration.md"
    before = path.read_text() if path.exists() else ""
    order = ["anomaly", *tables(Effort(), None), PLOTS]
    path.write_text(page(before, measured, order))


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="calibrate", description=__doc__)
    parser.add_argument("--times", type=float, default=1.0, help="multiple of the standard replicates")
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--nab", type=Path, default=None, help="a copy of the Numenta Anomaly Benchmark")
    parser.add_argument("--only", nargs="*", default=[], help="these tables only; the page keeps its others")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
