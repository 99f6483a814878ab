"""Anomaly scores on labelled series (STATISTICS 1): `python -m benchmarks.nab DIRECTORY [detector ...]`.

DIRECTORY is a copy of the Numenta Anomaly Benchmark v1.1 (github.com/numenta/NAB; Lavin and Ahmad, 2015): windows.json
and FAMILY/NAME.csv.gz with timestamp,value. Every point is scored before it is learned, with the same settings for all
series. Printed per detector: the standard score, and those that punish false alarms or misses twice, at the best single
threshold for all files; the standard score of one half of the files at the threshold best for the other half (mean and
standard deviation over 200 halves), of each family at the threshold best for the others, and of the detector's own
alerts; microseconds per point. 0 = never alarms, 100 = perfect; seeds are fixed.
"""

import csv
import gzip
import io
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from app.core.analyze.named import OWN, detector
from benchmarks.printing import say

MISS = {"standard": 1.0, "low_fp": 1.0, "low_fn": 2.0}
FALSE_ALARM = {"standard": 0.11, "low_fp": 0.22, "low_fn": 0.11}
THRESHOLDS = np.geomspace(0.01, 1e4, 1000)


class Labelled(msgspec.Struct, frozen=True):
    """One series. ``spans``: first and last index of each labelled window; points before ``probation`` do not count."""

    family: str
    times_s: list[float]
    values: list[float]
    spans: list[tuple[int, int]]
    probation: int


class Scores(msgspec.Struct, frozen=True):
    """What one detector says to one series: ``value`` of every point, and whether it is an alert of its own."""

    value: np.ndarray
    alert: np.ndarray
    seconds: float


def read(directory: Path) -> list[Labelled]:
    """All series of the directory that have a list of windows, in the order of their names."""
    windows = json.loads((directory / "windows.json").read_text())
    return [_series(directory / f"{name}.gz", windows[name]) for name in sorted(windows)]


def _series(path: Path, windows: list[tuple[str, str]]) -> Labelled:
    rows = list(csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))[1:]
    moments = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp() for row in rows]
    first = {moment: i for i, moment in reversed(list(enumerate(moments)))}
    at = [[first[datetime.fromisoformat(edge).replace(tzinfo=UTC).timestamp()] for edge in span] for span in windows]
    spans = [(start, end) for start, end in at]
    probation = int(0.15 * min(len(rows), 5000))
    return Labelled(path.parent.name, moments, [float(row[1]) for row in rows], spans, probation)


def scored(name: str, series: Labelled) -> Scores:
    """Run a fresh detector over the series."""
    step = detector(name).step
    start = time.process_time()
    said = [step(moment, value) for moment, value in zip(series.times_s, series.values, strict=True)]
    seconds = time.process_time() - start
    return Scores(np.array([one.score for one in said]), np.array([one.alert for one in said]), seconds)


def points(series: Labelled, scores: np.ndarray, thresholds: np.ndarray, profile: str) -> np.ndarray:
    """NAB's points at each threshold: the earliest hit of a window counts, a window without one costs, and so does
    every hit outside, less when it comes soon after a window.
    """
    outside = np.ones(len(scores), bool)
    outside[: series.probation] = False
    worth = np.full(len(scores), -1.0)
    total = np.zeros(len(thresholds))
    for start, end in series.spans:
        outside[start : end + 1] = False
        worth[end + 1 :] = _sigmoid(np.arange(1, len(scores) - end) / (end - start))
        i = np.arange(max(start, series.probation), end + 1)
        hit = np.searchsorted(np.maximum.accumulate(scores[i]), thresholds)
        inside = _sigmoid(-(end - i + 1) / (end - start + 1)) / _sigmoid(np.array(-1.0))
        total += np.append(inside, -MISS[profile])[hit]
    order = np.argsort(scores[outside])
    behind = np.append(np.cumsum(worth[outside][order][::-1])[::-1], 0.0)
    return total + FALSE_ALARM[profile] * behind[np.searchsorted(scores[outside][order], thresholds)]


def _sigmoid(position: np.ndarray) -> np.ndarray:
    return np.where(position > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0)


class Board:
    """The points of one detector: files x thresholds."""

    def __init__(self, files: list[Labelled], scores: list[np.ndarray], profile: str, thresholds: np.ndarray) -> None:
        pairs = zip(files, scores, strict=True)
        self.points = np.array([points(one, score, thresholds, profile) for one, score in pairs])
        self.windows = np.array([len(one.spans) for one in files])
        self.miss = MISS[profile]

    def best(self, files: np.ndarray) -> int:
        """Which threshold is best for these files (a mask)."""
        return int(self.points[files].sum(axis=0).argmax())

    def normalised(self, total: float, windows: int) -> float:
        return 100.0 * (total + self.miss * windows) / ((1.0 + self.miss) * windows)

    def at(self, files: np.ndarray, threshold: int) -> float:
        return self.normalised(self.points[files, threshold].sum(), self.windows[files].sum())

    def halves(self, rounds: int = 100, seed: int = 7) -> tuple[float, float]:
        """Mean and sd of one half at the threshold best for the other half."""
        rng, found, n = np.random.default_rng(seed), [], len(self.windows)
        for _ in range(rounds):
            half = np.isin(np.arange(n), rng.permutation(n)[: n // 2])
            found += [self.at(test, self.best(~test)) for test in (half, ~half)]
        return float(np.mean(found)), float(np.std(found))

    def families(self, of: np.ndarray) -> float:
        """Every family at the threshold best for the others."""
        total = sum(self.points[of == one, self.best(of != one)].sum() for one in sorted(set(of)))
        return self.normalised(float(total), int(self.windows.sum()))


def row(name: str, files: list[Labelled]) -> str:
    """The line of one detector."""
    said = [scored(name, one) for one in files]
    values, everything = [one.value for one in said], np.ones(len(files), bool)
    boards = {profile: Board(files, values, profile, THRESHOLDS) for profile in MISS}
    best = [board.at(everything, board.best(everything)) for board in boards.values()]
    own = Board(files, [one.alert.astype(float) for one in said], "standard", np.array([0.5]))
    mean, sd = boards["standard"].halves()
    left_out = boards["standard"].families(np.array([one.family for one in files]))
    us = 1e6 * sum(one.seconds for one in said) / sum(len(one.values) for one in files)
    numbers = [*best, mean, sd, left_out, own.at(everything, 0), us]
    return f"{name:32}" + "".join(f"{number:9.1f}" for number in numbers)


def main(arguments: list[str]) -> None:
    """Print the table."""
    if not arguments:
        sys.exit(__doc__)
    files = read(Path(arguments[0]))
    windows = sum(len(one.spans) for one in files)
    say(f"{len(files)} series, {sum(len(one.values) for one in files)} points, {windows} windows")
    columns = (*MISS, "halves", "sd", "families", "alerts", "us/point")
    say(f"{'detector':32}" + "".join(f"{column:>9}" for column in columns))
    for name in arguments[1:] or OWN:
        say(row(name, files))


if __name__ == "__main__":
    main(sys.argv[1:])
