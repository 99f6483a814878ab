"""HTTP endpoints of a worker process: /health/live, /health, /ready (= /health/ready), /metrics.

Live says whether a new process would help; ready, whether this one may be counted on.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

log = logging.getLogger(__name__)


class Report(msgspec.Struct, frozen=True):
    """How a process is. ``detail`` is what /health shows; ``metrics`` is Prometheus text."""

    ready: bool
    detail: Mapping[str, Any]
    metrics: str


Look = Callable[[], Awaitable[Report]]
Stuck = Callable[[], Awaitable[Sequence[str]]]
"""Why the process should be started again, in words; empty: it lives."""


async def never_stuck() -> Sequence[str]:
    """A process that lives as long as it answers."""
    return ()


def application(look: Look, stuck: Stuck = never_stuck) -> web.Application:
    """The routes over ``look``, and over ``stuck`` for liveness."""

    async def live(_: web.Request) -> web.Response:
        why = list(await stuck())
        return _json({"status": "stuck", "why": why} if why else {"status": "alive"}, 503 if why else 200)

    async def ready(_: web.Request) -> web.Response:
        report = await look()
        return _json({"status": "ready" if report.ready else "starting"}, 200 if report.ready else 503)

    async def health(_: web.Request) -> web.Response:
        report = await look()
        return _json({"status": "ready" if report.ready else "starting", **report.detail})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=(await look()).metrics, content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.router.add_get("/health/live", live)
    app.router.add_get("/health", health)
    for path in ("/ready", "/health/ready"):
        app.router.add_get(path, ready)
    app.router.add_get("/metrics", metrics)
    return app


async def serve(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Serve ``app`` on ``port``, or on a free one when it is taken (by a second worker, say); the actual port."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        log.warning("port %d of %s cannot be used (%s): taking a free one", port, host, error.strerror)
        await web.TCPSite(runner, host, 0).start()
    address: Any = runner.addresses[0]
    return runner, int(address[1])


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
