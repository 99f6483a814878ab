"""Requests that others tell of in parts: their beginning, their first token, their end."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_optimizer_client import scope
from llm_optimizer_client.client import Client, NotConfiguredError
from llm_optimizer_client.events import MAX_TEXT, InvalidEventError, new_id

log = logging.getLogger("llm_optimizer_client")

REQUEST_ID = "llm_optimizer_request_id"
"""Where a framework's metadata carries the request id of a selection, with its receipt."""
MAX_FLIGHTS = 10_000
_TOKENS = frozenset(("input_tokens", "output_tokens", "cached_tokens"))


@dataclass
class _Flight:
    model: str
    provider: str
    request_id: str
    segment: dict[str, str]
    began_s: float
    first_s: float = 0.0


class Flights:
    """Requests under way, at most MAX_FLIGHTS: the oldest is forgotten and counted. For all threads.

    ``counts``: forgotten, unknown (an end without a beginning), untold (the event was refused).
    NotConfiguredError: the client has nowhere to send events.
    """

    def __init__(self, client: Client, service: str) -> None:
        if not client.emits:
            raise NotConfiguredError(
                "nowhere to send events: set LLM_OPTIMIZER_API or LLM_OPTIMIZER_KAFKA, or give optimizer="
            )
        self._client, self._service = client, service
        self._lock = threading.Lock()
        self._flights: OrderedDict[Any, _Flight] = OrderedDict()
        self.counts: Counter[str] = Counter()

    def begin(self, key: Any, model: str, provider: str = "", request_id: str = "") -> None:
        """A request begins. ``request_id``: that of its selection, if there was one."""
        flight = _Flight(
            model[:MAX_TEXT],
            provider[:MAX_TEXT],
            request_id or new_id(),
            dict(scope.current().segment),
            time.perf_counter(),
        )
        scope.note(flight.request_id)
        with self._lock:
            self._flights[key] = flight
            if len(self._flights) > MAX_FLIGHTS:
                self._flights.popitem(last=False)
                self.counts["forgotten"] += 1

    def knows(self, key: Any) -> bool:
        """Whether such a request is under way."""
        return key in self._flights

    def token(self, key: Any) -> None:
        """Some of the answer has come."""
        flight = self._flights.get(key)
        if flight is not None and not flight.first_s:
            flight.first_s = time.perf_counter()

    def end(self, key: Any, told: Mapping[str, Any]) -> None:
        """The answer is here; ``told``: fields of the event, those that make no sense are left out."""
        self._tell(key, told)

    def fail(self, key: Any, error_type: str) -> None:
        """There is no answer."""
        self._tell(key, {"status": "error", "error_type": error_type[:MAX_TEXT]})

    def _tell(self, key: Any, told: Mapping[str, Any]) -> None:
        ended_s = time.perf_counter()
        with self._lock:
            flight = self._flights.pop(key, None)
            if flight is None:
                self.counts["unknown"] += 1
                return
        fields: dict[str, Any] = {name: value for name, value in told.items() if _makes_sense(name, value)}
        if flight.segment and "." not in flight.request_id:
            fields["segment"] = flight.segment
        if flight.first_s:
            fields["ttft_ms"] = round((flight.first_s - flight.began_s) * 1000, 3)
        model = flight.model or fields.get("response_model") or "unknown"
        try:
            self._client.response(
                self._service, model, round((ended_s - flight.began_s) * 1000, 3),
                request_id=flight.request_id, provider=flight.provider, **fields,
            )  # fmt: skip
        except InvalidEventError as error:
            self.counts["untold"] += 1
            log.warning("an answer is not told: %s", error)


def _makes_sense(name: str, value: Any) -> bool:
    if name in _TOKENS:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000_000
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT
