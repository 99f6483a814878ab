"""A supervisor over one process per agent: its endpoints sum up theirs. It imports nothing an agent alone needs."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from app.adapters.process.exposition import join
from app.adapters.process.folder import EXIT_FOLDER, FolderError, make_usable
from app.adapters.process.forward import hand_on
from app.adapters.process.health import Report, application, serve
from app.adapters.process.signals import on_signals
from app.adapters.process.stall import Living
from app.adapters.process.supervisor import Child, Supervisor
from app.adapters.telemetry import exposition, read
from app.adapters.telemetry.catalogue import LAST_EXIT, RESTARTS
from app.existing import topics_of
from app.settings import Settings

log = logging.getLogger(__name__)

ASK_S = 2.0


async def supervise(settings: Settings, commands: Mapping[str, Sequence[str]]) -> int:
    """Run every command of ``commands`` as a child until SIGTERM; the exit code."""
    stop = asyncio.Event()
    on_signals(stop)
    try:
        make_usable(Path(settings.state.dir), "state.dir")
    except FolderError as error:
        log.critical("%s", error)
        return EXIT_FOLDER
    checking = asyncio.ensure_future(topics_of(settings))
    await asyncio.wait({checking, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        return 0
    if isinstance(code := checking.result(), int):
        return code
    supervisor = Supervisor(commands)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session:
        children = list(supervisor.children.values())
        living = Living(settings.web.stall_s)

        async def look() -> Report:
            return await _sum_up(session, settings.web.host, children)

        async def stuck() -> list[str]:
            return await _stuck(session, settings.web.host, children, living)

        app = application(look, stuck)
        if settings.gateway.desired_key:
            hand_on(app, session, settings.web.host, lambda: supervisor.children.get("actuate"))
        runner, port = await serve(app, settings.web.host, settings.web.port)
        log.info("worker: health and metrics at http://%s:%d", settings.web.host, port)
        code = await supervisor.run(stop)
        await runner.cleanup()
    return code


async def _sum_up(session: aiohttp.ClientSession, host: str, children: Sequence[Child]) -> Report:
    answers = await asyncio.gather(*(_ask(session, host, child) for child in children))
    restarts = [read(RESTARTS, child.restarts, agent=child.name) for child in children]
    exits = [read(LAST_EXIT, child.last_exit or 0, agent=child.name) for child in children]
    return Report(
        all(ready for ready, _, _ in answers),
        {"agents": {child.name: detail for child, (_, detail, _) in zip(children, answers, strict=True)}},
        join([exposition([*restarts, *exits]), *(text for _, _, text in answers)]),
    )


async def _stuck(session: aiohttp.ClientSession, host: str, children: Sequence[Child], living: Living) -> list[str]:
    """Why the worker should be started again: an agent that is stuck, or runs and has not answered for too long."""
    answers = await asyncio.gather(*(_ask_live(session, host, child) for child in children))
    why = [f"{child.name}: {text}" for child, texts in zip(children, answers, strict=True) for text in texts or ()]
    heard = {child.name: texts is not None for child, texts in zip(children, answers, strict=True)}
    return why + [f"{name}: does not answer" for name in living.lost(heard, time.monotonic())]


async def _ask_live(session: aiohttp.ClientSession, host: str, child: Child) -> Sequence[str] | None:
    """Why the agent is stuck; None: it does not answer. One that is being started again is not asked."""
    if not child.port:
        return ()
    try:
        async with session.get(f"http://{host}:{child.port}/health/live") as answer:
            return list((await answer.json()).get("why", ()))
    except (aiohttp.ClientError, TimeoutError):
        return None


async def _ask(session: aiohttp.ClientSession, host: str, child: Child) -> tuple[bool, Mapping[str, Any], str]:
    known = {"pid": child.pid, "restarts": child.restarts, "last_exit": child.last_exit, "port": child.port}
    if not child.port:
        return False, {"status": "starting", **known}, ""
    base = f"http://{host}:{child.port}"
    try:
        async with session.get(f"{base}/health") as health, session.get(f"{base}/metrics") as metrics:
            detail = await health.json()
            return detail["status"] == "ready", {**detail, **known}, await metrics.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return False, {"status": "not answering", "error": str(error), **known}, ""
