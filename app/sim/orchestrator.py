"""The reference Orchestrator over HTTP: the REST of requirements/004 and, of 001, the routing configuration.

``python -m app.sim.orchestrator --port 8090`` serves it on loopback. ETag and If-Match guard every change (412), an
Idempotency-Key makes a repetition harmless (422 with another body), an older version is ignored and the answer says
so, errors are problem+json. ``POST /v1/route`` draws slice and arm of a request by the split in force.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable

import click
from aiohttp import hdrs, web

from app.core.ports import Conflict, Refused
from app.sim import orchestrator_api as api
from app.sim.orchestrator_state import OrchestratorState
from app.sim.problems import Problem, problem_of

MAX_BODY_BYTES = 1 << 20
RETRY_AFTER_S = 1

TOKEN: web.AppKey[str] = web.AppKey("token", str)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def create_app(state: OrchestratorState, *, token: str = "", faults: bool = False) -> web.Application:
    """The application over ``state``. ``token``: required as bearer when set. ``faults``: ``PUT /v1/faults`` exists."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_answer_problems, _authorize, _misbehave])
    app[api.STATE], app[api.ROUTING], app[TOKEN] = state, api.RoutingState(), token
    one = "/api/v1/configurations/{service_id}"
    app.router.add_post("/api/v1/configurations", api.put_configuration)
    app.router.add_get(one, api.get_configuration)
    app.router.add_put(one, api.put_configuration)
    app.router.add_delete(one, api.delete_configuration)
    app.router.add_post(one + "/rollback", api.roll_back)
    app.router.add_put("/api/v1/config/routing", api.put_routing)
    app.router.add_get("/api/v1/config/routing", api.get_routing)
    app.router.add_post("/v1/route", api.route)
    app.router.add_get("/health", api.health)
    if faults:
        app.router.add_put("/v1/faults", api.put_faults)
    return app


@web.middleware
async def _answer_problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (Problem, Conflict, Refused, ValueError, RecursionError, web.HTTPException) as error:
        conditional = hdrs.IF_MATCH in request.headers or hdrs.IF_NONE_MATCH in request.headers
        return problem_of(error, conditional=conditional).response()


@web.middleware
async def _misbehave(request: web.Request, handler: _Handler) -> web.StreamResponse:
    faults, traffic = request.app[api.STATE].faults, request.path == "/v1/route"
    if request.path in {"/v1/faults", "/health"}:
        return await handler(request)
    if faults.slow_s:
        await asyncio.sleep(faults.slow_s)
    if faults.dark or (faults.down and not traffic):
        raise Problem(503, "down", "out of order", {hdrs.RETRY_AFTER: str(RETRY_AFTER_S)})
    if faults.busy and not traffic:
        raise Problem(429, "busy", "too many requests", {hdrs.RETRY_AFTER: str(RETRY_AFTER_S)})
    if faults.garbage and not traffic:
        return web.Response(body=b'{"status": ', headers={hdrs.ETAG: '"x"'}, content_type="application/json")
    return await handler(request)


@web.middleware
async def _authorize(request: web.Request, handler: _Handler) -> web.StreamResponse:
    token, given = request.app[TOKEN], request.headers.get(hdrs.AUTHORIZATION, "")
    if token and request.path != "/health" and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Problem(401, "unauthorized", "send `Authorization: Bearer <token>`", {hdrs.WWW_AUTHENTICATE: "Bearer"})
    return await handler(request)


def grpc_beside(state: OrchestratorState, address: str, token: str) -> Callable[[web.Application], AsyncIterator[None]]:
    """For ``cleanup_ctx``: OptimizationActuator over ``state`` for as long as the application runs."""

    async def serve(_: web.Application) -> AsyncIterator[None]:
        from app.sim.orchestrator_grpc import serve_grpc

        server, port = await serve_grpc(state, address, token)
        click.echo(f"OptimizationActuator (gRPC) on port {port}", err=True)
        yield
        await server.stop(1.0)

    return serve


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8090, show_default=True, type=click.IntRange(0, 65_535), help="0: any free one.")
@click.option("--token", default="", envvar="ORCHESTRATOR_TOKEN", help="Bearer token callers must send; empty: none.")
@click.option(
    "--grpc-port", default=-1, type=click.IntRange(-1, 65_535), help="Serve OptimizationActuator too; 0: any."
)
@click.option("--faults", is_flag=True, help="Let PUT /v1/faults break it, for tests.")
def main(host: str, port: int, token: str, grpc_port: int, faults: bool) -> None:
    """Serve the reference Orchestrator; everything is kept in memory."""
    state = OrchestratorState()
    app = create_app(state, token=token, faults=faults)
    if grpc_port >= 0:
        app.cleanup_ctx.append(grpc_beside(state, f"{host}:{grpc_port}", token))
    web.run_app(app, host=host, port=port, print=lambda text: click.echo(text, err=True))


if __name__ == "__main__":
    main()
