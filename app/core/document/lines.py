"""On which line of a TOML text a key stands. A scan, not a parser: inline tables count as their first line."""

import re

from app.core.document.errors import Path

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")


def line_of(text: str, path: Path) -> int | None:
    """1-based line of the longest prefix of ``path`` that is written in ``text``; None when nothing of it is."""
    index = _index(text)
    for length in range(len(path), 0, -1):
        line = index.get(path[:length])
        if line is not None:
            return line
    return None


def _index(text: str) -> dict[Path, int]:
    """First line of every path that is opened by a header or a key."""
    index: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _resolve(_names(header[2]), counts, opens=header[1] == "[[")
            index.setdefault(table, number)
        elif key := _KEY.match(line):
            index.setdefault(table + _names(key[1]), number)
    return index


def _names(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _resolve(names: Path, counts: dict[Path, int], *, opens: bool) -> Path:
    """``names`` with the index of the newest element after each array of tables; ``opens`` begins a new element."""
    path: Path = ()
    for position, name in enumerate(names):
        path = (*path, name)
        if opens and position == len(names) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
