"""Plots of a back-test: how far policies fall behind over time, or, of a log, their estimates with intervals."""

from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from app.cli.chart import FAINT, GREY, HEIGHT, INK, LEFT, WIDTH, Box, Mark, Stroke, Words

TOP, BOTTOM, RIGHT = 50, 380, 830
COLOURS = (
    "#2b6cb0", "#d62728", "#2f855a", "#b7791f", "#6b46c1", "#0987a0", "#b83280", "#4a5568", "#9c4221", "#718096",
)  # fmt: skip


class Curve(NamedTuple):
    """One value per request."""

    name: str
    values: Sequence[float]


class Span(NamedTuple):
    name: str
    value: float
    low: float
    high: float


def draw_curves(file: Path, title: str, curves: Sequence[Curve]) -> None:
    """Write the curves to ``file`` (PNG when its name ends so, else SVG), all on one scale."""
    _write(file, [Box(0, 0, WIDTH, HEIGHT, "#ffffff"), Words(LEFT, 22, title, INK), *_curves(curves)])


def draw_spans(file: Path, title: str, spans: Sequence[Span]) -> None:
    """Write one interval a line to ``file``; what has no finite interval is left out."""
    shown = [span for span in spans if isfinite(span.low) and isfinite(span.high)]
    _write(file, [Box(0, 0, WIDTH, HEIGHT, "#ffffff"), Words(LEFT, 22, title, INK), *_spans(shown)])


def _curves(curves: Sequence[Curve]) -> Iterator[Mark]:
    low = min(0.0, *(min(curve.values, default=0.0) for curve in curves))
    high = max(low + 1e-9, *(max(curve.values, default=0.0) for curve in curves))
    for level in (low, 0.0, high) if low < -0.04 * (high - low) else (0.0, high):
        yield Box(LEFT, _y(level, low, high), RIGHT - LEFT, 1, FAINT)
        yield Words(LEFT - 6, _y(level, low, high), f"{level:.4g}", GREY, "end")
    yield Words(RIGHT, HEIGHT - 20, f"{len(curves[0].values)} requests", GREY, "end")
    for i, curve in enumerate(curves):
        yield from _line([_y(value, low, high) for value in curve.values], COLOURS[i % len(COLOURS)])
        yield Words(RIGHT + 12, TOP + 20 * i, curve.name, COLOURS[i % len(COLOURS)])


def _line(heights: Sequence[float], colour: str) -> Iterator[Mark]:
    """One upright stroke a column, from where the line enters it to where it leaves."""
    n, width = len(heights), RIGHT - LEFT
    for x in range(width):
        first, last = x * n // width, max(x * n // width + 1, (x + 1) * n // width)
        inside = heights[first : last + 1]
        yield Stroke(LEFT + x, min(inside), max(inside) + 1.0, colour)


def _spans(spans: Sequence[Span]) -> Iterator[Mark]:
    low = min((span.low for span in spans), default=0.0)
    high = max((span.high for span in spans), default=1.0)
    scale = (RIGHT - 2 * LEFT) / max(high - low, 1e-9)
    for i, span in enumerate(spans):
        y, colour = TOP + 30 * i, COLOURS[i % len(COLOURS)]
        yield Words(2 * LEFT - 8, y, span.name, colour, "end")
        yield Box(2 * LEFT + scale * (span.low - low), y - 1, max(1.0, scale * (span.high - span.low)), 2, colour)
        yield Box(2 * LEFT + scale * (span.value - low) - 3, y - 4, 7, 8, colour)
        yield Words(RIGHT + 12, y, f"{span.value:.4f}", colour)
    yield Words(2 * LEFT, HEIGHT - 20, f"{low:.4f}", GREY)
    yield Words(RIGHT, HEIGHT - 20, f"{high:.4f}", GREY, "end")


def _y(value: float, low: float, high: float) -> float:
    return BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP)


def _write(file: Path, marks: Sequence[Mark]) -> None:
    if file.suffix.lower() == ".png":
        from app.cli.chart_png import png

        file.write_bytes(png(marks, WIDTH, HEIGHT))
    else:
        from app.cli.chart_svg import svg

        file.write_text(svg(marks, WIDTH, HEIGHT), encoding="utf-8")
