"""Paints the marks of a plot as SVG."""

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from app.cli.chart import Box, Mark, Stroke, Words


def svg(marks: Sequence[Mark], width: int, height: int) -> str:
    """A whole SVG document. Neighbouring strokes of one colour are one path."""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">']
    for (kind, colour), group in groupby(marks, key=lambda mark: (type(mark), mark.colour)):
        if kind is Stroke:
            path = "".join(_stroke(mark) for mark in group if isinstance(mark, Stroke))
            lines.append(f'<path stroke="{colour}" d="{path}"/>')
        else:
            lines.extend(_shape(mark) for mark in group)
    return "\n".join([*lines, "</svg>", ""])


def _stroke(mark: Stroke) -> str:
    bottom = max(mark.bottom, mark.top + 1.0)
    return f"M{mark.x + 0.5:.1f} {mark.top:.1f}V{bottom:.1f}"


def _shape(mark: Mark) -> str:
    if isinstance(mark, Box):
        return f'<rect x="{mark.x}" y="{mark.y}" width="{mark.width}" height="{mark.height}" fill="{mark.colour}"/>'
    assert isinstance(mark, Words)  # noqa: S101  # strokes are painted above
    place = f'x="{mark.x}" y="{mark.y}" dominant-baseline="middle" text-anchor="{mark.anchor}"'
    return f'<text {place} fill="{mark.colour}">{escape(_printable(mark.text))}</text>'


def _printable(text: str) -> str:
    """Control characters are not allowed in XML."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
