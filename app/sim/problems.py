"""Errors of the HTTP interface as ``application/problem+json`` (RFC 9457)."""

import msgspec
from aiohttp import web

from app.core.ports import Conflict, Refused


class Problem(Exception):  # noqa: N818  # the RFC's word
    """An answer that is not a success. ``title`` is stable, ``detail`` is for people."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.headers = headers or {}

    def response(self) -> web.Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": str(self)}
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(body),
            content_type="application/problem+json",
            headers=self.headers,
        )


def problem_of(error: Exception, *, conditional: bool) -> Problem:
    """The answer to ``error``; ``conditional``: the request named the state it wants to replace."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return Problem(413, "too large", error.text or "the body is too large")
    if isinstance(error, web.HTTPException):
        return Problem(error.status, error.reason.lower(), error.text or error.reason)
    if isinstance(error, Conflict):
        return Problem(412 if conditional else 409, "another state", str(error))
    if isinstance(error, Refused):
        return Problem(422, "refused", str(error))
    return Problem(400, "unreadable", str(error))
