"""Spending of a service against its budget of the day and of the month, in the budget's own time zone.

Spent is what every answer cost, late and shadow ones included, and what the optimizer itself spent on them. At the main
cadence the rest of the period is forecast at the rate of about the last hour: a warning when that ends more than 5 %
above the budget, serious when the budget is gone.
"""

from calendar import monthrange
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from app.core.analyze.finding import EVERY, Note, Signal
from app.core.analyze.flag import Flag, raised
from app.core.analyze.scope import Scope
from app.core.budget import PeriodName, limit_of
from app.core.pane import ClosedPane

MEMORY = 0.98
MARGIN = 1.05
LEAST_MINUTES = 120
"""Minutes of a period before its end is forecast."""
CLEAN_LOOKS = 4


class Period(msgspec.Struct, frozen=True, array_like=True):
    """A day or month: its ``number``, what was spent in it (USD), and whether that was told."""

    number: int = 0
    usd: float = 0.0
    flag: Flag = Flag()


class Spend(msgspec.Struct, frozen=True, array_like=True):
    """State of one service. ``usd_per_min``: about the last hour's rate."""

    day: Period = Period()
    month: Period = Period()
    usd_per_min: float = 0.0
    last_s: int = 0


def step(state: Spend, scope: Scope, pane: ClosedPane) -> tuple[Spend, list[Note]]:
    """Add a closed pane; an incomplete one counts for what it has."""
    budget = scope.document.budget
    local = _local(pane.start_s, budget.time_zone)
    usd = pane.late.cost_usd + sum(cell.cost_usd + cell.own_cost_usd for _, cell in sorted(pane.cells.items()))
    minutes = max(1, (scope.now_s - state.last_s) // 60) if state.last_s else 1
    rate = usd if not state.last_s else MEMORY**minutes * state.usd_per_min + (1 - MEMORY**minutes) * usd / minutes
    into_day = local.hour * 60 + local.minute + 1
    now = _Now("day", local.toordinal(), _usd(scope, "day"), usd, rate, into_day, 1440 - into_day)
    day, notes = _period(state.day, scope, now)
    days = monthrange(local.year, local.month)[1]
    into_month = (local.day - 1) * 1440 + into_day
    number, left = local.year * 12 + local.month, days * 1440 - into_month
    month, said = _period(state.month, scope, _Now("month", number, _usd(scope, "month"), usd, rate, into_month, left))
    return Spend(day, month, rate, scope.now_s), notes + said


@lru_cache(maxsize=1024)
def _local(time_s: int, zone: str) -> datetime:
    return datetime.fromtimestamp(time_s, ZoneInfo(zone))


def _usd(scope: Scope, period: PeriodName) -> float | None:
    """What bounds the period: the service's own budget, or its share of the group's."""
    found = limit_of(scope.document, period)
    return None if found is None else found.usd


class _Now(msgspec.Struct, frozen=True):
    """This pane in a period: its ``usd``, the rate (USD a minute), minutes ``into`` the period and ``left`` of it."""

    name: str
    number: int
    budget: float | None
    usd: float
    rate: float
    into: int
    left: int


def _period(period: Period, scope: Scope, now: _Now) -> tuple[Period, list[Note]]:
    key, notes = scope.key("budget", now.name), list[Note]()
    if period.number != now.number:
        _, notes = raised(period.flag, key, None, scope.now_s, clean=0, why=f"a new {now.name} began")
        period = Period(now.number)
    spent = period.usd + now.usd
    period = msgspec.structs.replace(period, usd=spent)
    if now.budget is None or not (scope.main or spent >= now.budget > spent - now.usd):
        return period, notes
    forecast = spent + now.rate * now.left
    signal: Signal | None = None
    if spent >= now.budget:
        signal = _told(key, now.name, spent, now.budget, forecast, gone=True)
    elif now.into >= LEAST_MINUTES and forecast > MARGIN * now.budget:
        signal = _told(key, now.name, spent, now.budget, forecast, gone=False)
    why = "the forecast is inside the budget again"
    flag, said = raised(period.flag, key, signal, scope.now_s, clean=CLEAN_LOOKS, why=why)
    return msgspec.structs.replace(period, flag=flag), notes + said


def _told(key: str, name: str, usd: float, budget: float, forecast: float, *, gone: bool) -> Signal:
    said = (
        f"The budget of the {name}, {budget:.4g} USD, is spent: {usd:.4g} USD so far."
        if gone
        else f"At the present rate the {name} will cost {forecast:.4g} USD, more than its budget of {budget:.4g} USD."
    )
    return Signal(
        key=key,
        arm=EVERY,
        segment=EVERY,
        analyzer="cost",
        family="budget",
        kind=f"budget-{name}-spent" if gone else f"budget-{name}-forecast",
        metric="spend_usd",
        severity="high" if gone else "warning",
        value=usd if gone else forecast,
        compared_with=budget,
        threshold=budget,
        detail=said,
        evidence={"spent_usd": usd, "forecast_usd": forecast},
    )
