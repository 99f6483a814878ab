"""A proxy of ours before a real gateway's configuration interface, that misbehaves on the wire as told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import hdrs, web

PASSED = ("ETag", "Retry-After", "Content-Type")


class FaultProxy:
    """``failure``: "", down, busy, garbage, lost-answer (of ``acts``: passed on, then the connection is broken).

    ``broken_at``: number of the request, from 1, whose answer is lost whatever it is. ``passed``: what reached the
    gateway and was answered with 2xx, by path.
    """

    def __init__(self, upstream: str, acts: str) -> None:
        self.failure = ""
        self.broken_at = 0
        self.requests = 0
        self.passed: dict[str, int] = {}
        self.url = ""
        self._upstream, self._acts = upstream, acts

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FaultProxy"]:
        """Serve on ``url``."""
        app = web.Application(client_max_size=16 << 20)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as self._session:
                yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.failure == "down":
            return web.Response(status=503)
        if self.failure == "busy":
            return web.Response(status=429, headers={hdrs.RETRY_AFTER: "2"})
        if self.failure == "garbage":
            return web.Response(body=b'{"endpoint": ', content_type="application/json")
        number = self.requests
        answer = await self._forward(request)
        lost = self.failure == "lost-answer" and request.path.endswith(self._acts)
        if (lost or number == self.broken_at) and request.transport is not None:
            request.transport.abort()
        return answer

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name in {"Content-Type", "Authorization"}}
        async with self._session.request(
            request.method, self._upstream + request.raw_path, data=body or None, headers=headers
        ) as answer:
            content = await answer.read()
            if answer.status < 300:
                self.passed[request.path] = self.passed.get(request.path, 0) + 1
            sent = {name: answer.headers[name] for name in PASSED if name in answer.headers}
            return web.Response(status=answer.status, body=content, headers=sent)
