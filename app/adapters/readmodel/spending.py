"""What services spend: their newest window, and their budgets of the day and the month. USD; times epoch seconds."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from app.adapters.readmodel.model import Model
from app.core.budget import PERIODS, Limit, PeriodName, limit_of
from app.core.commands import ShareBudget, parse
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
    """One budget, of the service or (``segment``) of a part of it; ``key`` is where the document says it.

    ``spent_usd`` from ``since`` (local midnight) to ``until`` (the newest closed minute): answers, late and shadow ones
    included (late ones belong to no segment), and judges. ``elapsed``: share of the period that is over.
    ``at_this_pace_usd``: for the whole period, were every hour like those so far. ``price``: reward worth a USD, by
    which the last split was priced; 0 while the budget does not bind. ``counted_from``: its first window there is.
    """

    service: str
    segment: str
    period: PeriodName
    key: str
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
    """The budgets of a service, then those of its segments; none without one, or before anything is counted."""
    document, until_s = _in_force(model, service), model.newest_s(service)
    if document is None or until_s is None:
        return []
    segments = ("", *(part.segment for part in document.budget.segments))
    wanted = [(segment, period, limit_of(document, period, segment)) for segment in segments for period in PERIODS]
    return [
        _spending(model, document, segment, period, limit, until_s)
        for segment, period, limit in wanted
        if limit is not None
    ]


def _in_force(model: Model, service: str) -> ServiceDocument | None:
    """The document, with the share of its group's budget as last ordered."""
    document = model.document(service)
    rows: list[Any] = model.store.query(
        "SELECT c.json AS json FROM commands c JOIN documents d ON d.service = c.service WHERE c.service = ?"
        " AND c.command = 'share-budget' AND c.append_ms >= d.append_ms"
        ' ORDER BY c.append_ms DESC, c."offset" DESC LIMIT 50',
        (service,),
    )
    if document is None:
        return None
    group = document.budget.group
    ordered = (parse(row["json"].encode()).args for row in rows)
    shares = [args.share for args in ordered if isinstance(args, ShareBudget) and args.group in {"", group.name}]
    if not shares:
        return document
    budget = msgspec.structs.replace(document.budget, group=msgspec.structs.replace(group, share=shares[0]))
    return msgspec.structs.replace(document, budget=budget)


def _bounds(document: ServiceDocument, period: PeriodName, until_s: int) -> tuple[int, int]:
    """Begin and end of the local day or month of the newest minute."""
    local = datetime.fromtimestamp(until_s - 1, ZoneInfo(document.budget.time_zone))
    begin = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return int(begin.timestamp()), int((begin + timedelta(days=1)).timestamp())
    begin = begin.replace(day=1)
    return int(begin.timestamp()), int((begin + timedelta(days=32)).replace(day=1).timestamp())


def _spending(
    model: Model, document: ServiceDocument, segment: str, period: PeriodName, limit: Limit, until_s: int
) -> Spending:
    begin_s, end_s = _bounds(document, period, until_s)
    spent, counted_from_s = _spent(model, document.service, segment, begin_s, until_s)
    counted_s = until_s - counted_from_s
    return Spending(
        service=document.service,
        segment=segment,
        period=period,
        key=limit.name,
        budget_usd=limit.usd,
        spent_usd=spent,
        since=rfc3339(begin_s),
        until=rfc3339(until_s),
        counted_from=rfc3339(counted_from_s),
        elapsed=(until_s - begin_s) / (end_s - begin_s),
        at_this_pace_usd=spent + spent / counted_s * (end_s - until_s) if counted_s else None,
        price=_price(model, document.service),
    )


def _spent(model: Model, service: str, segment: str, begin_s: int, until_s: int) -> tuple[float, int]:
    """USD of the windows in [begin, until), each minute once, and the start of the first of them.

    Of a service the row of the whole (with late events) and what shadows cost; of a segment the rows of its arms.
    """
    covered: set[int] = set()
    spent, first_s = 0.0, until_s
    for size_s in SIZES_S:
        rows = model.store.query(
            _SPENT_OF_SEGMENT if segment else _SPENT,
            (*([segment] * (2 if segment else 1)), service, size_s, begin_s, until_s),
        )
        for row in (row for row in rows if row["start_s"] not in covered):
            spent += float(row["usd"])
            first_s = min(first_s, row["start_s"])
            covered.update(range(row["start_s"], row["start_s"] + size_s, 60))
    return spent, first_s


_SUMS = (
    "SELECT start_s, sum(CASE WHEN {whole} THEN cost_usd + late_cost_usd + own_cost_usd"
    " WHEN slice = 'shadow' {shadow} THEN cost_usd + own_cost_usd ELSE 0 END) AS usd FROM aggregates"
    " WHERE service = ? AND window_s = ? AND start_s >= ? AND end_s <= ? GROUP BY start_s ORDER BY start_s"
)
_SPENT = _SUMS.format(whole="arm = '*' AND ? = ''", shadow="")
_SPENT_OF_SEGMENT = _SUMS.format(whole="arm <> '*' AND slice = '*' AND segment = ?", shadow="AND segment = ?")


def _price(model: Model, service: str) -> float:
    """Of the newest decision that says one; 0 when the newest weights were not priced."""
    rows: list[Any] = model.store.query(
        "SELECT json_extract(json, '$.evidence.budget.price') AS price FROM events WHERE service = ?"
        " AND action = 'move-weights' ORDER BY time_s DESC, rowid DESC LIMIT 1",
        (service,),
    )
    return float(rows[0]["price"] or 0.0) if rows else 0.0
