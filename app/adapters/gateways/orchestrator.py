"""The REST client of the Orchestrator: requirements/004, ``/api/v1/configurations``.

Every call is tried a few times with growing pauses that are the same in every run: reads harmlessly, writes because
they carry an idempotency key. What remains is told apart by what the caller should do (``app.core.ports``).
"""

from typing import Any, Literal
from urllib.parse import quote

import aiohttp
import msgspec
import stamina
from yarl import URL

from app.adapters.gateways import configuration
from app.core import actuation
from app.core.ports import Ack, Applied, Capability, Conflict, GatewayError, Plan, Refused, Unavailable
from app.core.split import Split

MAX_ANSWER_BYTES = 4 << 20
"""More than this is not an answer of an Orchestrator."""

_BUSY = frozenset((408, 425, 429))


class OrchestratorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``attempts`` tries of ``timeout_s`` each, with pauses of ``pause_s`` doubling up to ``pause_limit_s``."""

    url: str
    name: str = "orchestrator"
    token: str = ""
    timeout_s: float = 5.0
    attempts: int = 4
    pause_s: float = 0.2
    pause_limit_s: float = 5.0


class _Answer(msgspec.Struct, frozen=True):
    status: int
    etag: str
    body: bytes


class _Taken(msgspec.Struct):
    status: Literal["applied", "unchanged", "ignored"]


class _Problem(msgspec.Struct):
    detail: str = ""
    title: str = ""


_taken = msgspec.json.Decoder(_Taken).decode
_problem = msgspec.json.Decoder(_Problem).decode


class OrchestratorGateway:
    """``app.core.ports.Gateway`` over HTTP. The caller owns ``session`` and closes it."""

    def __init__(self, session: aiohttp.ClientSession, options: OrchestratorOptions) -> None:
        self._session = session
        self._options = options
        self._base = options.url.rstrip("/") + "/api/v1/configurations"
        self._timeout = aiohttp.ClientTimeout(total=options.timeout_s)
        self._auth = {"Authorization": f"Bearer {options.token}"} if options.token else {}

    @property
    def name(self) -> str:
        return self._options.name

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset(("weights", "slices", "sticky"))

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

    async def _call(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> _Answer:
        """The answer, 404 included; other failures raise. One that names its own pause is left to the caller."""
        o = self._options
        async for attempt in stamina.retry_context(
            on=_worth_another_try,
            attempts=o.attempts,
            timeout=None,
            wait_initial=o.pause_s,
            wait_max=o.pause_limit_s,
            wait_jitter=0.0,
        ).with_name(f"{o.name} {method}", (), {}):
            with attempt:
                return await self._once(method, url, body, headers or {})
        raise AssertionError("stamina ends with an answer or an error")

    async def _once(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> _Answer:
        request: dict[str, Any] = {"headers": {**self._auth, **headers}, "timeout": self._timeout}
        try:
            async with self._session.request(
                method, URL(url, encoded=True), data=body or None, allow_redirects=False, **request
            ) as answer:
                content = await _limited(answer.content)
                etag = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
                if answer.status >= 300 and answer.status != 404:
                    raise _error(answer.status, content, answer.headers.get("Retry-After", ""))
                return _Answer(answer.status, etag, content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{method} {url}: {str(error) or type(error).__name__}") from error


def _etag(answer: _Answer) -> str:
    if not answer.etag:
        raise Unavailable("the gateway's answer has no ETag")
    return answer.etag


async def _limited(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise Unavailable(f"the gateway's answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


def _worth_another_try(error: Exception) -> bool:
    return isinstance(error, Unavailable) and not error.retry_after_s


def _error(status: int, content: bytes, retry_after: str) -> GatewayError:
    try:
        problem = _problem(content)
        text = problem.detail or problem.title
    except (ValueError, RecursionError):
        text = ""
    text = f"{status} {text[:500]}".rstrip()
    if status in {409, 412}:
        return Conflict(text)
    if status >= 500 or status in _BUSY:
        return Unavailable(text, _seconds(retry_after))
    return Refused(text)


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds; a date is not read, the own back-off is used instead."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _split(body: bytes) -> Split:
    try:
        return configuration.split_of(configuration.decode(body))
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"the gateway's answer is unreadable: {error}") from error
