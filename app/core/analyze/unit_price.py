"""What the same tokens cost: a line through panes, cost = a input + b output tokens, and how far a pane is off it.

Prices are exact, so a change of price shows in the first pane; what scatters (cached tokens, mixed models) widens the
line by what was seen so far. Panes are means of requests, weighted by their number, with a memory of about 500 panes.
"""

import math

import msgspec

from app.core.cell import Cell

READY_PANES = 15
READY_N = 200
MEMORY = 0.998
FLOOR = 0.005
"""The line is known to this share of the cost at best."""
RIDGE = 1e-9


class Line(msgspec.Struct, frozen=True, array_like=True):
    """Weighted moments of (input a, output b, cost c) per request, in tokens and USD."""

    panes: float = 0.0
    n: float = 0.0
    aa: float = 0.0
    ab: float = 0.0
    bb: float = 0.0
    ac: float = 0.0
    bc: float = 0.0
    off: float = 0.0

    @property
    def ready(self) -> bool:
        """Whether a pane can be held against it."""
        return self.panes >= READY_PANES and self.n >= READY_N


class Off(msgspec.Struct, frozen=True):
    """``ratio`` of a pane's cost to the line, and ``z``: by how many standard errors it is off."""

    ratio: float
    z: float


def off(line: Line, cell: Cell) -> Off | None:
    """How far a pane is off, or None while nothing can be said."""
    expected = _expected(line, cell)
    if expected is None or expected <= 0 or not line.ready:
        return None
    gap = cell.cost_usd - expected
    error = math.sqrt(line.off / max(1.0, line.panes - 2.0) * cell.n) + FLOOR * expected
    return Off(cell.cost_usd / expected, gap / error)


def learned(line: Line, cell: Cell) -> Line:
    """Add a pane that is not off the line."""
    if not cell.n or cell.cost_n != cell.n:
        return line
    a, b, c, n = cell.input_tokens / cell.n, cell.output_tokens / cell.n, cell.cost_usd / cell.n, float(cell.n)
    expected = _expected(line, cell) if line.panes >= 3 else None
    gap = 0.0 if expected is None else (cell.cost_usd - expected) / n
    return Line(
        MEMORY * line.panes + 1.0,
        MEMORY * line.n + n,
        MEMORY * line.aa + n * a * a,
        MEMORY * line.ab + n * a * b,
        MEMORY * line.bb + n * b * b,
        MEMORY * line.ac + n * a * c,
        MEMORY * line.bc + n * b * c,
        MEMORY * line.off + n * gap * gap,
    )


def _expected(line: Line, cell: Cell) -> float | None:
    """USD the line expects of a pane's tokens."""
    if not cell.n or cell.cost_n != cell.n or line.aa + line.bb <= 0:
        return None
    aa, bb = line.aa * (1 + RIDGE) + RIDGE, line.bb * (1 + RIDGE) + RIDGE
    determinant = aa * bb - line.ab * line.ab
    if determinant <= 0:
        return None
    per_input = (line.ac * bb - line.bc * line.ab) / determinant
    per_output = (line.bc * aa - line.ac * line.ab) / determinant
    return per_input * cell.input_tokens + per_output * cell.output_tokens
