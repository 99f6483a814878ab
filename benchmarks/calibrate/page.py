"""The page of evidence: one section a table, so that some tables can be measured again without the others."""

import re
from collections.abc import Iterable

from benchmarks.calibrate.report import Table, markdown

INTRODUCTION = """# Calibration

What every rule of the statistics core does when nothing happens, and how soon it speaks when something does. Made by
`make calibrate` from the code as it is; do not edit. A goal stands beside each number that
has one: ✓ reached, ✗ missed. A mark says what these replicates showed: with fewer than the standard number (it stands
under each table) a number near its goal may fall on either side. `python -m benchmarks.calibrate --only NAME` measures
one section again.
"""
_MARK = "<!-- section: {} -->"
_SECTION = re.compile(r"<!-- section: ([\w-]+) -->\n(.*?)(?=<!-- section: |\Z)", re.DOTALL)


def section(table: Table, times: float, cpu_s: float) -> str:
    """The table, and what it took."""
    return f"{markdown(table)}\n*{times:g} x the standard replicates, {cpu_s:.0f} s of processor time.*\n"


def page(before: str, measured: dict[str, str], order: Iterable[str]) -> str:
    """The page ``before`` with the sections of ``measured`` new, in ``order``; what is not in ``order`` goes."""
    known = {name: text.strip() + "\n" for name, text in _SECTION.findall(before)} | measured
    kept = [(name, known[name]) for name in order if name in known]
    missed = [one for _, text in kept for one in misses(text)]
    said = "## Goals missed\n\n" + ("\n".join(f"- {one}" for one in missed) or "None.") + "\n"
    return "\n".join([INTRODUCTION, said, *(f"{_MARK.format(name)}\n{text}" for name, text in kept)])


def misses(text: str) -> list[str]:
    """Every number of a section's table that misses its goal, with its row and column."""
    title = next((line[3:] for line in text.splitlines() if line.startswith("## ")), "")
    rows = [_cells(line) for line in text.splitlines() if line.startswith("| ")]
    return [
        f"{title}: {row[0]}, {column}: {cell}"
        for row in rows[2:]
        for column, cell in zip(rows[0], row, strict=True)
        if "✗" in cell
    ]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
