"""Traffic: closed windows, sliding windows of any length, and both as CSV."""

import csv
import io
import time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import WindowSums
from app.adapters.readmodel.series import Series
from app.adapters.readmodel.series import series as series_of
from app.adapters.readmodel.sliding import merged
from app.api.context import Context, Reply
from app.api.problems import bad_request
from app.api.route import Route
from app.api.routes.common import OfService, Text, Time, seconds

DAY_S = 86_400


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
    rows = [msgspec.to_builtins(row) for row in await _closed(context, params)]
    out = io.StringIO()
    names = [name for name in WindowSums.__struct_fields__ if name != "quality"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, "quality_n", "quality_mean"])
    for row in rows:
        score = row["quality"].get("judge") or {"n": 0, "mean": ""}
        writer.writerow([*(_cell(row[name]) for name in names), score["n"], score["mean"]])
    disposition = f'attachment; filename="aggregates-{params.window_s}s.csv"'
    return Reply(out.getvalue(), media="text/csv", headers={"Content-Disposition": disposition})


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
)
