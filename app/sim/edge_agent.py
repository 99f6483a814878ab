"""The reference Edge-Agent: ``python -m app.sim.edge_agent --url http://127.0.0.1:8080 --port 8091``.

It serves traffic (``POST /v1/route``) by what it fetched from the worker's web port, and goes on doing so while the
worker is away or after a restart of its own. With ``--grpc-port`` it takes configurations over gRPC
(``OptimizationActuator``) as well; without ``--url`` in no other way.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import click
from aiohttp import web

from app.sim.edge_pull import EdgePull
from app.sim.orchestrator import create_app, grpc_beside
from app.sim.orchestrator_state import OrchestratorState


def pulling(app: web.Application, pull: EdgePull, every_s: float) -> None:
    """Let ``app`` keep up by ``pull`` for as long as it runs."""

    async def run(_: web.Application) -> AsyncIterator[None]:
        pull.load()
        async with aiohttp.ClientSession() as session:
            task = asyncio.create_task(pull.keep_up(session, every_s))
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    app.cleanup_ctx.append(run)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8091, show_default=True, type=click.IntRange(0, 65_535), help="0: any free one.")
@click.option("--url", default="", help="The worker's web port; empty: nothing is fetched.")
@click.option("--key", default="", envvar="EDGE_KEY", help="Its gateway.desired_key (or EDGE_KEY in the environment).")
@click.option(
    "--every-s", default=5.0, show_default=True, type=click.FloatRange(0.05, 3600), help="Between two fetches."
)
@click.option(
    "--cache", default=None, type=click.Path(path_type=Path, dir_okay=False), help="File for the last good one."
)
@click.option("--token", default="", envvar="EDGE_TOKEN", help="Bearer token callers must send; empty: none.")
@click.option(
    "--grpc-port", default=-1, type=click.IntRange(-1, 65_535), help="Serve OptimizationActuator too; 0: any."
)
def main(
    host: str, port: int, url: str, key: str, every_s: float, cache: Path | None, token: str, grpc_port: int
) -> None:
    """Serve the reference Edge-Agent."""
    if url and not key:
        raise click.UsageError("--url needs --key (or EDGE_KEY): the worker answers nobody without a signature")
    if not url and grpc_port < 0:
        raise click.UsageError("set --url to fetch configurations, or --grpc-port to be given them")
    state = OrchestratorState()
    app = create_app(state, token=token)
    if url:
        name = f"edge-{socket.gethostname()}-{os.getpid()}"
        pulling(app, EdgePull(state, url, key, name, cache), every_s)
    if grpc_port >= 0:
        app.cleanup_ctx.append(grpc_beside(state, f"{host}:{grpc_port}", token))
    web.run_app(app, host=host, port=port, print=lambda text: click.echo(text, err=True))


if __name__ == "__main__":
    main()
