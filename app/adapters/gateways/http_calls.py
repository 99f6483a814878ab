"""Calls to a gateway over HTTP: tried a few times, bounded, failures told apart by what the caller should do."""

from typing import Any

import aiohttp
import msgspec
from yarl import URL

from app.adapters.gateways.attempts import MAX_ANSWER_BYTES, CallOptions, attempted, seconds
from app.core.ports import Conflict, GatewayError, Refused, Unavailable

_BUSY = frozenset((408, 425, 429))


class Answer(msgspec.Struct, frozen=True):
    """An answer of status 2xx, or 404. ``etag`` without its quotes, empty when there is none."""

    status: int
    etag: str
    body: bytes


class HttpCalls:
    """The caller owns ``session`` and closes it."""

    def __init__(self, session: aiohttp.ClientSession, options: CallOptions) -> None:
        self._session, self._options = session, options
        self._timeout = aiohttp.ClientTimeout(total=options.timeout_s)
        self._auth = {"Authorization": f"Bearer {options.token}"} if options.token else {}

    async def __call__(self, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        """The answer to ``method`` at ``url`` (percent-encoded), 404 included; other failures raise GatewayError."""
        return await attempted(self._options, method, lambda: self._once(method, url, body, headers or {}))

    async def _once(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        request: dict[str, Any] = {"headers": {**self._auth, **headers}, "timeout": self._timeout}
        try:
            async with self._session.request(
                method, URL(url, encoded=True), data=body or None, allow_redirects=False, **request
            ) as answer:
                content = await _limited(answer.content)
                etag = answer.headers.get("ETag", "").removeprefix("W/").strip('"')
                if answer.status >= 300 and answer.status != 404:
                    raise _error(answer.status, content, answer.headers.get("Retry-After", ""))
                return Answer(answer.status, etag, content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"{method} {url}: {str(error) or type(error).__name__}") from error


async def _limited(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise Unavailable(f"the gateway's answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(content)


def _error(status: int, content: bytes, retry_after: str) -> GatewayError:
    text = f"{status} {_said(content)[:500]}".rstrip()
    if status in {409, 412}:
        return Conflict(text)
    if status >= 500 or status in _BUSY:
        return Unavailable(text, seconds(retry_after))
    return Refused(text)


def _said(content: bytes) -> str:
    """What an answer says is wrong: RFC 9457's ``detail`` or ``title``, or the ``message`` others use."""
    try:
        problem = msgspec.json.decode(content, type=dict[str, Any])
    except (ValueError, RecursionError):
        return ""
    return next((text for name in ("detail", "title", "message") if isinstance(text := problem.get(name), str)), "")
