"""A routing table: what every arm answered to every request, or, in a log, what the arm that was called answered.

Columns: ``q_<arm>`` quality 0-1 (empty: not called), ``cost_<arm>`` USD, optional ``latency_ms_<arm>``, ``segment``,
``prompt``, ``in_tokens`` and ``propensity`` (of the one arm called; it is estimated where there is none).
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.core.stats.reward import Objective

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MAX_ARMS = 100
MAX_SEGMENTS = 1000
DEAREST_QUANTILE = 0.99
QUALITY, COST, LATENCY = "q_", "cost_", "latency_ms_"


class TableError(ValueError):
    """A table cannot be read. The message says where, and what is expected there."""


class Table(msgspec.Struct, frozen=True):
    """Requests x arms: ``quality``, ``cost`` in USD, ``latency`` in ms (None: no such columns); nan where not called.

    ``segment``: index into ``segments`` by request; ``prompts`` and ``in_tokens`` by request or None; ``propensity`` of
    the arm called, by request, or None.
    """

    arms: tuple[str, ...]
    quality: Floats
    cost: Floats
    latency: Floats | None
    segment: Ints
    segments: tuple[str, ...]
    prompts: tuple[str, ...] | None = None
    in_tokens: Floats | None = None
    propensity: Floats | None = None

    @property
    def requests(self) -> int:
        return len(self.quality)

    @property
    def called(self) -> NDArray[np.bool_]:
        """Requests x arms."""
        return ~np.isnan(self.quality)

    @property
    def logged(self) -> bool:
        """Whether some arm was not called for some request."""
        return bool(np.isnan(self.quality).any())


def read(header: Sequence[str], rows: Iterable[tuple[str, Mapping[str, str | None]]]) -> Table:
    """The table of ``rows``: pairs of a place for messages ("line 7") and a row by column name. ``TableError`` else."""
    names = {name.strip() for name in header}
    arms = tuple(name.strip().removeprefix(QUALITY) for name in header if name.strip().startswith(QUALITY))
    timed = _checked(names, arms)
    cells: dict[str, list[list[float]]] = {QUALITY: [], COST: [], LATENCY: []}
    words: dict[str, list[str]] = {"segment": [], "prompt": [], "in_tokens": [], "propensity": []}
    for place, row in rows:
        _no_more(row, place)
        answers = [_answer(row, arm, place, timed=timed) for arm in arms]
        if all(math.isnan(answer[0]) for answer in answers):
            raise TableError(f"{place}: no arm was called; fill one pair of q_<arm> and cost_<arm>, or drop the row")
        for kind, column in zip(cells, zip(*answers, strict=True), strict=True):
            cells[kind].append(list(column))
        for name, found in words.items():
            found.append(_word(row, name, place, names))
    if not cells[QUALITY]:
        raise TableError("the table has no rows: it needs one per request")
    return _table(arms, names, {kind: np.array(found) for kind, found in cells.items()}, words)


def objective_of(table: Table, cost_max_usd: float | None = None, latency_max_ms: float | None = None) -> Objective:
    """Weights .6 quality, .3 cost, .1 latency; .6/.9 and .3/.9 without latency (STATISTICS 3).

    A maximum that is not given is the 99th percentile of the arm that is dearest (slowest) at that percentile: the
    largest sensible cost of one request, which one runaway answer does not move.
    """
    cost_max = cost_max_usd or _dearest(table.cost)
    if table.latency is None:
        return Objective(0.6 / 0.9, 0.3 / 0.9, 0.0, cost_max)
    return Objective(0.6, 0.3, 0.1, cost_max, latency_max_ms or _dearest(table.latency))


def rewards(table: Table, objective: Objective) -> Floats:
    """Reward of every request and arm, requests x arms. Its mean is the composite of the means: it is linear."""
    reward = objective.quality * table.quality + objective.cost * (1.0 - table.cost / objective.cost_max_usd)
    if table.latency is None:
        return np.asarray(reward + objective.latency)
    return np.asarray(reward + objective.latency * (1.0 - table.latency / objective.latency_max_ms))


def _dearest(values: Floats) -> float:
    return float(np.nanmax(np.nanquantile(values, DEAREST_QUANTILE, axis=0))) or 1.0


def _checked(names: set[str], arms: tuple[str, ...]) -> bool:
    """Whether there are latencies. ``TableError`` when columns are missing or doubled."""
    if not arms:
        raise TableError("line 1: no column q_<arm>; each arm needs q_<arm> (0-1, empty = not called) and cost_<arm>")
    if len(set(arms)) < len(arms) or len(arms) > MAX_ARMS or "" in arms:
        raise TableError(f"line 1: q_<arm> must name each arm once, at most {MAX_ARMS} of them")
    timed = [arm for arm in arms if LATENCY + arm in names]
    wanted = [COST + arm for arm in arms] + [LATENCY + arm for arm in arms if timed]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise TableError(f"line 1: the column {missing[0]} is missing")
    return bool(timed)


def _answer(row: Mapping[str, str | None], arm: str, place: str, *, timed: bool) -> tuple[float, float, float]:
    if not (row.get(QUALITY + arm) or "").strip():
        return math.nan, math.nan, math.nan
    latency = _number(row, LATENCY + arm, place, 0.0, 1e9) if timed else 0.0
    return _number(row, QUALITY + arm, place, 0.0, 1.0), _number(row, COST + arm, place, 0.0, 1e6), latency


def _number(row: Mapping[str, str | None], name: str, place: str, low: float, high: float) -> float:
    text = (row.get(name) or "").strip()
    if not text and name == "propensity":
        raise TableError(f"{place}, propensity: empty; every request needs one, or leave the column out")
    if not text and name != "in_tokens" and not name.startswith(QUALITY):
        raise TableError(f"{place}, {name}: empty, though the arm was called")
    try:
        value = float(text or low)
    except ValueError:
        raise TableError(f"{place}, {name}: {text!r:.80} is no number") from None
    if not low <= value <= high:
        raise TableError(f"{place}, {name}: {text} is not between {low:g} and {high:g}")
    return value


def _table(arms: tuple[str, ...], names: set[str], cells: dict[str, Floats], words: dict[str, list[str]]) -> Table:
    labels = [label.strip() or "*" for label in words["segment"]]
    segments = tuple(sorted(set(labels)))
    if len(segments) > MAX_SEGMENTS:
        raise TableError(f"column segment: {len(segments)} different values, at most {MAX_SEGMENTS} can be compared")
    index = {segment: i for i, segment in enumerate(segments)}
    table = Table(
        arms=arms,
        quality=cells[QUALITY],
        cost=cells[COST],
        latency=cells[LATENCY] if LATENCY + arms[0] in names else None,
        segment=np.array([index[label] for label in labels]),
        segments=segments,
        prompts=tuple(words["prompt"]) if "prompt" in names else None,
        in_tokens=np.array([float(n) for n in words["in_tokens"]]) if "in_tokens" in names else None,
        propensity=np.array([float(p) for p in words["propensity"]]) if "propensity" in names else None,
    )
    never = [arm for arm, calls in zip(arms, table.called.sum(axis=0), strict=True) if not calls]
    if never:
        raise TableError(f"column q_{never[0]}: the arm was never called; drop its columns")
    return table


def _word(row: Mapping[str, str | None], name: str, place: str, names: set[str]) -> str:
    """An optional column of a row; numbers are checked, as text that can be read again."""
    if name == "in_tokens":
        return str(_number(row, name, place, 0.0, 1e9))
    if name == "propensity" and name in names:
        return repr(_number(row, name, place, 1e-6, 1.0))
    return row.get(name) or ""


def _no_more(row: Mapping[str, str | None], place: str) -> None:
    """A row with more values than there are columns has slipped: every value after it would be read wrong."""
    more: object = row.get(None)  # type: ignore[call-overload]  # the csv module's key of what is over
    if isinstance(more, list) and any(str(value).strip() for value in more):
        raise TableError(f"{place}: {len(more)} values more than the header has columns; is a comma not quoted?")


def unread(header: Sequence[str]) -> list[str]:
    """Columns that look like an arm's but belong to none: a ``cost_`` or ``latency_ms_`` without its ``q_``."""
    names = [name.strip() for name in header]
    arms = {name.removeprefix(QUALITY) for name in names if name.startswith(QUALITY)}
    parts = ((name, kind) for name in names for kind in (COST, LATENCY) if name.startswith(kind))
    return [name for name, kind in parts if name.removeprefix(kind) not in arms]
