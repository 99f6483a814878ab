"""One look at the read model for all who listen: what is new goes into the bounded queue of each.

A listener that does not keep up is ended, not waited for: it comes back with the id of the last event it had, and is
told what it missed. Changes are hints without content, so many of one kind are one.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque

from app.adapters.readmodel import changes
from app.adapters.readmodel.answers import DecisionEvent
from app.adapters.readmodel.changes import Change
from app.adapters.readmodel.model import Model, Services

log = logging.getLogger(__name__)

POLL_S = 0.25
QUEUE = 500
"""Decisions that wait for one listener; also those it is told of when it comes back."""


class Listener:
    """What waits for one listener. Mutable; of one event loop.

    ``changed``: service -> tables with new rows. ``ended``: why nothing more will come; "" while it goes on.
    """

    def __init__(self, services: Services, service: str) -> None:
        self.services, self.service = services, service
        self._wake = asyncio.Event()
        self.decisions: deque[DecisionEvent] = deque()
        self.changed: dict[str, set[str]] = {}
        self.ended = ""

    def sees(self, service: str) -> bool:
        """Whether ``service`` is one it asked for and may read; ``*`` is for everybody."""
        if service == "*":
            return True
        return self.service in {"", service} and (self.services is None or service in self.services)

    def take(self, found: list[Change], decisions: list[DecisionEvent]) -> None:
        """Queue what it sees of them; more than ``QUEUE`` decisions end it."""
        for change in found:
            if change.service and self.sees(change.service):
                self.changed.setdefault(change.service, set()).add(change.what)
        self.decisions.extend(event for event in decisions if self.sees(event.service))
        if len(self.decisions) > QUEUE:
            self.end("too_slow")
        elif self.changed or self.decisions:
            self._wake.set()

    def end(self, why: str) -> None:
        """Nothing more will come."""
        self.ended = self.ended or why
        self._wake.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether something is there within ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        woken = self._wake.is_set()
        self._wake.clear()
        return woken


class Hub:
    """``start`` it, ``stop`` it. ``ended`` counts streams by why they ended."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._task: asyncio.Task[None] | None = None
        self._number = self._place = 0
        self.listeners: set[Listener] = set()
        self.ended: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin to look."""
        self._number, self._place = await asyncio.to_thread(self._now)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End every listener."""
        for listener in self.listeners:
            listener.end("stopped")
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def join(self, listener: Listener, last_id: str) -> bool:
        """Let it listen: everything may have changed, and what was decided since ``last_id`` waits for it.

        False when more than ``QUEUE`` decisions were missed: then none of them waits. An unknown id is the newest.
        """
        self.listeners.add(listener)  # first, so that nothing falls between
        found, missed = await asyncio.to_thread(self._missed, listener, last_id)
        whole = len(missed) < QUEUE
        known = {event.id for event in missed}
        waiting = [event for event in listener.decisions if event.id not in known]
        listener.decisions.clear()
        listener.take(found, [*(missed if whole else ()), *waiting])
        return whole

    def leave(self, listener: Listener) -> None:
        """It went away, or was ended."""
        self.listeners.discard(listener)
        self.ended[listener.ended or "left"] += 1

    def _now(self) -> tuple[int, int]:
        return changes.newest(self._model.store), self._model.place_of()

    def _missed(self, listener: Listener, last_id: str) -> tuple[list[Change], list[DecisionEvent]]:
        missed, _ = self._model.newer_events(self._model.place_of(last_id), listener.services, service=listener.service)
        return changes.after(self._model.store, 0), missed

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                found, decisions = await asyncio.to_thread(self._look)
            except Exception:
                log.exception("the streams miss one look at the read model")
                continue
            for listener in tuple(self.listeners):
                listener.take(found, decisions)

    def _look(self) -> tuple[list[Change], list[DecisionEvent]]:
        newest = changes.newest(self._model.store)
        if newest < self._number:  # it was made anew
            self._number, self._place = 0, self._model.place_of()
        found = changes.after(self._model.store, self._number) if newest != self._number else []
        decisions: list[DecisionEvent] = []
        if any(change.what == "events" for change in found):
            decisions, self._place = self._model.newer_events(self._place, None)
        if len(decisions) < QUEUE:  # else there are more: the next look goes on from here
            self._number = newest
        return found, decisions
