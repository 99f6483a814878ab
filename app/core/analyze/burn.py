"""How fast the error budget of an objective burns, over five minutes and over an hour (multi-window, multi-burn-rate).

burn = share of bad answers / share allowed. Both windows above 14.4 (a month's budget gone in two days): critical; both
above 6 (five days): high. The short window ends the alarm soon, the long one keeps a blip from making one (Beyer and
others, The Site Reliability Workbook, 2018, chapter 5).
"""

import msgspec

from app.core.analyze.finding import Family, Note, Signal
from app.core.analyze.flag import Flag, raised
from app.core.analyze.performance import beyond
from app.core.analyze.scope import Scope
from app.core.analyze.series import Excursion
from app.core.analyze.wording import BURN_FAST, BURN_OK, Metric
from app.core.cell import Summary
from app.core.sketch import bucket

SHORT, LONG = 5, 60
LEAST_N = 100
"""Answers in the long window before it counts."""
FAST, SLOW = 14.4, 6.0


class Burn(msgspec.Struct, frozen=True, array_like=True):
    """``panes``: (answers, failed, slow) of the last hour of panes, newest last."""

    panes: tuple[tuple[int, int, int], ...] = ()
    failed: Flag = Flag()
    slow: Flag = Flag()


def step(state: Burn, scope: Scope, total: Summary) -> tuple[Burn, list[Note]]:
    """Add a closed complete pane of a service."""
    ok_share, fast_share, limit_ms = objectives(scope)
    if ok_share is None and fast_share is None:
        return state, []
    slow = beyond(total.histogram, bucket(limit_ms)) if limit_ms is not None else 0
    panes = (*state.panes, (total.cell.n, total.cell.errors, slow))[-LONG:]
    failed_flag, notes = _burnt(state.failed, scope, panes, 1, ok_share, "errors", BURN_OK)
    slow_flag, said = _burnt(state.slow, scope, panes, 2, fast_share, "latency", BURN_FAST)
    return Burn(panes, failed_flag, slow_flag), notes + said


def objectives(scope: Scope) -> tuple[float | None, float | None, float | None]:
    """Share that must not fail, share that must be fast, and how fast: objectives, else from the thresholds."""
    slo, thresholds = scope.document.slo, scope.document.thresholds
    ok_share = slo.availability
    if ok_share is None and thresholds.error_rate is not None:
        ok_share = 1.0 - thresholds.error_rate
    if slo.latency_ms is not None:
        return ok_share, slo.latency_share, slo.latency_ms
    if thresholds.latency_ms_p95 is not None:
        return ok_share, 0.95, thresholds.latency_ms_p95
    return ok_share, None, None


def _burnt(
    flag: Flag,
    scope: Scope,
    panes: tuple[tuple[int, int, int], ...],
    at: int,
    share: float | None,
    family: Family,
    metric: Metric,
) -> tuple[Flag, list[Note]]:
    if share is None:
        return flag, []
    key = scope.key(family, "burn")
    long_n, long_bad = sum(pane[0] for pane in panes), sum(pane[at] for pane in panes)
    short_n, short_bad = sum(pane[0] for pane in panes[-SHORT:]), sum(pane[at] for pane in panes[-SHORT:])
    signal: Signal | None = None
    if long_n >= LEAST_N and short_n:
        short, long = short_bad / short_n / (1.0 - share), long_bad / long_n / (1.0 - share)
        burn = min(short, long)
        if burn >= SLOW:
            out = Excursion(scope.now_s, burn, 1.0)
            times = 4.0 if burn >= FAST else 2.0
            signal = scope.signal(
                "performance", key, "slo-burn", metric, out, times,
                fixed=True, threshold=SLOW, burn_5_min=round(short, 2), burn_1_h=round(long, 2), promised=share,
            )  # fmt: skip
    return raised(flag, key, signal, scope.now_s, why="the error budget lasts again")
