"""How much a request may cost now so that the budget of the day and of the month is met at its end (STATISTICS 6).

    r = (seen + .05 F) / (F_so_far + .05 F)        left = r (F - F_so_far)        allowed = (budget - spent) / left

F is the forecast number of requests of the period: the hours of the days before (a mean that forgets by half a day),
the present rate while none are known. A day begins at local midnight in the budget's time zone: the rules of time
zones are data, so this is a function of the panes alone. ``app.core.pacing`` solves the mix for what is allowed. USD.
"""

import math
from calendar import monthrange
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from app.core.cell import Cell
from app.core.document import ServiceDocument
from app.core.pane import ClosedPane

TRUST = 0.05
"""Weight of the forecast in what the period so far says of its rest, as a share of the whole."""
HOURS_MEMORY = 0.5
"""Weight of the days before in the forecast of an hour."""
RECENT = 0.97
"""Weight of the past in what a request costs lately: about half an hour of panes."""
RESERVE = 5e-4
"""Share of a budget that is not planned for: what is under way when the last split of the period is made."""
LAST_HOUR = 23.0


class Period(msgspec.Struct, frozen=True, array_like=True):
    """A local day or month so far: its number, USD spent, requests seen, and since when (epoch seconds)."""

    number: int = -1
    usd: float = 0.0
    requests: float = 0.0
    since_s: int = 0


class Recent(msgspec.Struct, frozen=True, array_like=True):
    """Fading sums: requests of the main slice, their cost and what the arms' means expected it to be; the others'."""

    main_n: float = 0.0
    main_usd: float = 0.0
    expected_usd: float = 0.0
    other_n: float = 0.0
    other_usd: float = 0.0


class Budgeting(msgspec.Struct, frozen=True, array_like=True):
    """State of one service. ``hours``: requests of each local hour on the days before (24, -1 unknown) and
    ``hour_n`` those of the present one. ``price``: reward worth a USD, the multiplier of the solved mix; 0: no budget
    binds. ``capped``: the budget is spent and the document's cap action holds.
    """

    day: Period = Period()
    month: Period = Period()
    hours: tuple[float, ...] = ()
    hour: int = -1
    hour_n: float = 0.0
    recent: Recent = Recent()
    price: float = 0.0
    capped: bool = False
    at_s: int = 0


class Allowance(NamedTuple):
    """USD a request of the main slice may cost on average; ``last_hour``: of the period that binds."""

    usd: float
    period: str
    budget: float
    spent: float
    left: float
    last_hour: bool


def limited(document: ServiceDocument) -> bool:
    """Whether there is a budget at all."""
    return document.budget.day_usd is not None or document.budget.month_usd is not None


def learned(state: Budgeting, document: ServiceDocument, pane: ClosedPane, expected_usd: float) -> Budgeting:
    """Add a closed pane. ``expected_usd``: what the main slice's requests should have cost by the arms' means."""
    local = datetime.fromtimestamp(pane.start_s, ZoneInfo(document.budget.time_zone))
    usd = pane.late.cost_usd + sum(cell.cost_usd + cell.own_cost_usd for _, cell in sorted(pane.cells.items()))
    served = [(key.slice == "main", cell) for key, cell in sorted(pane.cells.items()) if key.slice != "shadow"]
    requests = float(sum(cell.n for _, cell in served) + pane.late.n)
    state = _hours(state, local.toordinal() * 24 + local.hour, requests)
    return msgspec.structs.replace(
        state,
        day=_added(state.day, local.toordinal(), usd, requests, pane.start_s),
        month=_added(state.month, local.year * 12 + local.month, usd, requests, pane.start_s),
        recent=_recent(state.recent, served, expected_usd),
        at_s=pane.end_s,
    )


def allowance(state: Budgeting, document: ServiceDocument) -> Allowance | None:
    """What a main request may cost from now on; None without a budget or before anything was seen of its period."""
    budget = document.budget
    if not limited(document) or not state.at_s or state.day.requests <= 0:
        return None
    zone = ZoneInfo(budget.time_zone)
    local = datetime.fromtimestamp(state.at_s, zone)
    usual = _Usual.of(state, local)
    found = []
    if budget.day_usd is not None and local.toordinal() == state.day.number:
        left = _left(state.day, usual, local, datetime.fromtimestamp(state.day.since_s, zone), days=1)
        found.append(_allowed(state, "day", budget.day_usd, state.day, left))
    if budget.month_usd is not None and local.year * 12 + local.month == state.month.number:
        days = monthrange(local.year, local.month)[1] - local.day + 1
        left = _left(state.month, usual, local, datetime.fromtimestamp(state.month.since_s, zone), days=days)
        found.append(_allowed(state, "month", budget.month_usd, state.month, left))
    return min(found, key=lambda one: one.usd, default=None)


class _Left(NamedTuple):
    requests: float
    last_hour: bool


class _Usual(NamedTuple):
    """Requests by local hour as forecast."""

    hours: tuple[float, ...]

    @classmethod
    def of(cls, state: Budgeting, local: datetime) -> "_Usual":
        """The hours of the days before; the mean rate of the day so far for those never seen."""
        since_s = max(state.day.since_s, state.at_s - round(3600 * _hour(local)))
        rate = 3600.0 * state.day.requests / max(60, state.at_s - since_s)
        return cls(tuple(rate if known < 0 else known for known in state.hours or (-1.0,) * 24))

    def until(self, hour: float) -> float:
        """From midnight to ``hour`` (with its fraction)."""
        whole = int(hour)
        return sum(self.hours[:whole]) + (self.hours[whole] * (hour - whole) if whole < 24 else 0.0)


def _left(period: Period, usual: _Usual, now: datetime, since: datetime, *, days: int) -> _Left:
    """Requests until the end of the period, which is ``days`` local days away, today included."""
    of_day = usual.until(24.0)
    so_far = (now.toordinal() - since.toordinal()) * of_day + usual.until(_hour(now)) - usual.until(_hour(since))
    rest = days * of_day - usual.until(_hour(now))
    trusted = TRUST * (so_far + rest)
    r = (period.requests + trusted) / (so_far + trusted) if trusted > 0 else 1.0
    return _Left(r * max(0.0, rest), days == 1 and _hour(now) >= LAST_HOUR)


def _allowed(state: Budgeting, name: str, budget: float, period: Period, left: _Left) -> Allowance:
    remaining, recent = (1.0 - RESERVE) * budget - period.usd, state.recent
    total = recent.main_n + recent.other_n
    mine = recent.main_n / total if recent.main_n else 1.0
    others = recent.other_usd / total if recent.main_n else 0.0
    per_request = remaining / left.requests if left.requests > 0 else math.inf
    lately = recent.main_usd / recent.expected_usd if recent.expected_usd > 0 else 1.0
    usd = max(0.0, (per_request - others) / mine / lately) if remaining > 0 else 0.0
    return Allowance(usd, name, budget, period.usd, left.requests, left.last_hour)


def _hour(local: datetime) -> float:
    """Hours since local midnight by the clock on the wall."""
    return local.hour + local.minute / 60 + local.second / 3600


def _added(period: Period, number: int, usd: float, requests: float, start_s: int) -> Period:
    if number != period.number:
        return Period(number, usd, requests, start_s)
    return Period(number, period.usd + usd, period.requests + requests, period.since_s)


def _hours(state: Budgeting, hour: int, requests: float) -> Budgeting:
    """The running hour with these requests; a finished one joins the forecast of its hour of the day."""
    if hour == state.hour:
        return msgspec.structs.replace(state, hour_n=state.hour_n + requests)
    hours = list(state.hours or (-1.0,) * 24)
    if state.hour >= 0:
        of_day = state.hour % 24
        old = hours[of_day]
        hours[of_day] = state.hour_n if old < 0 else HOURS_MEMORY * old + (1 - HOURS_MEMORY) * state.hour_n
        for skipped in range(state.hour + 1, min(hour, state.hour + 25)):
            hours[skipped % 24] = HOURS_MEMORY * max(0.0, hours[skipped % 24])
    return msgspec.structs.replace(state, hours=tuple(hours), hour=hour, hour_n=requests)


def _recent(recent: Recent, served: list[tuple[bool, Cell]], expected_usd: float) -> Recent:
    main, other = ([cell for of_main, cell in served if of_main is wanted] for wanted in (True, False))
    new = (
        float(sum(cell.n for cell in main)),
        sum(cell.cost_usd for cell in main),
        expected_usd,
        float(sum(cell.n for cell in other)),
        sum(cell.cost_usd for cell in other),
    )
    return Recent(*(RECENT * old + add for old, add in zip(msgspec.structs.astuple(recent), new, strict=True)))
