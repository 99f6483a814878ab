"""Anomaly scores on the labelled series of NAB (STATISTICS 1), by the scorer of `benchmarks.nab`."""

from pathlib import Path

import numpy as np

from benchmarks import nab
from benchmarks.calibrate.report import Effort, Table, judged, mapped

GOALS = {"own": 58.3}
DETECTORS = ("own", "zscore", "iqr", "mad")


def anomaly_table(effort: Effort, directory: Path) -> Table:
    """The own scorer and the three classic rules."""
    files = nab.read(directory)
    everything = np.ones(len(files), bool)
    lines = []
    for name in DETECTORS:
        said = mapped(effort, nab.scored, [(name, one) for one in files])
        board = nab.Board(files, [one.value for one in said], "standard", nab.THRESHOLDS)
        own = nab.Board(files, [one.alert.astype(float) for one in said], "standard", np.array([0.5]))
        score, (halves, sd) = board.at(everything, board.best(everything)), board.halves()
        us = 1e6 * sum(one.seconds for one in said) / sum(len(one.values) for one in files)
        lines.append((
            name,
            judged(score, GOALS[name], "{:.1f}", at_least=True) if name in GOALS else f"{score:.1f}",
            f"{halves:.1f} (sd {sd:.1f})",
            f"{own.at(everything, 0):.1f}",
            judged(us, 10, "{:.1f}") if name in GOALS else f"{us:.1f}",
        ))  # fmt: skip
    return Table(
        "Anomaly scores",
        f"Numenta Anomaly Benchmark v1.1: {len(files)} series, {sum(len(one.values) for one in files):,} "
        f"points, one setting "
        "for all series, every point scored before it is learned. 0 = never alarms, 100 = perfect.",
        ("detector", "standard score, one threshold for all", "threshold of the other half of the files", "its own alerts",
         "us a point"),
        tuple(lines),
        ("Published without look-ahead: Skyline 58.2, KNN CAD 58.0. Microseconds are of this run, on a "
         "machine that does other "
         "things too.",),
    )  # fmt: skip
