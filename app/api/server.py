"""The HTTP server of the API: one way in for every route, in this order: limits, who asks, right, body, answer."""

import asyncio
import contextlib
import hashlib
import logging
import math
import re
import secrets
import ssl
import time
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from app.adapters.readmodel.store import StoreError
from app.api.auth import Authenticator
from app.api.context import Context, Parts, Reply
from app.api.identity import ANONYMOUS, Identity
from app.api.limits import Buckets
from app.api.problems import Problem
from app.api.route import PREFIX, Route, params_of, run
from app.settings import Api

log = logging.getLogger(__name__)
audit = logging.getLogger("audit")

MAX_LINE = 65_536
"""Bytes of a request line: the longest parameters the document allows fit, each character written as %XX."""
MAX_FIELD = 8_190
REQUEST_ID = web.RequestKey("request_id", str)
IDENTITY = web.RequestKey("identity", Identity)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,100}").fullmatch
_AUDITED = frozenset((401, 403, 408, 413, 422, 429))
_ODD_PATH = re.compile(r"\.\.|//|\\|%(2e|2f|5c|00)", re.IGNORECASE).search
"""What no client of ours sends: somebody tries whether a path leads elsewhere."""
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Server:
    """Serves ``routes`` over ``parts``, and counts there what it answers."""

    def __init__(self, parts: Parts, routes: Sequence[Route], auth: Authenticator) -> None:
        self._parts, self._auth = parts, auth
        api = self._api = parts.settings.api
        self._buckets = Buckets(api.rate_per_s, api.rate_burst)
        self.guards = parts.guards

        @web.middleware
        async def around(request: web.Request, handler: Any) -> web.StreamResponse:
            return await self._around(request, handler)

        self.application = web.Application(client_max_size=api.max_body_bytes, middlewares=[around])
        self.application.on_startup.append(lambda _: parts.hub.start())
        self.application.on_shutdown.append(lambda _: parts.hub.stop())
        for route in routes:
            path = route.path if route.right is None else PREFIX + route.path
            self.application.router.add_route(route.method, path, self._handler(route))

    async def listen(self, host: str, port: int) -> tuple[web.AppRunner, asyncio.Server, int]:
        """Serve; the actual port comes back. Raises ``OSError``: a taken port is an error, not another port."""
        runner = web.AppRunner(self.application, access_log=None, handle_signals=False, max_line_size=MAX_LINE,
                               max_field_size=MAX_FIELD, keepalive_timeout=self._api.request_timeout_s)  # fmt: skip
        await runner.setup()
        inner: Any = runner.server
        listening = await asyncio.get_running_loop().create_server(
            self.guards.protocol(inner),
            host,
            port,
            ssl=tls(self._api),
            ssl_handshake_timeout=self._api.request_timeout_s if self._api.tls_certfile else None,
        )
        return runner, listening, int(listening.sockets[0].getsockname()[1])

    # ---- one request -----------------------------------------------------------------------------------------------
    async def _around(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Every answer, also of unknown paths: an id, the model's lag, safe headers, problems as problems."""
        self.guards.answering(request.transport, begun=True)
        request_id = _request_id(request)
        request[REQUEST_ID] = request_id
        try:
            answer: web.StreamResponse = await self._answer(request, handler)
        finally:
            self.guards.answering(request.transport, begun=False)
        self._parts.answered[answer.status] += 1
        if not answer.prepared:
            lag = self._parts.feed.lag
            answer.headers.update(
                {"X-Request-ID": request_id, **{k: v for k, v in _SAFE.items() if k not in answer.headers}}
            )
            answer.headers["Model-Lag-Records"] = str(lag.records)
            answer.headers["Model-Asked-Seconds"] = f"{lag.asked_s:.3f}"
            answer.headers["Model-Caught-Up"] = str(lag.caught_up).lower()
        return answer

    async def _answer(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
            return response
        except Problem as problem:
            return self._problem(request, problem)
        except web.HTTPRequestEntityTooLarge:
            limit = self._api.max_body_bytes
            return self._problem(request, Problem(413, "too_large", f"a body may have {limit} bytes"))
        except web.HTTPException as error:
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            word = {404: "not_found", 405: "method_not_allowed"}.get(error.status, "http_error")
            why = f"{request.method} {request.path[:200]} is not known here; see /docs"
            return self._problem(request, Problem(error.status, word, why, headers=allowed))
        except asyncio.CancelledError:
            raise
        except StoreError as error:
            return self._problem(request, Problem(503, "read_model_unavailable", str(error), retry_after_s=5))
        except Exception:
            log.exception("request %s failed", request[REQUEST_ID])
            return self._problem(
                request, Problem(500, "internal", "this is a defect; the log has it under the request id")
            )

    def _problem(self, request: web.Request, problem: Problem) -> web.Response:
        if problem.status in _AUDITED or _ODD_PATH(_path(request)):
            who: Identity | None = request.get(IDENTITY)
            audit.warning(
                "refused %s %s by %s from %s: %d %s (%s)",
                request.method, _path(request)[:200], who.name if who else "nobody", request.remote, problem.status,
                problem.error, request[REQUEST_ID],
            )  # fmt: skip
        body = problem.body(request[REQUEST_ID])
        answer = web.Response(body=body, status=problem.status, content_type="application/problem+json")
        answer.headers.update(problem.headers)
        if problem.status in {408, 413}:
            answer.force_close()
        return answer

    def _handler(self, route: Route) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            identity = await self._identify(request, route)
            params = params_of(route, request)
            raw = await self._read(request, route)
            context = Context(
                parts=self._parts,
                identity=identity,
                request_id=request[REQUEST_ID],
                idempotency_key=request.headers.get("Idempotency-Key", ""),
                if_match=request.headers.get("If-Match", ""),
                last_event_id=request.headers.get("Last-Event-ID", "")[:200],
                raw=raw,
                content_type=request.content_type,
            )
            try:
                async with asyncio.timeout(self._api.request_timeout_s):
                    reply = await run(route, context, params, raw)
            except TimeoutError:
                raise Problem(503, "timeout", "the answer took too long: ask for less", retry_after_s=1) from None
            return respond(request, reply) if reply.chunks is None else await self._follow(request, reply)

        return handle

    async def _follow(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        """An answer that goes on until its end, or until the caller does not take it any more."""
        head = {**_SAFE, "X-Request-ID": request[REQUEST_ID], "X-Accel-Buffering": "no"}
        answer = web.StreamResponse(headers=head)
        answer.content_type = reply.media
        answer.force_close()  # what it holds of the connection ends with it
        async with contextlib.aclosing(reply.chunks) as chunks:
            await answer.prepare(request)
            async for chunk in chunks:
                try:
                    async with asyncio.timeout(self._api.request_timeout_s):
                        await answer.write(chunk)
                except (TimeoutError, ConnectionError):
                    break
        return answer

    async def _identify(self, request: web.Request, route: Route) -> Identity:
        if route.right is None:
            self._bound(f"address {request.remote}")
            return ANONYMOUS
        try:
            identity = await self._auth.identify(
                request.headers.get("Authorization", ""), request.headers.get("X-API-Key", "")
            )
        except Problem:
            self._bound(f"address {request.remote}")  # guessing has a price
            raise
        request[IDENTITY] = identity
        self._bound(identity.name if identity.kind != "unauthenticated" else f"address {request.remote}")
        return identity

    def _bound(self, caller: str) -> None:
        wait_s = self._buckets.take(caller, time.monotonic())
        if wait_s:
            again_s = max(1, math.ceil(wait_s))
            raise Problem(429, "rate_limited", f"more than {self._api.rate_per_s:g} requests/s", retry_after_s=again_s)

    async def _read(self, request: web.Request, route: Route) -> bytes:
        if route.body is None:
            return b""
        if route.body is not bytes and request.content_type != "application/json":
            raise Problem(415, "unsupported_media_type", "send application/json")
        if (request.content_length or 0) > self._api.max_body_bytes:
            raise Problem(413, "too_large", f"a body may have {self._api.max_body_bytes} bytes")
        try:
            async with asyncio.timeout(self._api.request_timeout_s):
                return await request.read()
        except TimeoutError:
            raise Problem(408, "too_slow", f"the body did not come in {self._api.request_timeout_s:g} s") from None


def respond(request: web.Request, reply: Reply) -> web.Response:
    """A success, with its ETag; 304 for a GET whose caller has it already."""
    packed = isinstance(reply.body, bytes)
    text = reply.body if packed or not isinstance(reply.body, str) else reply.body.encode()
    body: bytes = text if isinstance(text, bytes) else msgspec.json.encode(text)
    etag = etag_of(body)
    headers = {"ETag": etag, **reply.headers} if request.method == "GET" else dict(reply.headers)
    if request.method == "GET" and etag in _tags(request.headers.get("If-None-Match", "")):
        return web.Response(status=304, headers=headers)
    charset = None if packed else "utf-8"
    return web.Response(body=body, status=reply.status, content_type=reply.media, charset=charset, headers=headers)


def etag_of(body: bytes) -> str:
    """A strong validator of these bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _path(request: web.Request) -> str:
    """As it came, escapes and all, without the query."""
    return request.raw_path.partition("?")[0]


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID(given) else secrets.token_hex(8)


def tls(api: Api) -> ssl.SSLContext | None:
    """TLS 1.2 or newer as the settings say; with client certificates where an authority for them is set."""
    if not api.tls_certfile:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(api.tls_certfile, api.tls_keyfile)
    if api.tls_client_cafile:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(api.tls_client_cafile)
    return context
