"""Events over HTTP: batches to ``POST /api/v1/events`` of ``llm-optimizer serve``; the good ones are taken."""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.parse
from typing import Any

from llm_optimizer_client.events import Record
from llm_optimizer_client.transport import Rejection, Sent

BATCH = "application/cloudevents-batch+json"
TIMEOUT_S = 15.0
MAX_ANSWER = 4 << 20
SLOW_S = 10.0
"""Pause after an answer that a person has to mend: no right, wrong address."""
IDLE_S = 20.0
"""A connection not used for longer is not trusted to be open still."""


class HttpTransport:
    """``url``: address of the API, as http://127.0.0.1:8088. ``key``: its API key or bearer token. Mutable.

    ValueError: not an address.
    """

    def __init__(self, url: str, key: str = "", *, max_records: int = 500, max_bytes: int = 900_000) -> None:
        self._address = parsed(url)
        self._path = self._address.path.rstrip("/") + "/api/v1/events"
        self._headers = {"Content-Type": BATCH, **({"Authorization": f"Bearer {key}"} if key else {})}
        self.max_records, self._max_bytes = max_records, max_bytes
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0

    def send(self, records: list[Record]) -> Sent:
        """Post as many as fit into one request; the rest comes back as ``again``."""
        batch, rest = self._fitting(records)
        body = b"[" + b",".join([record.value for record in batch]) + b"]"
        try:
            status, headers, answer = self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Sent(again=records, error=f"{self._address.netloc}: {str(error) or type(error).__name__}")
        return self._read(status, headers, answer, batch, rest)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork(self) -> None:
        """The socket is the parent's: a child that closed it in order would end the parent's TLS session."""
        self._connection = None

    def _fitting(self, records: list[Record]) -> tuple[list[Record], list[Record]]:
        size, n = 2, 0
        for record in records[: self.max_records]:
            size += len(record.value) + 1
            if n and size > self._max_bytes:
                break
            n += 1
        return records[:n], records[n:]

    def _post(self, body: bytes) -> tuple[int, Any, bytes]:
        now = time.monotonic()
        if self._connection is not None and now - self._used_s > IDLE_S:
            self.close()
        if self._connection is None:
            self._connection = connect(self._address, TIMEOUT_S)
        self._used_s = now
        self._connection.request("POST", self._path, body, self._headers)
        with self._connection.getresponse() as answer:
            content = answer.read(MAX_ANSWER)
            if answer.will_close or not answer.isclosed():
                self.close()
            return answer.status, answer.headers, content

    def _read(self, status: int, headers: Any, answer: bytes, batch: list[Record], rest: list[Record]) -> Sent:
        pause_s = _seconds(headers.get("Retry-After", ""))
        why = f"{self._address.netloc} answered {status}: {answer[:300].decode(errors='replace')}"
        if status in {202, 207, 422} and (taken := _taken(answer, batch)) is not None:
            return Sent(taken.delivered, taken.rejected, [*taken.again, *rest], pause_s, taken.error)
        if status in {400, 413, 422} and len(batch) == 1:
            return Sent(0, [Rejection(batch[0], f"http_{status}", why)], rest)
        if status in {400, 413, 422}:
            return self._halves(batch, rest)
        if status in {401, 403, 404, 405, 415}:
            pause_s = max(pause_s, SLOW_S)
        return Sent(again=[*batch, *rest], pause_s=pause_s, error=why)

    def _halves(self, batch: list[Record], rest: list[Record]) -> Sent:
        """One of them, or all together, cannot be read: find out which."""
        half = len(batch) // 2
        first, second = self.send(batch[:half]), self.send(batch[half:])
        return Sent(
            first.delivered + second.delivered,
            [*first.rejected, *second.rejected],
            [*first.again, *second.again, *rest],
            max(first.pause_s, second.pause_s),
            first.error or second.error,
        )


def parsed(url: str) -> urllib.parse.SplitResult:
    """An http or https address; ValueError says what is wrong with it."""
    address = urllib.parse.urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ValueError(f"{url!r} is no address: give one as http://127.0.0.1:8088")
    return address


def connect(address: urllib.parse.SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    """A connection that is made at the first request."""
    host = str(address.hostname)
    if address.scheme == "https":
        return http.client.HTTPSConnection(host, address.port, timeout=timeout_s, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, address.port, timeout=timeout_s)


def _taken(answer: bytes, batch: list[Record]) -> Sent | None:
    """What the server says of each event; None when it does not say that."""
    try:
        body = json.loads(answer)
        refused = {int(one["index"]): (str(one["reason"]), str(one["detail"])) for one in body["rejected"]}
        accepted = int(body["accepted"])
    except (ValueError, KeyError, TypeError):
        return None
    if accepted + len(refused) != len(batch) or not all(0 <= index < len(batch) for index in refused):
        return None
    again = [batch[index] for index, (reason, _) in sorted(refused.items()) if reason == "not_written"]
    rejected = [
        Rejection(batch[index], reason, detail)
        for index, (reason, detail) in sorted(refused.items())
        if reason != "not_written"
    ]
    errors = [detail for reason, detail in refused.values() if reason == "not_written"]
    return Sent(accepted, rejected, again, error=errors[0] if errors else "")


def _seconds(text: str) -> float:
    return min(60.0, float(text)) if text.isascii() and text.isdigit() else 0.0
