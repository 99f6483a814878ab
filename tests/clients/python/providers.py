"""A provider on loopback that speaks as OpenAI's and Anthropic's APIs do: whole answers, streams, errors."""

import asyncio
import json
from typing import Any, Self

from aiohttp import web

USAGE = {
    "prompt_tokens": 200, "completion_tokens": 12, "total_tokens": 212, "prompt_tokens_details": {"cached_tokens": 50},
}  # fmt: skip
CALLED = [{"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Bern"}'}}]
MODEL_ANSWERED = "m-2026-01-01"


class Provider:
    """``broken``: status of every answer, 0 for good ones. ``cut``: streams end in the middle, without an end."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.broken = 0
        self.cut = False
        self.hang = asyncio.Event()
        self.hang.set()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/responses", self._responses)
        app.router.add_post("/v1/messages", self._messages)
        app.router.add_post("/v1/messages/count_tokens", self._other)
        app.router.add_post("/v1/embeddings", self._other)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _begin(self, request: web.Request) -> tuple[dict[str, Any], web.Response | None]:
        body = await request.json()
        self.bodies.append(body)
        await self.hang.wait()
        if self.broken:
            error = {"error": {"type": "overloaded", "message": "try later"}}
            return body, web.json_response(error, status=self.broken, headers={"x-should-retry": "false"})
        return body, None

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body, refusal = await self._begin(request)
        if refusal is not None:
            return refusal
        common = {"id": "c1", "created": 1, "model": MODEL_ANSWERED, "system_fingerprint": "fp1"}
        if body.get("stream"):
            one = {**common, "object": "chat.completion.chunk"}
            deltas: list[tuple[Any, Any]] = [({"role": "assistant", "content": ""}, None), ({"content": "hel"}, None),
                                             ({"content": "lo"}, None), ({}, "stop")]  # fmt: skip
            chunks: list[Any] = [{**one, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in deltas]
            if (body.get("stream_options") or {}).get("include_usage"):
                chunks.append({**one, "choices": [], "usage": USAGE})
            return await self._stream(request, [("", chunk) for chunk in chunks], "data: [DONE]\n\n")
        message: dict[str, Any] = {"role": "assistant", "content": "hello"}
        if body.get("tools"):
            message = {"role": "assistant", "content": None, "tool_calls": CALLED}
        reason = "tool_calls" if body.get("tools") else "stop"
        choices = [{"index": 0, "finish_reason": reason, "message": message}]
        return web.json_response({**common, "object": "chat.completion", "choices": choices, "usage": USAGE})

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        body, refusal = await self._begin(request)
        if refusal is not None:
            return refusal
        text = {"type": "output_text", "text": "hello", "annotations": []}
        message = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]}
        usage = {"input_tokens": 200, "output_tokens": 12, "total_tokens": 212,
                 "input_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 0},
                 "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
        whole = {"id": "r1", "object": "response", "created_at": 1, "model": MODEL_ANSWERED, "status": "completed",
                 "output": [message], "usage": usage, "tools": [], "tool_choice": "auto", "parallel_tool_calls": True}  # fmt: skip
        if not body.get("stream"):
            return web.json_response(whole)
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        delta = {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "content_index": 0,
                 "delta": "hello", "logprobs": [], "sequence_number": 1}  # fmt: skip
        added = {**message, "status": "in_progress", "content": []}
        part = {"type": "response.content_part.added", "item_id": "m1", "output_index": 0, "content_index": 0,
                "part": {**text, "text": ""}, "sequence_number": 1}  # fmt: skip
        events: list[Any] = [{"type": "response.created", "response": begun, "sequence_number": 0},
                  {"type": "response.output_item.added", "output_index": 0, "item": added, "sequence_number": 1}, part, delta,
                  {"type": "response.completed", "response": whole, "sequence_number": 2}]  # fmt: skip
        return await self._stream(request, [(event["type"], event) for event in events])

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        body, refusal = await self._begin(request)
        if refusal is not None:
            return refusal
        usage = {
            "input_tokens": 140,
            "output_tokens": 12,
            "cache_read_input_tokens": 50,
            "cache_creation_input_tokens": 10,
        }
        whole = {"id": "m1", "type": "message", "role": "assistant", "model": MODEL_ANSWERED, "stop_reason": "end_turn",
                 "stop_sequence": None, "content": [{"type": "text", "text": "hello"}], "usage": usage}  # fmt: skip
        if not body.get("stream"):
            return web.json_response(whole)
        begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
        block = {"type": "text_delta", "text": "hello"}
        events: list[Any] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": block},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 12}},
            {"type": "message_stop"},
        ]  # fmt: skip
        return await self._stream(request, [(event["type"], event) for event in events])

    async def _other(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
        return web.json_response({"object": "list", "data": [vector], "model": "e", "input_tokens": 3,
                                  "usage": {"prompt_tokens": 1, "total_tokens": 1}})  # fmt: skip

    async def _stream(self, request: web.Request, events: list[tuple[str, Any]], end: str = "") -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for n, (name, event) in enumerate(events):
            if self.cut and n == len(events) // 2 + 1:
                assert request.transport is not None
                request.transport.abort()
                return response
            line = f"event: {name}\n" if name else ""
            await response.write(f"{line}data: {json.dumps(event)}\n\n".encode())
        await response.write(end.encode())
        await response.write_eof()
        return response
