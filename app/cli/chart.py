"""The plot of a series: its values with the alerts above, its scores below. Drawn by hand, so no plotting library.

A plot is a list of marks on a canvas of ``WIDTH`` x ``HEIGHT``: upright strokes, rectangles, words. ``chart_svg`` and
``chart_png`` paint the same marks. A column shows the extremes of all its points, so no spike is lost however long the
series.
"""

from collections.abc import Iterator, Sequence
from math import floor, isfinite
from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 420
LEFT, RIGHT = 70, 990
VALUES = (40, 250)
"""Top and bottom of the upper panel."""
SCORES = (290, 390)
INK, FAINT, BLUE, RED, GREY = "#333333", "#dddddd", "#2b6cb0", "#d62728", "#777777"


class Stroke(NamedTuple):
    """From (x, top) down to (x, bottom), one wide; at least one high."""

    x: int
    top: float
    bottom: float
    colour: str


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    colour: str


class Words(NamedTuple):
    """``text`` with its left, middle or right end at x, its middle at y."""

    x: float
    y: float
    text: str
    colour: str
    anchor: str = "start"


Mark = Stroke | Box | Words


class Series(NamedTuple):
    """One entry a row: timestamps as written, values (nan where there is none), scores, and whether it alerts."""

    title: str
    times: Sequence[str]
    values: Sequence[float]
    scores: Sequence[float]
    alerts: Sequence[bool]


def draw(file: Path, series: Series) -> None:
    """Write the plot of ``series`` to ``file``: PNG when its name ends so, else SVG."""
    drawn = marks(series)
    if file.suffix.lower() == ".png":
        from app.cli.chart_png import png

        file.write_bytes(png(drawn, WIDTH, HEIGHT))
    else:
        from app.cli.chart_svg import svg

        file.write_text(svg(drawn, WIDTH, HEIGHT), encoding="utf-8")


def marks(series: Series) -> list[Mark]:
    """Everything on the plot, what is behind first."""
    return [
        Box(0, 0, WIDTH, HEIGHT, "#ffffff"),
        *_frame(series),
        *_alerts(series.alerts),
        *_panel(series.values, VALUES, _range(series.values), BLUE),
        *_panel(series.scores, SCORES, _range([0.0, *series.scores]), INK),
    ]


def _frame(series: Series) -> Iterator[Mark]:
    found = sum(map(bool, series.alerts))
    yield Words(LEFT, 22, f"{series.title}: {len(series.values)} points, {found} alert{'s' * (found != 1)}", INK)
    for (top, bottom), shown in ((VALUES, series.values), (SCORES, [0.0, *series.scores])):
        low, high = _range(shown)
        yield Box(LEFT, top, RIGHT - LEFT, 1, FAINT)
        yield Box(LEFT, bottom, RIGHT - LEFT, 1, FAINT)
        yield Words(LEFT - 6, top, f"{high:.4g}", GREY, "end")
        yield Words(LEFT - 6, bottom, f"{low:.4g}", GREY, "end")
    yield Words(LEFT - 6, sum(VALUES) / 2, "value", GREY, "end")
    yield Words(LEFT - 6, sum(SCORES) / 2, "score", GREY, "end")
    if series.times:
        yield Words(LEFT, HEIGHT - 14, series.times[0], GREY)
        yield Words(RIGHT, HEIGHT - 14, series.times[-1], GREY, "end")


def _alerts(alerts: Sequence[bool]) -> Iterator[Mark]:
    for x in sorted({round(_x(i, len(alerts))) for i, alert in enumerate(alerts) if alert}):
        yield Stroke(x, VALUES[0], SCORES[1], "#f4b6b6")
        yield Box(x - 2, VALUES[0] - 6, 5, 5, RED)


def _panel(values: Sequence[float], panel: tuple[int, int], shown: tuple[float, float], colour: str) -> Iterator[Mark]:
    top, bottom = panel
    low, high = shown
    spans: dict[int, tuple[float, float]] = {}
    before: tuple[float, float] | None = None
    for i, value in enumerate(values):
        if not isfinite(value):
            before = None
            continue
        share = (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)  # halves: the difference may not overflow
        here = (_x(i, len(values)), bottom - share * (bottom - top))
        for x, y in _path(before or here, here):
            least, most = spans.get(x, (y, y))
            spans[x] = (min(least, y), max(most, y))
        before = here
    for x, (least, most) in spans.items():
        yield Stroke(x, least, most, colour)


def _path(start: tuple[float, float], end: tuple[float, float]) -> Iterator[tuple[int, float]]:
    """Where the line from ``start`` to ``end`` meets the columns: both ends, and every border between two columns."""
    (x0, y0), (x1, y1) = start, end
    yield floor(x0), y0
    for border in range(floor(x0) + 1, floor(x1) + 1):
        y = y0 + (y1 - y0) * (border - x0) / (x1 - x0)
        yield border - 1, y
        yield border, y
    yield floor(x1), y1


def _x(i: int, n: int) -> float:
    return LEFT + (RIGHT - LEFT - 1) * i / max(n - 1, 1)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest finite value, made apart when they are equal."""
    finite = [value for value in values if isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low / 2.0 < high / 2.0:
        return low, high
    around = abs(low) * 0.1 or 1.0
    return low - around, high + around
