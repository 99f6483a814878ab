"""Around every call: who asks, how often, and problems as gRPC statuses; the same rules as REST."""

import logging
import math
import time
from collections import Counter
from typing import Any

import grpc

from app.api.auth import Authenticator
from app.api.identity import Identity, Right
from app.api.limits import Buckets
from app.api.problems import Problem
from app.settings import Api

audit = logging.getLogger("audit")

STATUSES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ABORTED,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.FAILED_PRECONDITION,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
AUDITED = frozenset((401, 403, 422, 429))


class Calls:
    """Authentication and limits of calls. Mutable: counts and buckets."""

    def __init__(self, api: Api, auth: Authenticator) -> None:
        self._auth = auth
        self._rate = api.rate_per_s
        self._buckets = Buckets(api.rate_per_s, api.rate_burst)
        self.answered: Counter[str] = Counter()

    async def identify(self, context: Any) -> Identity:
        """Who calls, within the rate. ``Problem`` 401, 429."""
        sent = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        peer = f"address {context.peer().rpartition(':')[0]}"
        try:
            who = await self._auth.identify(sent.get("authorization", ""), sent.get("x-api-key", ""))
        except Problem:
            self._bound(peer)
            raise
        self._bound(who.name if who.kind != "unauthenticated" else peer)
        return who

    def _bound(self, caller: str) -> None:
        wait_s = self._buckets.take(caller, time.monotonic())
        if wait_s:
            again_s = max(1, math.ceil(wait_s))
            raise Problem(429, "rate_limited", f"more than {self._rate:g} calls/s", retry_after_s=again_s)

    async def refuse(self, context: Any, method: str, problem: Problem) -> None:
        """End the call with the status of ``problem``."""
        code = STATUSES.get(problem.status, grpc.StatusCode.INTERNAL)
        self.answered[code.name] += 1
        if problem.status in AUDITED:
            audit.warning("refused grpc %s from %s: %s (%s)", method, context.peer(), code.name, problem.error)
        trailing = [("error", problem.error)]
        if problem.retry_after_s is not None:
            trailing.append(("retry-after-seconds", str(problem.retry_after_s)))
        await context.abort(code, problem.detail, trailing_metadata=tuple(trailing))


def require(who: Identity, right: Right, service: str) -> None:
    """``Problem`` 403 unless ``who`` has the right."""
    if not who.may(right, service):
        raise Problem(403, "forbidden", f"the right to {right} {service!r} is missing")
