"""The side-by-side figures as one SVG: a bar per engine, microseconds of CPU an event, on a logarithmic axis."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, ROW, LEFT, RIGHT, TOP = 760, 34, 210, 110, 56
LIGHT, OURS, TEXT = "#9aa7b4", "#1f77b4", "#222222"


def bars(title: str, rows: Sequence[tuple[str, float, float, float, bool]]) -> str:
    """``rows``: label, median, smallest, largest, whether it is ours."""
    height = TOP + ROW * len(rows) + 34
    least = 10 ** math.floor(math.log10(min(low for _, _, low, _, _ in rows)))
    most = 10 ** math.ceil(math.log10(max(high for _, _, _, high, _ in rows)))

    def x(value: float) -> float:
        share = (math.log10(value) - math.log10(least)) / (math.log10(most) - math.log10(least))
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f'<title>{escape(title)}</title><g font-family="sans-serif" font-size="13" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>',
    ]
    for power in range(round(math.log10(least)), round(math.log10(most)) + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - 26}" stroke="#e3e3e3"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - 10}" text-anchor="middle">{10.0**power:g}</text>')
    for number, (label, median, low, high, ours) in enumerate(rows):
        y = TOP + ROW * number
        colour, width = OURS if ours else LIGHT, x(median) - LEFT
        parts.append(f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y + 3}" width="{width:.1f}" height="20" fill="{colour}"/>')
        parts.append(f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y + 13}" y2="{y + 13}" stroke="{TEXT}"/>')
        parts.append(f'<text x="{x(high) + 8:.1f}" y="{y + 17}">{median:.3g}</text>')
    return "\n".join([*parts, "</g></svg>", ""])
