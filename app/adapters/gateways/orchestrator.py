"""The REST client of the Orchestrator: requirements/004, ``/api/v1/configurations``."""

from typing import Literal
from urllib.parse import quote

import aiohttp
import msgspec

from app.adapters.gateways import configuration
from app.adapters.gateways.attempts import CallOptions
from app.adapters.gateways.http_calls import Answer, HttpCalls
from app.core import actuation
from app.core.ports import Ack, Applied, Capability, Plan, Refused, Unavailable
from app.core.split import Split


class OrchestratorOptions(CallOptions, frozen=True, kw_only=True):
    """See ``CallOptions``. ``shadow``: it mirrors traffic."""

    name: str = "orchestrator"
    shadow: bool = False

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""
        return frozenset(("weights", "slices", "sticky", *(("shadow",) if self.shadow else ())))


class _Taken(msgspec.Struct):
    status: Literal["applied", "unchanged", "ignored"]


_taken = msgspec.json.Decoder(_Taken).decode


class OrchestratorGateway:
    """``app.core.ports.Gateway`` over HTTP. The caller owns ``session`` and closes it."""

    def __init__(self, session: aiohttp.ClientSession, options: OrchestratorOptions) -> None:
        self._call = HttpCalls(session, options)
        self._options = options
        self._base = options.url.rstrip("/") + "/api/v1/configurations"

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._options.capabilities

    def plan(self, current: Split | None, desired: Split) -> Plan:
        return actuation.plan(self.capabilities, current, desired)

    async def read(self, service: str) -> Applied | None:
        answer = await self._call("GET", self._url(service))
        if answer.status == 404:
            return None
        return Applied(_split(answer.body), _etag(answer))

    async def apply(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        return await self._put("PUT", self._url(split.service), split, if_match, idempotency_key)

    async def revert(self, split: Split, if_match: str | None, idempotency_key: str) -> Ack:
        return await self._put("POST", self._url(split.service) + "/rollback", split, if_match, idempotency_key)

    async def _put(self, method: str, url: str, split: Split, if_match: str | None, key: str) -> Ack:
        replaces = {"If-None-Match": "*"} if if_match is None else {"If-Match": f'"{if_match}"'}
        headers = {**replaces, "Idempotency-Key": key, "Content-Type": "application/json"}
        answer = await self._call(method, url, configuration.encode(configuration.update_of(split)), headers)
        if answer.status == 404:
            raise Refused(f"{method} {url} is unknown there: is this an Orchestrator?")
        try:
            status = _taken(answer.body).status
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"the gateway's answer to {method} is unreadable: {error}") from error
        return Ack(status, _etag(answer))

    def _url(self, service: str) -> str:
        return f"{self._base}/{quote(service, safe='')}"


def _etag(answer: Answer) -> str:
    if not answer.etag:
        raise Unavailable("the gateway's answer has no ETag")
    return answer.etag


def _split(body: bytes) -> Split:
    try:
        return configuration.split_of(configuration.decode(body))
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"the gateway's answer is unreadable: {error}") from error
