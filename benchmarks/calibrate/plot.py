"""A log-log line plot as SVG, by hand: no plotting library for one kind of picture."""

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 20, 52
COLOURS = ("#1b6ca8", "#c0392b", "#2e7d32", "#8e44ad", "#d98e04", "#455a64")
Point = tuple[float, float]


def log_log(series: dict[str, Sequence[Point]], x_label: str, y_label: str) -> str:
    """Lines through the points of each series, legend on the right; values <= 0 are left out."""
    kept = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in series.items()}
    xs, ys = zip(*(point for points in kept.values() for point in points), strict=True)
    scale = _Scale(xs, ys)
    body = [_axes(scale, x_label, y_label)]
    for i, (name, points) in enumerate(kept.items()):
        body.append(_line(scale, points, COLOURS[i % len(COLOURS)]))
        y = TOP + 14 + 18 * i
        body.append(
            f'<text x="{WIDTH - RIGHT - 8}" y="{y}" text-anchor="end" fill="{COLOURS[i % len(COLOURS)]}">{name}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(body)}</svg>\n'
    )


class _Scale:
    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x0, self.x1 = _decades(xs)
        self.y0, self.y1 = _decades(ys)

    def at(self, x: float, y: float) -> Point:
        across = (math.log10(x) - self.x0) / (self.x1 - self.x0)
        up = (math.log10(y) - self.y0) / (self.y1 - self.y0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _axes(scale: _Scale, x_label: str, y_label: str) -> str:
    parts = []
    for k in range(scale.x0, scale.x1 + 1):
        x, low = scale.at(10.0**k, 10.0**scale.y0)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{low:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{low + 16:.1f}" text-anchor="middle">{10.0**k:g}</text>')
    for k in range(scale.y0, scale.y1 + 1):
        left, y = scale.at(10.0**scale.x0, 10.0**k)
        parts.append(f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**k:g}</text>')
    middle = (HEIGHT - BOTTOM + TOP) / 2
    parts.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{x_label}</text>')
    parts.append(f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{y_label}</text>')
    return "".join(parts)


def _line(scale: _Scale, points: Sequence[Point], colour: str) -> str:
    places = [scale.at(x, y) for x, y in sorted(points)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
