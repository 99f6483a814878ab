"""The client: tells the optimizer what was answered, and asks it which model a request goes to. Thread-safe."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llm_optimizer_client.counts import Counting, Counts
from llm_optimizer_client.events import FeedbackFields, Kind, Record, ResponseFields, feedback_record, response_record
from llm_optimizer_client.follow import Follower
from llm_optimizer_client.outbox import Outbox
from llm_optimizer_client.selection import NoModelError, Selection, answered, drawn, unique_of, without_split
from llm_optimizer_client.sender import Sender
from llm_optimizer_client.settings import Settings, from_environment
from llm_optimizer_client.sources import Source
from llm_optimizer_client.spill import Spill
from llm_optimizer_client.transport import Rejection, Transport

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

log = logging.getLogger("llm_optimizer_client")

EXIT_S = 5.0
"""How long the end of the program waits for events to leave."""


class QueueFullError(RuntimeError):
    """The spill file and the queue are full (or the client is closed): the event was not accepted."""


class NotConfiguredError(RuntimeError):
    """The client was not told where to send events, or whom to ask for splits."""


class Client:
    """Give ``api`` (address of ``llm-optimizer serve``) or ``kafka`` (host:port,..., or librdkafka's configuration) to
    send events; ``desired`` (a worker's web address) with ``desired_key``, or ``api``, to select models.

    ``spill``: folder in which accepted events are kept until they are sent, up to ``spill_bytes``, forced to the disk
    each ``fsync_s`` seconds (0: one by one, None: never); without it they wait in memory, at most ``queue``.
    ``on_full``: what happens to an event when there is no room: ``refuse`` returns False, ``raise`` raises
    ``QueueFullError``. ``cache``: folder for the last good splits. ``on_rejected`` is told what the server refuses for
    good, on the sending thread.

    ValueError: a setting cannot be used. OSError: the spill folder cannot. RuntimeError: a package is missing.
    """

    def __init__(
        self,
        *,
        api: str = "",
        api_key: str = "",
        kafka: str | Mapping[str, Any] = "",
        topics: Mapping[Kind, str] | None = None,
        desired: str = "",
        desired_key: str = "",
        cache: str | Path = "",
        spill: str | Path = "",
        spill_bytes: int = 64 << 20,
        fsync_s: float | None = 1.0,
        queue: int = 10_000,
        on_full: Literal["refuse", "raise"] = "refuse",
        on_rejected: Callable[[Rejection], None] | None = None,
        event_source: str = "/llm-optimizer-client",
        transport: Transport | None = None,
        splits: Source | None = None,
    ) -> None:
        settings = Settings(
            api=api, api_key=api_key, kafka=kafka, topics=topics, desired=desired, desired_key=desired_key
        )
        self._on_full, self._event_source = on_full, event_source
        self._counting = Counting()
        self._transport = transport or settings.transport()
        source = splits or settings.source()
        self._api = settings.api_source()
        self._follower = Follower(source, cache) if source is not None else None
        kept = Spill(spill, spill_bytes, fsync_s) if spill else None
        self._outbox = Outbox(self._counting, queue, kept)
        self._sender: Sender | None = None
        if self._transport is not None:
            self._sender = Sender(self._outbox, self._transport, self._counting, on_rejected)
            if self._counting.waiting:
                self._sender.notify()
        self._closing = threading.Lock()
        _CLIENTS.add(self)

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None, **more: Any) -> Self:
        """As the environment says (``settings.VARIABLES``); ``more`` goes before it."""
        return cls(**{**from_environment(os.environ if env is None else env), **more})

    # ---- events
    def response(self, service: str, model: str, latency_ms: float, **fields: Unpack[ResponseFields]) -> bool:
        """Say that a request was answered, now or at ``event_time``; whether the event is accepted.

        Accepted: it will be sent, or ``counts`` will say why not. ``InvalidEventError`` names a field that is wrong;
        ``QueueFullError`` as ``on_full`` says. Never waits for a network.
        """
        return self.emit(response_record(self._event_source, service, model, latency_ms, fields))

    def feedback(self, request_id: str = "", **fields: Unpack[FeedbackFields]) -> bool:
        """Score an answer by its request id (which carries the receipt), or a ``service``. As ``response``."""
        return self.emit(feedback_record(self._event_source, request_id, fields))

    def emit(self, record: Record) -> bool:
        """Accept one event that is already made."""
        if self._sender is None:
            raise NotConfiguredError(
                "nowhere to send events: give api= or kafka= (LLM_OPTIMIZER_API, LLM_OPTIMIZER_KAFKA)"
            )
        if self._outbox.put(record):
            self._sender.notify()
            return True
        if self._on_full == "raise":
            raise QueueFullError(
                "the event was not accepted: the spill file and the queue are full, or the client is closed"
            )
        return False

    @property
    def emits(self) -> bool:
        """Whether it was told where to send events."""
        return self._sender is not None

    @property
    def selects(self) -> bool:
        """Whether it was told whom to ask for splits."""
        return self._follower is not None

    def counts(self) -> Counts:
        """What became of the events so far."""
        return self._counting.now()

    def rejections(self) -> list[Rejection]:
        """The newest events the server refused for good, 100 at most."""
        return list(self._sender.rejections) if self._sender is not None else []

    # ---- models
    def select_model(
        self,
        service: str,
        *,
        session: str = "",
        request_id: str = "",
        tenant: str = "",
        task_type: str = "",
        region: str = "",
        default: str = "",
        patience_s: float = 1.0,
    ) -> Selection:
        """Draw slice and arm of a request from the newest split of ``service``, here, without a call to anybody.

        The first time it waits ``patience_s`` for the split. While the optimizer is away the last good split is used;
        if there never was one, ``default`` is the model. ``NoModelError``: nor was there a default.
        """
        if self._follower is None and not default:
            raise NotConfiguredError(
                "nobody to ask for splits: give desired= or api= (LLM_OPTIMIZER_URL, LLM_OPTIMIZER_API)"
            )
        unique = unique_of(request_id)
        split = self._follower.split(service, patience_s) if self._follower is not None else None
        if split is not None:
            return drawn(split, unique, session, {"tenant": tenant, "task_type": task_type, "region": region})
        return _default(service, default, unique)

    def ask_model(
        self,
        service: str,
        *,
        session: str = "",
        request_id: str = "",
        default: str = "",
        timeout_s: float = 2.0,
        **more: Any,
    ) -> Selection:
        """Have the REST API draw (one call each). ``more``: other fields of ModelSelectionRequest, as ``constraints``.

        When it does not answer in time: as ``select_model``.
        """
        if self._api is None:
            raise NotConfiguredError("no API to ask: give api= (LLM_OPTIMIZER_API)")
        unique = unique_of(request_id)
        question = {**more, "service": service, "request_id": unique, "session_id": session}
        try:
            return answered(self._api.ask(question, timeout_s))
        except (OSError, ValueError, KeyError, TypeError, HTTPException) as error:
            log.info("the API did not select a model: %s", error)
        parts = {name: str(text) for name, text in (more.get("segment") or {}).items()}
        return self.select_model(service, session=session, request_id=unique, default=default, patience_s=0.0, **parts)

    # ---- the end
    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything accepted is settled; False when it is not after ``timeout_s``."""
        return self._sender is None or self._sender.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Accept no more, give what waits ``timeout_s`` to leave, keep the rest in the spill folder; without one it is
        lost, counted and logged. Whether nothing was left. A second call does nothing.
        """
        with self._closing:
            if self not in _CLIENTS:
                return True
            _CLIENTS.discard(self)
        self._outbox.refuse_more()
        done = self.flush(timeout_s)
        if self._follower is not None:
            self._follower.stop()
        if self._sender is not None and self._sender.stop(1.0 if done else min(timeout_s, 1.0)) and self._transport:
            self._transport.close()
        self._outbox.close()
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def aflush(self, timeout_s: float = 10.0) -> bool:
        """``flush`` without blocking the event loop."""
        return await asyncio.to_thread(self.flush, timeout_s)

    async def aclose(self, timeout_s: float = 10.0) -> bool:
        """``close`` without blocking the event loop."""
        return await asyncio.to_thread(self.close, timeout_s)

    async def aselect_model(self, service: str, **more: Any) -> Selection:
        """``select_model`` without blocking the event loop while the first split is awaited."""
        known = self._follower is None or self._follower.knows(service)
        if known:
            return self.select_model(service, **more)
        return await asyncio.to_thread(self.select_model, service, **more)

    async def aask_model(self, service: str, **more: Any) -> Selection:
        """``ask_model`` without blocking the event loop."""
        return await asyncio.to_thread(self.ask_model, service, **more)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def after_fork(self) -> None:
        """In a forked child: what waits is the parent's; threads, connections and files begin anew."""
        self._closing = threading.Lock()
        self._counting.after_fork()
        self._outbox.after_fork()
        if self._transport is not None:
            self._transport.after_fork()
        if self._sender is not None:
            self._sender.after_fork()
        if self._follower is not None:
            self._follower.after_fork()


def _default(service: str, default: str, unique: str) -> Selection:
    if not default:
        raise NoModelError(f"the split of {service!r} is not known (yet): give a default= model")
    return without_split(service, default, unique)


_CLIENTS: set[Client] = set()
"""Until they are closed: one that is dropped may still have accepted events to send."""
_default_client: Client | None = None
_making = threading.Lock()


def default_client() -> Client:
    """The one client of this process that the environment configures; made at the first call."""
    global _default_client  # noqa: PLW0603  # there is one environment
    with _making:
        if _default_client is None or _default_client not in _CLIENTS:
            _default_client = Client.from_environment()
        return _default_client


def _after_fork() -> None:
    global _making  # noqa: PLW0603  # another thread of the parent may have held it
    _making = threading.Lock()
    for client in list(_CLIENTS):
        client.after_fork()


@atexit.register
def _at_exit() -> None:
    for client in list(_CLIENTS):
        client.close(EXIT_S)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
