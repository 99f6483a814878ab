"""What an arm would give, from requests it already got beside the incumbent: the estimate that precedes its trial.

Within one minute, version and segment every request had the same chance of each arm (``propensity``), so the
self-normalised inverse-propensity mean of an arm there is the plain mean of its answers (Hajek, 1971). Strata are added
up by their requests: Z = sum n_s (m_a - m_i), with i the incumbent. For cost, m is moved to the stratum's mean of input
tokens along the regression of earlier minutes, which makes the difference doubly robust (Robins, Rotnitzky, Zhao,
1994): right when either the propensities or the regression are. Variances are pooled within strata; intervals are
normal, 95 %, valid for this one look. Requests of a session are alike: the incumbent's residuals, summed by session
group, say how many times their variance is that of independent requests (Kish, Survey Sampling, 1965), and intervals
are as much wider. It says what to expect; only the trial judges.

Half-life one day of panes. Units: USD (cost, a ratio in the end), log ms (latency, a ratio in the end), 0-1 (quality,
errors). The state begins anew with another incumbent.
"""

import math
from collections.abc import Collection, Iterator, Mapping

import msgspec

from app.core.cell import SESSION_GROUPS, Cell, CellKey, sum_of
from app.core.decision import Impact
from app.core.profile import DECAY
from app.core.propensity import Shares
from app.core.stats.clustered import FEWEST

Z95 = 1.959964
LEAST = 20.0
"""Observations an arm needs beside the incumbent before anything is estimated."""
METRICS = ("cost", "latency", "quality", "errors")


class Strata(msgspec.Struct, frozen=True, array_like=True):
    """Decayed sums over strata of one metric.

    ``weight`` = sum n_s, ``z`` = sum n_s (m_a - m_i), ``level`` = sum n_s m_i, ``spread`` = sum n_s^2 / n of the arm
    and of the incumbent, ``within``: squares around stratum means with their degrees of freedom ``df``, ``n``:
    observations of the arm.
    """

    weight: float = 0.0
    z: float = 0.0
    level: float = 0.0
    spread: tuple[float, float] = (0.0, 0.0)
    within: tuple[float, float] = (0.0, 0.0)
    df: tuple[float, float] = (0.0, 0.0)
    n: float = 0.0


class OffPolicy(msgspec.Struct, frozen=True, array_like=True):
    """Strata by arm, in the order of ``METRICS``, against ``incumbent``; ``regressed``: arms with a line of cost.

    By metric, of the incumbent's requests that belong to sessions: ``sessions``, sums of residuals by session group,
    and ``squares``, what those sums would vary by if the requests were independent. Both empty without sessions.
    """

    incumbent: str = ""
    arms: dict[str, tuple[Strata, ...]] = {}
    regressed: tuple[str, ...] = ()
    sessions: tuple[tuple[float, ...], ...] = ()
    squares: tuple[float, ...] = ()


class _Mean(msgspec.Struct, frozen=True):
    """A mean in a stratum: of ``n`` observations, with their squares around it."""

    n: float
    mean: float
    within: float


def learned(
    state: OffPolicy,
    incumbent: str,
    cells: Mapping[CellKey, Cell],
    versions: Mapping[int, Shares],
    slopes: Mapping[str, float],
    channel: str,
    declared: Collection[str],
) -> OffPolicy:
    """``state`` a pane older. ``versions``: propensities by version; ``slopes``: USD by input token in the minutes
    before; ``declared``: arms that may be kept.
    """
    same = state.incumbent == incumbent
    kept = state.arms if same else {}
    arms = {arm: tuple(_older(strata) for strata in all_) for arm, all_ in kept.items() if arm in declared}
    residuals: list[_Residuals] = []
    for (version, segment), stratum in _strata(cells):
        shares, base = versions.get(version), stratum.get(incumbent)
        if shares is None or base is None or shares.probability(segment, incumbent) <= 0:
            continue
        requests = float(sum(one.n for one in stratum.values()))
        tokens = sum(one.input_tokens for one in stratum.values()) / requests
        theirs = _means(base, slopes.get(incumbent, 0.0), tokens, channel)
        if base.groups:
            found = _residuals(base, theirs, slopes.get(incumbent, 0.0), tokens, channel)
            residuals.append(found)
        for arm, cell in stratum.items():
            if arm != incumbent and arm in declared and shares.probability(segment, arm) > 0:
                known = arms.get(arm, (Strata(),) * len(METRICS))
                mine = _means(cell, slopes.get(arm, 0.0), tokens, channel)
                arms[arm] = tuple(_with(s, requests, m, i) for s, m, i in zip(known, mine, theirs, strict=True))
    regressed = tuple(arm for arm in sorted(arms) if arm in slopes and incumbent in slopes)
    sessions, squares = _clustered((state.sessions, state.squares) if same else ((), ()), residuals)
    return OffPolicy(incumbent, arms, regressed, sessions, squares)


def estimates(state: OffPolicy, arm: str) -> dict[str, Impact]:
    """Arm less incumbent with 95 % intervals, where there is enough: points, or ratios for latency and cost."""
    found: dict[str, Impact] = {}
    for k, (metric, strata) in enumerate(zip(METRICS, state.arms.get(arm, ()), strict=False)):
        effect = session_effect(state, k)
        if strata.n < LEAST * effect or min(strata.df) < LEAST / 2 or strata.weight <= 0:
            continue
        moved = strata.z / strata.weight
        square = sum(w / df * s for w, df, s in zip(strata.within, strata.df, strata.spread, strict=True))
        width = Z95 * math.sqrt(effect * square) / strata.weight
        shown = _shown(metric, moved, width, strata.level / strata.weight)
        if shown is not None:
            found[metric] = msgspec.structs.replace(shown, n=int(strata.n))
    return found


def session_effect(state: OffPolicy, metric: int) -> float:
    """Requests that tell as much as one independent one of this metric (its place in ``METRICS``), at least 1; infinite
    while fewer than ``FEWEST`` session groups were seen. 1 without sessions.
    """
    if not state.sessions or state.squares[metric] <= 0.0:
        return 1.0
    seen = [z for z in state.sessions[metric] if z]
    if len(seen) < FEWEST:
        return math.inf
    return max(1.0, sum(z * z for z in seen) * len(seen) / (len(seen) - 1) / state.squares[metric])


def _shown(metric: str, moved: float, width: float, level: float) -> Impact | None:
    ends = (moved, moved - width, moved + width)
    if metric == "latency":
        ends = (math.expm1(min(50.0, ends[0])), math.expm1(min(50.0, ends[1])), math.expm1(min(50.0, ends[2])))
    elif metric == "cost":
        if level <= 0:
            return None
        ends = (ends[0] / level, ends[1] / level, ends[2] / level)
    return Impact(estimate=ends[0], low=ends[1], high=ends[2])


# ---- adding ----
def _strata(cells: Mapping[CellKey, Cell]) -> Iterator[tuple[tuple[int, str], dict[str, Cell]]]:
    """Cells of each (version, segment) by arm, slices together; shadowed requests were not drawn."""
    strata: dict[tuple[int, str], dict[str, list[Cell]]] = {}
    for key, cell in sorted(cells.items()):
        if key.slice != "shadow" and cell.n:
            strata.setdefault((key.version, key.segment), {}).setdefault(key.arm, []).append(cell)
    for where, arms in strata.items():
        if len(arms) > 1:
            yield where, {arm: sum_of(parts) for arm, parts in arms.items()}


def _means(cell: Cell, slope: float, tokens: float, channel: str) -> tuple[_Mean | None, ...]:
    """Means of a cell in the order of ``METRICS``; cost as it would be at the stratum's mean of input tokens."""
    score = cell.quality.get(channel)
    return (
        _cost(cell, slope, tokens) if cell.cost_n == cell.n else None,
        _mean(cell.n, cell.log_latency, cell.log_latency_sq),
        _mean(score.n, score.total, score.squares) if score is not None else None,
        _mean(cell.n, cell.errors, cell.errors),
    )


def _cost(cell: Cell, slope: float, tokens: float) -> _Mean | None:
    """Mean of y - b (x - tokens): sums of y - b x, then moved."""
    total = cell.cost_usd - slope * cell.input_tokens
    squares = cell.cost_sq - 2 * slope * cell.input_cost + slope * slope * cell.input_tokens_sq
    found = _mean(cell.n, total, squares)
    return None if found is None else msgspec.structs.replace(found, mean=found.mean + slope * tokens)


def _mean(n: float, total: float, squares: float) -> _Mean | None:
    return _Mean(float(n), total / n, max(0.0, squares - total * total / n)) if n else None


_Residuals = tuple[list[dict[int, float]], list[float]]
"""By metric: sums by session group, and what they would vary by if the requests were independent."""


def _residuals(cell: Cell, means: tuple[_Mean | None, ...], slope: float, tokens: float, channel: str) -> _Residuals:
    """Sums by session group of what the answers of a cell differ by from its means."""
    sums: list[dict[int, float]] = [{}, {}, {}, {}]
    inside = [0.0, 0.0, 0.0, 0.0]
    judged = channel == "judge"
    for group, own in cell.groups.items():
        cost = own.cost - slope * (own.input_tokens - own.n * tokens)
        of_group = (
            (own.n, cost),
            (own.n, own.log_latency),
            (own.scores if judged else 0, own.quality),
            (own.n, own.errors),
        )
        for k, ((n, total), mean) in enumerate(zip(of_group, means, strict=True)):
            if mean is not None and n:
                sums[k][group] = total - n * mean.mean
                inside[k] += n
    within = [0.0 if m is None else m.within * min(1.0, n / m.n) for m, n in zip(means, inside, strict=True)]
    return sums, within


def _clustered(
    before: tuple[tuple[tuple[float, ...], ...], tuple[float, ...]], found: list[_Residuals]
) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """The sums of the panes before, a pane older, with those of this one."""
    sessions, squares = before
    if not sessions and not found:
        return (), ()
    sums = [[DECAY * z for z in metric] for metric in sessions or ((0.0,) * SESSION_GROUPS,) * len(METRICS)]
    variances = [DECAY * DECAY * v for v in squares or (0.0,) * len(METRICS)]
    for groups, within in found:
        for k, of_metric in enumerate(groups):
            variances[k] += within[k]
            for group, z in of_metric.items():
                sums[k][group % SESSION_GROUPS] += z
    return tuple(map(tuple, sums)), tuple(variances)


def _with(strata: Strata, requests: float, mine: _Mean | None, theirs: _Mean | None) -> Strata:
    if mine is None or theirs is None:
        return strata
    spread, within, df, squared = strata.spread, strata.within, strata.df, requests * requests
    return Strata(
        strata.weight + requests,
        strata.z + requests * (mine.mean - theirs.mean),
        strata.level + requests * theirs.mean,
        (spread[0] + squared / mine.n, spread[1] + squared / theirs.n),
        (within[0] + mine.within, within[1] + theirs.within),
        (df[0] + mine.n - 1, df[1] + theirs.n - 1),
        strata.n + mine.n,
    )


def _older(strata: Strata) -> Strata:
    """A pane later: sums lose weight once, what stands for a variance of them twice."""
    fade = DECAY
    return Strata(
        weight=fade * strata.weight,
        z=fade * strata.z,
        level=fade * strata.level,
        spread=(fade * fade * strata.spread[0], fade * fade * strata.spread[1]),
        within=(fade * strata.within[0], fade * strata.within[1]),
        df=(fade * strata.df[0], fade * strata.df[1]),
        n=fade * strata.n,
    )
