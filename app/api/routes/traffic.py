"""Traffic: closed windows, as JSON, CSV and Parquet, and sliding windows of any length."""

import asyncio
import csv
import io
import time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import WindowSums
from app.adapters.readmodel.parquet import ParquetError, columns_of, write_parquet
from app.adapters.readmodel.series import Series
from app.adapters.readmodel.series import series as series_of
from app.adapters.readmodel.sliding import merged
from app.api.context import Context, Reply
from app.api.problems import Problem, bad_request
from app.api.route import Route
from app.api.routes.common import OfService, Text, Time, seconds

DAY_S = 86_400
PARQUET = "application/vnd.apache.parquet"
_COLUMNS: dict[str, type] = {
    **{name: kind for name, kind in columns_of(WindowSums, ("start", "end")).items() if name != "quality"},
    "quality_n": int,
    "quality_mean": float,
}


class WindowsAsked(OfService, frozen=True, kw_only=True):
    """Closed windows of one size within [since, until)."""

    window_s: Literal[60, 300, 900, 3600] = 300
    since: Time = ""
    until: Time = ""
    arm: Text = ""


class SlidingAsked(OfService, frozen=True, kw_only=True):
    """The last ``minutes`` closed minutes before ``until`` (empty: the newest closed one)."""

    minutes: Annotated[int, Meta(ge=1, le=43_200)] = 60
    until: Time = ""
    arm: Text = ""


class SeriesAsked(OfService, frozen=True, kw_only=True):
    """The ``minutes`` before ``until`` (empty: the newest closed one)."""

    minutes: Annotated[int, Meta(ge=5, le=43_200)] = 480
    until: Time = ""


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of traffic by arm, segment and slice (``*``: all)."""

    service: str
    windows: list[WindowSums]


async def aggregates(context: Context, params: WindowsAsked, body: None) -> Windows:
    """List closed windows."""
    return Windows(service=params.service, windows=await _closed(context, params))


async def sliding(context: Context, params: SlidingAsked, body: None) -> Windows:
    """Add up the last minutes, quantiles included."""
    until = seconds(params.until)
    end = until if until is not None else await context.ask(context.model.newest_s, params.service)
    if end is None:
        return Windows(service=params.service, windows=[])
    start = end - 60 * params.minutes
    size = (
        60 if params.minutes <= 360 else 3_600 if params.minutes % 60 == 0 else 300 if params.minutes % 5 == 0 else 60
    )
    sums = await context.ask(context.model.sliding, params.service, size, start, end, params.arm)
    return Windows(service=params.service, windows=sums)


async def series(context: Context, params: SeriesAsked, body: None) -> Series:
    """Show shares, cost, latency and quality by arm over time, with intervals.

    Up to 24 h in buckets of 5 min, up to 48 h of 30 min, up to 10 d of 2 h, else of 6 h.
    """
    until = seconds(params.until)
    end = until if until is not None else await context.ask(context.model.newest_s, params.service)
    document = await context.ask(context.model.document, params.service)
    channel = document.objective.score_channel if document else "judge"
    return await context.ask(series_of, context.model.store, params.service, params.minutes, end, channel)


async def export(context: Context, params: WindowsAsked, body: None) -> Reply:
    """Export closed windows as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in await _exported(context, params))
    return Reply(out.getvalue(), media="text/csv", headers=_attached(params, "csv"))


async def export_parquet(context: Context, params: WindowsAsked, body: None) -> Reply:
    """Export closed windows as Parquet."""
    out = io.BytesIO()
    rows = await _exported(context, params)
    try:
        await asyncio.to_thread(write_parquet, rows, _COLUMNS, out)
    except ParquetError as error:
        raise Problem(501, "not_installed", str(error)) from None
    return Reply(out.getvalue(), media=PARQUET, headers=_attached(params, "parquet"))


async def _exported(context: Context, params: WindowsAsked) -> list[dict[str, Any]]:
    rows = [msgspec.to_builtins(row) for row in await _closed(context, params)]
    for row in rows:
        score = row.pop("quality").get("judge") or {"n": 0, "mean": None}
        row["quality_n"], row["quality_mean"] = score["n"], score["mean"]
    return rows


def _attached(params: WindowsAsked, ending: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="aggregates-{params.window_s}s.{ending}"'}


def _cell(value: object) -> object:
    """A text that a spreadsheet would run as a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


async def _closed(context: Context, params: WindowsAsked) -> list[WindowSums]:
    until = seconds(params.until)
    newest: int | None = await context.ask(context.model.newest_s, params.service)
    end = until if until is not None else newest or int(time.time())
    since = seconds(params.since)
    start = since if since is not None else end - DAY_S
    if start > end:
        raise bad_request("since is after until")
    rows = await context.ask(context.model.windows, params.service, params.window_s, start, end, params.arm)
    by_window: dict[int, list[object]] = {}
    for row in rows:
        by_window.setdefault(row["start_s"], []).append(row)
    return [sums for start_s in sorted(by_window) for sums in merged(params.service, by_window[start_s])]


_ROUTE: dict[str, Any] = {"right": "read", "tag": "Traffic"}

ROUTES = (
    Route(method="GET", path="/services/{service}/aggregates", handler=aggregates, **_ROUTE),
    Route(method="GET", path="/services/{service}/series", handler=series, **_ROUTE),
    Route(method="GET", path="/services/{service}/sliding", handler=sliding, **_ROUTE),
    Route(
        method="GET", path="/services/{service}/aggregates.csv", handler=export, media="text/csv", answer=str, **_ROUTE
    ),
    Route(
        method="GET",
        path="/services/{service}/aggregates.parquet",
        handler=export_parquet,
        media=PARQUET,
        answer=bytes,
        errors=(501,),
        **_ROUTE,
    ),
)
