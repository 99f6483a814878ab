"""What the process says of itself: health, lag, metrics, and the document of this API."""

from typing import Any, get_args

import msgspec

from app import __version__
from app.adapters.readmodel.feed import Lag
from app.adapters.telemetry import exposition, read
from app.adapters.telemetry.catalogue import (
    API_ANSWERED,
    API_CAUGHT_UP,
    API_COMMANDS,
    API_CONNECTIONS,
    API_EVENTS,
    API_LAG,
    API_MET,
    API_STREAMS,
    API_STREAMS_ENDED,
)
from app.api.context import Context, Reply
from app.api.docs_page import page
from app.api.identity import Right
from app.api.openapi import document
from app.api.route import Nothing, Route
from app.api.routes.common import Params


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How this process is."""

    status: str
    version: str
    read_model: Lag


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and for which services each right holds; ``*``: for all of them."""

    name: str
    kind: str
    rights: dict[str, list[str]]


class LagAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How far the read model is behind its topics, and what it met in them (counts by kind and topic or reason)."""

    lag: Lag
    counters: dict[str, dict[str, int]]
    positions: list[dict[str, int | str]]


async def live(context: Context, params: Nothing, body: None) -> Health:
    """Say that the process is alive."""
    return Health(status="alive", version=__version__, read_model=context.parts.feed.lag)


async def ready(context: Context, params: Nothing, body: None) -> Reply:
    """Say whether the read model has caught up once."""
    is_ready = context.parts.feed.wait(0)
    health = Health(status="ready" if is_ready else "starting", version=__version__, read_model=context.parts.feed.lag)
    return Reply(health, 200 if is_ready else 503)


async def metrics(context: Context, params: Nothing, body: None) -> Reply:
    """Show counters as Prometheus text."""
    parts = context.parts
    lag = parts.feed.lag
    readings = [
        read(API_LAG, lag.records),
        read(API_CAUGHT_UP, lag.caught_up),
        read(API_COMMANDS, parts.orders.sent),
        read(API_EVENTS, parts.events.accepted, outcome="accepted"),
        read(API_EVENTS, parts.events.rejected, outcome="rejected"),
    ]
    for name, labels in (await context.ask(parts.model.store.counters)).items():
        readings += [read(API_MET, count, kind=name, label=label) for label, count in labels.items()]
    readings += [read(API_ANSWERED, count, status=str(status)) for status, count in sorted(parts.answered.items())]
    readings += [read(API_STREAMS, len(parts.hub.listeners))]
    readings += [read(API_STREAMS_ENDED, count, why=why) for why, count in sorted(parts.hub.ended.items())]
    guards = parts.guards
    readings += [
        read(API_CONNECTIONS, guards.refused, why="too_many"),
        read(API_CONNECTIONS, guards.slow, why="too_slow"),
    ]
    return Reply(exposition(readings), media="text/plain")


async def me(context: Context, params: Params, body: None) -> Me:
    """Show who asks, and what they may do."""
    who = context.identity
    held = {right: who.services(right) for right in get_args(Right)}
    rights = {right: ["*"] if services is None else list(services) for right, services in held.items()}
    return Me(name=who.name, kind=who.kind, rights=rights)


async def lag_of(context: Context, params: Params, body: None) -> LagAnswer:
    """Show how far the read model is behind."""
    rows = await context.ask(context.model.store.query, "SELECT topic, partition, next FROM positions ORDER BY 1, 2")
    return LagAnswer(
        lag=context.parts.feed.lag,
        counters=await context.ask(context.model.store.counters),
        positions=[{"topic": r["topic"], "partition": r["partition"], "next": r["next"]} for r in rows],
    )


async def openapi(context: Context, params: Nothing, body: None) -> Reply:
    """Show this API as OpenAPI 3.1."""
    return Reply(_document())


async def docs(context: Context, params: Nothing, body: None) -> Reply:
    """Show this API as a page."""
    return Reply(page(_document()), media="text/html")


def _document() -> dict[str, Any]:
    from app.api.routes import ROUTES as ALL

    return document(ALL)


_OPEN: dict[str, Any] = {"method": "GET", "right": None, "tag": "Process"}

ROUTES = (
    Route(path="/health/live", handler=live, **_OPEN),
    Route(path="/health", handler=live, **_OPEN),
    Route(path="/ready", handler=ready, answer=Health, errors=(503,), **_OPEN),
    Route(path="/health/ready", handler=ready, answer=Health, errors=(503,), **_OPEN),
    Route(path="/metrics", handler=metrics, answer=str, media="text/plain", **_OPEN),
    Route(path="/openapi.json", handler=openapi, answer=dict[str, Any], **_OPEN),
    Route(path="/docs", handler=docs, answer=str, media="text/html", **_OPEN),
    Route(method="GET", path="/me", handler=me, right="read", tag="Process"),
    Route(method="GET", path="/lag", handler=lag_of, right="read", tag="Process"),
)
