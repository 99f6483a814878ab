"""Where splits come from: the desired-state document of a worker (signed, long poll), or the REST API (polled)."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import socket
import time
import urllib.parse
from typing import Any, NamedTuple, Protocol

from llm_optimizer_client.http import connect, parsed

WAIT_S = 30
POLL_S = 5.0
TIMEOUT_S = 10.0
MAX_BYTES = 4 << 20
SKEW_S = 300


class Fetched(NamedTuple):
    """An answer: a new document with its etag, or neither when there is nothing newer."""

    document: Any
    body: bytes
    etag: str


class Source(Protocol):
    """``fetch`` blocks until something is newer than ``etag``, at most ``wait_s`` longer than the network needs.

    ``Fetched``; None when there is nothing newer. OSError, ValueError, HTTPException: it did not work.
    """

    poll_s: float

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None: ...


class DesiredSource:
    """``url``: a worker's web address. ``key``: its gateway.desired_key. ``agent``: name of this puller.

    To hold the newest document is to be counted as a gateway that follows (docs/gateways.md, "Desired state").
    """

    poll_s = 0.0

    def __init__(self, url: str, key: str, agent: str = "") -> None:
        if not key:
            raise ValueError("desired_key: give the worker's gateway.desired_key")
        self._address, self._key = parsed(url), key.encode()
        self._agent = agent

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:
        """See ``Source``; an answer without the right signature is a ValueError."""
        path = f"/v1/desired/{urllib.parse.quote(service, safe='')}?wait_s={wait_s}"
        path = self._address.path.rstrip("/") + path
        agent = self._agent or f"python-{socket.gethostname()}-{os.getpid()}"
        headers = {"Authorization": "HMAC-SHA256 " + self._signed(f"GET\n{path}".encode()), "X-Agent-ID": agent}
        if etag:
            headers["If-None-Match"] = f'"{etag}"'
        status, answered, body = _get(self._address, path, headers, TIMEOUT_S + wait_s)
        if status == http.client.NOT_MODIFIED:
            return None
        fresh = answered.get("ETag", "").strip('"')
        if not self._is_signed(fresh.encode() + b"\n" + body, answered.get("X-Signature", "")):
            raise ValueError("the split is not signed with this key: it is not used")
        return Fetched(json.loads(body), body, fresh)

    def _signed(self, message: bytes) -> str:
        at = int(time.time())
        return f"t={at},v1={self._digest(at, message)}"

    def _is_signed(self, message: bytes, proof: str) -> bool:
        fields = dict(part.partition("=")[::2] for part in proof.split(","))
        at = fields.get("t", "")
        if not (at.isascii() and at.isdigit() and len(at) <= 12) or abs(int(at) - time.time()) > SKEW_S:
            return False
        return hmac.compare_digest(self._digest(int(at), message).encode(), fields.get("v1", "").encode())

    def _digest(self, at: int, message: bytes) -> str:
        return hmac.new(self._key, b"%d\n" % at + message, hashlib.sha256).hexdigest()


class ApiSource:
    """``GET /api/v1/services/{service}/split`` of ``llm-optimizer serve``, asked each ``poll_s`` seconds."""

    def __init__(self, url: str, key: str = "", poll_s: float = POLL_S) -> None:
        self._address, self.poll_s = parsed(url), poll_s
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def fetch(self, service: str, etag: str, wait_s: int) -> Fetched | None:  # noqa: ARG002  # it polls
        """See ``Source``."""
        path = f"{self._address.path.rstrip('/')}/api/v1/services/{urllib.parse.quote(service, safe='')}/split"
        headers = {**self._headers, **({"If-None-Match": etag} if etag else {})}
        status, answered, body = _get(self._address, path, headers, TIMEOUT_S)
        if status == http.client.NOT_MODIFIED:
            return None
        return Fetched(json.loads(body), body, answered.get("ETag", ""))

    def ask(self, question: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer of ``POST /api/v1/optimize/model-selection``. Errors as ``fetch``."""
        path = f"{self._address.path.rstrip('/')}/api/v1/optimize/model-selection"
        connection = connect(self._address, timeout_s)
        try:
            body = json.dumps(question).encode()
            connection.request("POST", path, body, {**self._headers, "Content-Type": "application/json"})
            _, _, answer = _answer(connection)
        finally:
            connection.close()
        found = json.loads(answer)
        if not isinstance(found, dict):
            raise ValueError("the API answered with something else than a selection")  # noqa: TRY004  # of one kind for callers
        return found


def _get(
    address: urllib.parse.SplitResult, path: str, headers: dict[str, str], timeout_s: float
) -> tuple[int, Any, bytes]:
    connection = connect(address, timeout_s)
    try:
        connection.request("GET", path, headers=headers)
        return _answer(connection)
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection) -> tuple[int, Any, bytes]:
    with connection.getresponse() as answer:
        body = answer.read(MAX_BYTES)
        if answer.status not in {http.client.OK, http.client.NOT_MODIFIED}:
            raise ValueError(f"the optimizer answered {answer.status}: {body[:300].decode(errors='replace')}")
        return answer.status, answer.headers, body
