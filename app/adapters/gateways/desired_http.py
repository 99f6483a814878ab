"""The desired-state document over HTTP: ``GET /v1/desired/{service}`` for anybody, and the Edge-Agent's
``GET /api/v1/edge/config`` (requirements/001). Both need a signature (``signature``), answer 304 to whoever holds the
newest, and take ``If-None-Match`` for the word that its document is in use.
"""

import time
from typing import Any

import msgspec
from aiohttp import hdrs, web

from app.adapters.gateways import signature
from app.adapters.gateways.configuration import update_of
from app.adapters.gateways.desired import DesiredState, Document
from app.core.ids import stable_id

WAIT_S_MAX = 60.0
MAX_NAME = 200
AGENT = "X-Agent-ID"
SIGNATURE = "X-Signature"


class DesiredRoutes:
    """``add_to`` an application. ``key``: shared with the pullers. ``max_waiting``: long polls at one time."""

    def __init__(self, state: DesiredState, key: str, max_waiting: int = 1_000) -> None:
        self._state, self._key, self._max_waiting = state, key, max_waiting

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/v1/desired/{service}", self.desired)
        app.router.add_get("/api/v1/edge/config", self.edge_config)

    async def desired(self, request: web.Request) -> web.Response:
        """The split of a service. ``?wait_s=30``: answer only when there is a newer one, at most that much later."""
        if (refusal := self._refusal(request)) is not None:
            return refusal
        state, service, held = self._state, request.match_info["service"], _held(request)
        wait_s = _wait_s(request)
        if wait_s is None:
            return problem(400, f"wait_s must be a number from 0 to {WAIT_S_MAX:g}")
        if len(service) > MAX_NAME:
            return problem(400, f"a service's name has at most {MAX_NAME} characters")
        if held:
            state.acknowledge(service, _puller(request), held)
        if wait_s and _is_current(state.document(service), held):
            if state.waiting >= self._max_waiting:
                state.counts["too_many_waiting"] += 1
                return problem(429, "too many callers wait already: ask without wait_s", {hdrs.RETRY_AFTER: "5"})
            await state.changed(service, wait_s)
        document = state.document(service)
        if document is None:
            return self._missing(service)
        return self._answer(document.etag, document.body, held)

    async def edge_config(self, request: web.Request) -> web.Response:
        """Every service's configuration at once, in the words of requirements/001."""
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if not self._state.complete:
            return self._missing("*")
        documents, held = self._state.documents(), _held(request)
        etag = stable_id(*(document.etag for document in documents))
        if held == etag:
            for document in documents:
                self._state.acknowledge(document.split.service, _puller(request), document.etag)
        return self._answer(etag, msgspec.json.encode(_edge(etag, documents)), held)

    def _answer(self, etag: str, body: bytes, held: str) -> web.Response:
        fresh = etag == held
        self._state.counts["not_modified" if fresh else "fetched"] += 1
        sent = b"" if fresh else body
        proof = signature.signed(self._key, signature.answer(etag, sent), int(time.time()))
        headers = {hdrs.ETAG: f'"{etag}"', SIGNATURE: proof, hdrs.CACHE_CONTROL: "no-cache"}
        if fresh:
            return web.Response(status=304, headers=headers)
        return web.Response(body=sent, headers=headers, content_type="application/json")

    def _refusal(self, request: web.Request) -> web.Response | None:
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        message = signature.request(request.method, request.path_qs)
        if scheme == signature.SCHEME and signature.is_signed(self._key, message, given, int(time.time())):
            return None
        self._state.counts["unauthorized"] += 1
        return problem(
            401,
            f"sign the request with gateway.desired_key: `Authorization: {signature.SCHEME} t=<unix seconds>,v1=<hex>` "
            f"(at most {signature.SKEW_S} s old), see docs/gateways.md",
            {hdrs.WWW_AUTHENTICATE: signature.SCHEME},
        )

    def _missing(self, service: str) -> web.Response:
        if not self._state.complete:
            return problem(503, "the log is still being read: ask again", {hdrs.RETRY_AFTER: "1"})
        return problem(404, f"{service!r} has no split (yet), or is frozen since before its first one")


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """An RFC 9457 answer."""
    body = msgspec.json.encode({"status": status, "detail": detail})
    return web.Response(status=status, body=body, headers=headers, content_type="application/problem+json")


def _held(request: web.Request) -> str:
    return request.headers.get(hdrs.IF_NONE_MATCH, "").strip().removeprefix("W/").strip('"')[:MAX_NAME]


def _puller(request: web.Request) -> str:
    return (request.headers.get(AGENT) or request.remote or "")[:MAX_NAME]


def _wait_s(request: web.Request) -> float | None:
    try:
        wait_s = float(request.query.get("wait_s", "0"))
    except ValueError:
        return None
    return wait_s if 0 <= wait_s <= WAIT_S_MAX else None


def _is_current(document: Document | None, held: str) -> bool:
    return document is None or document.etag == held


def _edge(etag: str, documents: list[Document]) -> dict[str, Any]:
    splits = [document.split for document in documents]
    return {
        "version": etag,
        "routing_rules": [update_of(split) for split in splits],
        "optimization_settings": {
            s.service: {arm.name: arm.features for arm in s.arms if arm.features} for s in splits
        },
        "available_models": sorted({arm.model for split in splits for arm in split.arms}),
    }
