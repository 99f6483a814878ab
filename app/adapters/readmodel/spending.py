"""What services spend: their newest window, and their budgets of the day and the month. USD; times epoch seconds."""

from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from app.adapters.readmodel.model import Model
from app.core.document import ServiceDocument
from app.core.events import rfc3339

SIZES_S = (3600, 900, 60)
"""Windows a period is covered with, the longest first."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """A service's newest closed window of ``window_s`` seconds; ``quality``: mean judge score, None without scores."""

    window_s: int
    requests: int
    errors: int
    cost_usd: float
    latency_ms_p95: float | None
    quality: float | None


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """One budget. ``spent_usd`` from ``since`` (local midnight) to ``until`` (the newest closed minute): answers, late
    and shadow ones included, and judges. ``elapsed``: share of the period that is over. ``at_this_pace_usd``: for the
    whole period, were every hour like those so far. ``price``: reward worth a USD, by which the last split was priced;
    0 while the budget does not bind. ``counted_from``: the first window there is of the period.
    """

    service: str
    period: Literal["day", "month"]
    budget_usd: float
    spent_usd: float
    since: str
    until: str
    counted_from: str
    elapsed: float
    at_this_pace_usd: float | None
    price: float


def traffic(model: Model, service: str, window_s: int) -> Traffic | None:
    """The newest window of ``window_s``; None when none is closed yet."""
    rows = model.store.query(
        "SELECT * FROM aggregates WHERE service = ? AND window_s = ? AND arm = '*' ORDER BY start_s DESC LIMIT 1",
        (service, window_s),
    )
    if not rows:
        return None
    (row,) = rows
    judge = msgspec.json.decode(row["quality_json"]).get("judge") or {}
    return Traffic(
        window_s=window_s,
        requests=row["count"],
        errors=row["errors"],
        cost_usd=row["cost_usd"],
        latency_ms_p95=row["latency_ms_p95"],
        quality=judge.get("mean") if judge.get("n") else None,
    )


def spendings(model: Model, service: str) -> list[Spending]:
    """The budgets of a service, the day's first; none without one in its document, or before anything is counted."""
    document, until_s = model.document(service), model.newest_s(service)
    if document is None or until_s is None:
        return []
    local = datetime.fromtimestamp(until_s - 1, ZoneInfo(document.budget.time_zone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight.replace(day=1)
    found = []
    if document.budget.day_usd is not None:
        day = midnight, midnight + timedelta(days=1)
        found.append(_spending(model, document, "day", document.budget.day_usd, day, until_s))
    if document.budget.month_usd is not None:
        month = first, (first + timedelta(days=32)).replace(day=1)
        found.append(_spending(model, document, "month", document.budget.month_usd, month, until_s))
    return found


def _spending(
    model: Model,
    document: ServiceDocument,
    period: Literal["day", "month"],
    budget_usd: float,
    bounds: tuple[datetime, datetime],
    until_s: int,
) -> Spending:
    begin_s, end_s = (int(bound.timestamp()) for bound in bounds)
    spent, counted_from_s = _spent(model, document.service, begin_s, until_s)
    counted_s = until_s - counted_from_s
    return Spending(
        service=document.service,
        period=period,
        budget_usd=budget_usd,
        spent_usd=spent,
        since=rfc3339(begin_s),
        until=rfc3339(until_s),
        counted_from=rfc3339(counted_from_s),
        elapsed=(until_s - begin_s) / (end_s - begin_s),
        at_this_pace_usd=spent + spent / counted_s * (end_s - until_s) if counted_s else None,
        price=_price(model, document.service),
    )


def _spent(model: Model, service: str, begin_s: int, until_s: int) -> tuple[float, int]:
    """USD of the windows in [begin, until), each minute once, and the start of the first of them."""
    covered: set[int] = set()
    spent, first_s = 0.0, until_s
    for size_s in SIZES_S:
        rows = model.store.query(
            "SELECT start_s, sum(CASE WHEN arm = '*' THEN cost_usd + late_cost_usd + own_cost_usd"
            " WHEN slice = 'shadow' THEN cost_usd + own_cost_usd ELSE 0 END) AS usd FROM aggregates"
            " WHERE service = ? AND window_s = ? AND start_s >= ? AND end_s <= ? GROUP BY start_s ORDER BY start_s",
            (service, size_s, begin_s, until_s),
        )
        for row in (row for row in rows if row["start_s"] not in covered):
            spent += row["usd"]
            first_s = min(first_s, row["start_s"])
            covered.update(range(row["start_s"], row["start_s"] + size_s, 60))
    return spent, first_s


def _price(model: Model, service: str) -> float:
    """Of the newest decision that says one; 0 when the newest weights were not priced."""
    rows: list[Any] = model.store.query(
        "SELECT json_extract(json, '$.evidence.budget.price') AS price FROM events WHERE service = ?"
        " AND action = 'move-weights' ORDER BY time_s DESC, rowid DESC LIMIT 1",
        (service,),
    )
    return float(rows[0]["price"] or 0.0) if rows else 0.0
