"""Hands what gateways fetch on to the process that has it: one public port for the whole worker."""

from collections.abc import Callable

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from app.adapters.process.supervisor import Child

PATHS = ("/v1/desired/{service}", "/api/v1/edge/config")
TIMEOUT_S = 75.0
"""Longer than the longest long poll."""
MAX_BODY_BYTES = 16 << 20
_ASKED = (hdrs.AUTHORIZATION, hdrs.IF_NONE_MATCH, "X-Agent-ID")
_ANSWERED = (hdrs.ETAG, hdrs.CONTENT_TYPE, hdrs.RETRY_AFTER, hdrs.CACHE_CONTROL, hdrs.WWW_AUTHENTICATE, "X-Signature")


def hand_on(app: web.Application, session: aiohttp.ClientSession, host: str, child: Callable[[], Child | None]) -> None:
    """Answer ``PATHS`` of ``app`` with what the process ``child`` answers; 503 while it is not there."""

    async def forward(request: web.Request) -> web.Response:
        process = child()
        if process is None or not process.port:
            return _away("this worker runs no actuate" if process is None else "actuate is starting")
        # byte for byte: what the caller signed may not be spelled anew
        url = f"http://{host}:{process.port}{request.path_qs}"
        asked = {name: request.headers[name] for name in _ASKED if name in request.headers}
        asked.setdefault("X-Agent-ID", request.remote or "")
        try:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
            async with session.get(URL(url, encoded=True), headers=asked, timeout=timeout) as answer:
                body = await answer.content.read(MAX_BODY_BYTES)
                headers = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
                return web.Response(status=answer.status, body=body, headers=headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _away(f"actuate does not answer: {error}")

    for path in PATHS:
        app.router.add_get(path, forward)


def _away(why: str) -> web.Response:
    return web.json_response({"status": 503, "detail": why}, status=503, headers={hdrs.RETRY_AFTER: "1"})
