"""Model providers on loopback: the same API, each arm with its own latency, quality and health, over real HTTP."""

import asyncio
import random
import threading
from typing import Any, Self

import msgspec
from aiohttp import web

START_S = 10.0


class Provider(msgspec.Struct):
    """How one arm answers. ``quality`` is the mean of the scores its answers deserve. Mutable: change it any time."""

    latency_s: float = 0.01
    quality: float = 0.9
    spread: float = 0.05
    down: bool = False


class Providers:
    """``with Providers({"large": Provider()}) as there:`` serves ``there.url/<arm>/v1/chat/completions``."""

    def __init__(self, arms: dict[str, Provider], seed: int = 7) -> None:
        self.arms = arms
        self.url = ""
        self.calls: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="providers", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(START_S)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)
        self._loop.close()

    async def _serve(self) -> int:
        app = web.Application()
        app.router.add_post("/{arm}/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _complete(self, request: web.Request) -> web.Response:
        arm, body = request.match_info["arm"], await request.json()
        provider = self.arms[arm]
        self.calls[arm].append({name: value for name, value in body.items() if name != "messages"})
        if provider.down:
            return web.json_response({"error": {"message": "overloaded", "code": 503}}, status=503)
        await asyncio.sleep(provider.latency_s * self._random.uniform(0.8, 1.2))
        score = min(1.0, max(0.0, self._random.gauss(provider.quality, provider.spread)))
        message = {"role": "assistant", "content": f"{score:.4f}"}
        usage = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
        return web.json_response(
            {
                "id": "c", "object": "chat.completion", "created": 1, "model": body.get("model", ""), "usage": usage,
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            }
        )  # fmt: skip
