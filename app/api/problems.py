"""What goes wrong: RFC 9457 problem details with the members of requirements/001 (error, retry_after_seconds)."""

from http import HTTPStatus
from typing import Any

import msgspec


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is not a success. ``error``: a stable snake_case word to switch on."""

    type: str
    title: str
    status: int
    error: str
    detail: str
    details: dict[str, Any] = {}
    retry_after_seconds: int | None = None
    request_id: str = ""


class Problem(Exception):  # noqa: N818  # the standard's word
    """Raised anywhere below a route; the server makes the answer of it."""

    def __init__(
        self,
        status: int,
        error: str,
        detail: str,
        *,
        details: dict[str, Any] | None = None,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.error, self.detail = status, error, detail
        self.details, self.retry_after_s = details or {}, retry_after_s
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)

    def body(self, request_id: str = "") -> bytes:
        """The JSON of the answer."""
        return msgspec.json.encode(
            ProblemBody(
                type=f"urn:llm-optimizer:problem:{self.error}",
                title=HTTPStatus(self.status).phrase,
                status=self.status,
                error=self.error,
                detail=self.detail,
                details=self.details,
                retry_after_seconds=self.retry_after_s,
                request_id=request_id,
            )
        )


def bad_request(detail: str, **details: Any) -> Problem:
    """400: the request itself is wrong."""
    return Problem(400, "bad_request", detail, details=details)


def not_found(what: str) -> Problem:
    """404, also for what the caller may not see: it does not tell what exists."""
    return Problem(404, "not_found", f"there is no {what}")
