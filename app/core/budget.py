"""How much a request may cost now so that the budget of the day and of the month is met at its end (STATISTICS 6).

    r = (seen + .05 F) / (F_so_far + .05 F)        left = r (F - F_so_far)        allowed = (budget - spent) / left

F is the forecast number of requests of the period: the hours of the days before (a mean that forgets by half a day),
the present rate while none are known. A day begins at local midnight in the budget's time zone: the rules of time
zones are data, so this is a function of the panes alone. ``app.core.pacing`` solves the mix for what is allowed. USD.
"""

import math
from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from app.core.cell import Cell, CellKey, Late
from app.core.decision import Constraint
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
UNKNOWN = (-1.0,) * 24
GONE_DAYS = 30
PeriodName = Literal["day", "month"]
PERIODS: tuple[PeriodName, ...] = ("day", "month")


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
    """State of one service. ``hours``: requests of each local hour on the days before (24, -1 unknown), ``today`` those
    of this day, ``hour`` the newest (``hour_n`` stands for old bytes). ``price``: reward worth a USD, the multiplier of
    the solved mix; 0: no budget binds. ``capped``: the budget is spent and the document's cap action holds.
    ``segments``: those with a budget of their own. Policy single: ``stand_in`` serves so that the budget lasts,
    instead of ``saved_from``.
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
    segments: dict[str, "Budgeting"] = {}
    saved_from: str = ""
    stand_in: str = ""
    today: tuple[float, ...] = ()


class Limit(NamedTuple):
    """The least that bounds a period: its USD, the name of its key in the document, and a plain name for people."""

    usd: float
    name: str
    words: str


class Allowance(NamedTuple):
    """USD a request of the main slice may cost on average; ``last_hour``: of the period that binds. ``name`` is the key
    in the document that binds, ``words`` what people call it.
    """

    usd: float
    period: str
    budget: float
    spent: float
    left: float
    last_hour: bool
    name: str = ""
    words: str = ""


def limited(document: ServiceDocument) -> bool:
    """Whether there is a budget at all."""
    budget = document.budget
    return bool(budget.segments) or any(limit_of(document, period) is not None for period in PERIODS)


def limit_of(document: ServiceDocument, period: PeriodName, segment: str = "") -> Limit | None:
    """What bounds a day or month of the service (its own budget, or its share of the group's), or of one segment."""
    budget, found = document.budget, list[Limit]()
    if segment:
        for part in budget.segments:
            usd = part.day_usd if period == "day" else part.month_usd
            if part.segment == segment and usd is not None:
                words = f"the budget of the {period} for {segment}"
                found.append(Limit(usd, f"budget.segments.{segment}.{period}_usd", words))
        return found[0] if found else None
    own, group = (
        (budget.day_usd, budget.group.day_usd) if period == "day" else (budget.month_usd, budget.group.month_usd)
    )
    if own is not None:
        found.append(Limit(own, f"budget.{period}_usd", f"the budget of the {period}"))
    if group is not None:
        words = f"the {period}'s share of the budget of group {budget.group.name}"
        found.append(Limit(budget.group.share * group, f"budget.group.{period}_usd", words))
    return min(found, default=None)


def learned(
    state: Budgeting, document: ServiceDocument, pane: ClosedPane, expected_usd: float | Mapping[str, float]
) -> Budgeting:
    """Add a closed pane. ``expected_usd``: what the main slice's requests should have cost by the arms' means, in all
    or by segment. Late events belong to no segment: the service alone pays for them.
    """
    expected = expected_usd if isinstance(expected_usd, Mapping) else {"": expected_usd}
    cells = sorted(pane.cells.items())
    parts = {
        part.segment: _counted(
            state.segments.get(part.segment, Budgeting()), document, pane,
            [(key, cell) for key, cell in cells if key.segment == part.segment],
            Late(), expected.get(part.segment, 0.0),
        )
        for part in document.budget.segments
    }  # fmt: skip
    whole = _counted(state, document, pane, cells, pane.late, sum(expected.values()))
    return msgspec.structs.replace(whole, segments=parts)


def _counted(
    state: Budgeting,
    document: ServiceDocument,
    pane: ClosedPane,
    cells: list[tuple[CellKey, Cell]],
    late: Late,
    expected_usd: float,
) -> Budgeting:
    local = datetime.fromtimestamp(pane.start_s, ZoneInfo(document.budget.time_zone))
    usd = late.cost_usd + sum(cell.cost_usd + cell.own_cost_usd for _, cell in cells)
    served = [(key.slice == "main", cell) for key, cell in cells if key.slice != "shadow"]
    requests = float(sum(cell.n for _, cell in served) + late.n)
    state = _hours(state, local.toordinal() * 24 + local.hour, requests)
    return msgspec.structs.replace(
        state,
        day=_added(state.day, local.toordinal(), usd, requests, pane.start_s),
        month=_added(state.month, local.year * 12 + local.month, usd, requests, pane.start_s),
        recent=_recent(state.recent, served, expected_usd),
        at_s=pane.end_s,
    )


def allowance(state: Budgeting, document: ServiceDocument, segment: str = "") -> Allowance | None:
    """What a main request (of one ``segment``) may cost from now on; None without a budget or before anything was seen
    of its period.
    """
    state = state.segments.get(segment, Budgeting()) if segment else state
    day, month = limit_of(document, "day", segment), limit_of(document, "month", segment)
    if (day is None and month is None) or not state.at_s or state.day.requests <= 0:
        return None
    zone = ZoneInfo(document.budget.time_zone)
    local = datetime.fromtimestamp(state.at_s, zone)
    usual = _Usual.of(state, local)
    found = []
    if day is not None and local.toordinal() == state.day.number:
        left = _left(state.day, usual, local, datetime.fromtimestamp(state.day.since_s, zone), days=1)
        found.append(_allowed(state, "day", day, state.day, left))
    if month is not None and local.year * 12 + local.month == state.month.number:
        days = monthrange(local.year, local.month)[1] - local.day + 1
        left = _left(state.month, usual, local, datetime.fromtimestamp(state.month.since_s, zone), days=days)
        found.append(_allowed(state, "month", month, state.month, left))
    return min(found, key=lambda one: one.usd, default=None)


def amount(found: Allowance) -> str:
    """The budget that binds and its size, for people."""
    return f"{found.words}, {found.budget:.4g} USD,"


def as_constraint(found: Allowance) -> Constraint:
    """The budget that binds, as a decision names what it was held against."""
    return Constraint(name=found.name, limit=found.budget, value=found.spent, satisfied=found.spent < found.budget)


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
        return cls(tuple(rate if known < 0 else known for known in state.hours or UNKNOWN))

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


def _allowed(state: Budgeting, name: str, limit: Limit, period: Period, left: _Left) -> Allowance:
    remaining, recent = (1.0 - RESERVE) * limit.usd - period.usd, state.recent
    total = recent.main_n + recent.other_n
    mine = recent.main_n / total if recent.main_n else 1.0
    others = recent.other_usd / total if recent.main_n else 0.0
    per_request = remaining / left.requests if left.requests > 0 else math.inf
    lately = recent.main_usd / recent.expected_usd if recent.expected_usd > 0 else 1.0
    usd = max(0.0, (per_request - others) / mine / lately) if remaining > 0 else 0.0
    return Allowance(usd, name, limit.usd, period.usd, left.requests, left.last_hour, limit.name, limit.words)


def _hour(local: datetime) -> float:
    """Hours since local midnight by the clock on the wall."""
    return local.hour + local.minute / 60 + local.second / 3600


def _added(period: Period, number: int, usd: float, requests: float, start_s: int) -> Period:
    if number != period.number:
        return Period(number, usd, requests, start_s)
    return Period(number, period.usd + usd, period.requests + requests, period.since_s)


def _hours(state: Budgeting, hour: int, requests: float) -> Budgeting:
    """The day so far with these requests. It joins the forecast once it is over: until then it is compared with it."""
    day, before = hour // 24, state.hour // 24
    if state.hour >= 0 and day > before:
        hours = _joined(state.hours or UNKNOWN, state.today or UNKNOWN)
        for _ in range(min(day - before - 1, GONE_DAYS)):
            hours = tuple(known * HOURS_MEMORY if known > 0 else known for known in hours)
        state = msgspec.structs.replace(state, hours=hours, today=UNKNOWN)
    of_day, today = hour % 24, list(state.today or UNKNOWN)
    today[of_day] = max(0.0, today[of_day]) + requests
    return msgspec.structs.replace(state, hour=hour, today=tuple(today))


def _joined(hours: tuple[float, ...], today: tuple[float, ...]) -> tuple[float, ...]:
    """The forecast after a day; hours before its first request say nothing, later ones without any say 0."""
    first = next((i for i, n in enumerate(today) if n >= 0), 24)
    return tuple(
        old if i < first else max(0.0, n) if old < 0 else HOURS_MEMORY * old + (1 - HOURS_MEMORY) * max(0.0, n)
        for i, (old, n) in enumerate(zip(hours, today, strict=True))
    )


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
