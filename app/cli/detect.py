"""`llm-optimizer detect FILE`: score a series for anomalies, one row out per row in."""

import csv
import os
import sys
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path

import click

from app.cli.output import write_json_line
from app.cli.series import Point, opened, points
from app.core.analyze.scored import Detector, Scored

PLOTS = (".svg", ".png")


@click.command
@click.argument("file", type=click.Path(allow_dash=True, exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--detector",
    "name",
    default="own",
    show_default=True,
    metavar="NAME",
    help="own, zscore, iqr, mad, or a class of River, as in river.drift.ADWIN.",
)
@click.option("--threshold", type=float, help="Score from which a point is an alert [default: the detector's own].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per row.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg|png",
    help="Draw the series with its alerts and scores, too.",
)
def detect(file: Path, name: str, threshold: float | None, plot: Path | None, *, as_json: bool) -> None:
    """Score the series in FILE for anomalies: CSV with the columns timestamp,value; - is standard input.

    Prints timestamp,value,score,alert, one row per row. A point is scored before it is learned, and never from later
    points. A row without a finite number passes through with score 0 and is counted on standard error; any other row
    that cannot be read ends the command, naming its line.
    """
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise click.UsageError(f"--plot {plot}: its name must end in .svg or .png")
    chosen = _detector(name, threshold)
    drawn: list[tuple[Point, Scored]] = []
    rows = missing = 0
    write = _json_row if as_json else _csv_row()
    try:
        for point, scored in _scored(file, chosen):
            write(point, scored)
            rows += 1
            missing += isnan(point.value)
            if plot is not None:
                drawn.append((point, scored))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if missing:
        click.echo(f"{missing} of {rows} rows have no finite number: passed through with score 0", err=True)
    if plot is not None:
        _draw(plot, file.name, drawn)


def _detector(name: str, threshold: float | None) -> Detector:
    from app.core.analyze.named import detector

    try:
        return detector(name, threshold)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _scored(file: Path, chosen: Detector) -> Iterator[tuple[Point, Scored]]:
    with opened(file) as text:
        for point in points(text, "standard input" if str(file) == "-" else str(file)):
            yield point, chosen.step(point.time_s, point.value)


def _csv_row() -> Callable[[Point, Scored], None]:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(("timestamp", "value", "score", "alert"))

    def write(point: Point, scored: Scored) -> None:
        rows.writerow((point.time, point.text, f"{scored.score:.6g}", int(scored.alert)))

    return write


def _json_row(point: Point, scored: Scored) -> None:
    value = None if isnan(point.value) else point.value
    write_json_line({"timestamp": point.time, "value": value, "score": scored.score, "alert": scored.alert})


def _draw(plot: Path, title: str, drawn: list[tuple[Point, Scored]]) -> None:
    from app.cli.chart import Series, draw

    shown, scored = zip(*drawn, strict=True) if drawn else ((), ())
    draw(
        plot,
        Series(
            title,
            times=[point.time for point in shown],
            values=[point.value for point in shown],
            scores=[answer.score for answer in scored],
            alerts=[answer.alert for answer in scored],
        ),
    )
