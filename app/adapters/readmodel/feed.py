"""Keeps a store up to date with its topics, in a thread of its own, for as long as the process lives.

Retention follows the broker's: rows go when the records they came from would (``app.topics``), one sweep an hour.
"""

import logging
import threading
import time
from collections.abc import Mapping

import msgspec

from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Place, SubscribeError, Subscriber
from app.adapters.readmodel.project import ROLES
from app.adapters.readmodel.store import Store, StoreError
from app.settings import Settings, Topics
from app.topics import declared

log = logging.getLogger(__name__)

BATCH = 5_000
POLL_S = 0.25
RETRY_S = 2.0
STOP_S = 10.0
"""A batch takes far less; one that does not is rolled back by the end of the process."""
SWEEP_S = 3_600.0


class Lag(msgspec.Struct, frozen=True):
    """How far behind the topics the model is: ``records`` not taken yet, as of ``asked_s`` seconds ago.

    ``caught_up``: it had every record when it last asked. ``error``: why it cannot read now; empty when it can.
    """

    records: int = 0
    asked_s: float = 0.0
    caught_up: bool = False
    error: str = ""


def roles_of(topics: Topics) -> dict[str, str]:
    """Topic -> role, of the topics the model is made of."""
    return {getattr(topics, role): role for role in ROLES}


def kept_ms(topics: Topics) -> dict[str, int]:
    """How long the records of each role are kept; a role without an end is left out."""
    kept = {topic.role: int(topic.config.get("retention.ms", "-1")) for topic in declared(topics)}
    return {role: kept[role] for role in ROLES if kept[role] > 0}


class Feed:
    """``start`` it, ``stop`` it. ``lag`` may be asked from any thread."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readmodel", daemon=True)
        self._records, self._asked_s, self._error = 0, time.monotonic(), "nothing was read yet"
        self._swept_s = 0.0

    def start(self) -> None:
        """Begin to read; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def wait(self, timeout_s: float) -> bool:
        """Whether the model had every record at some time within ``timeout_s``."""
        return self._caught_up.wait(timeout_s)

    @property
    def lag(self) -> Lag:
        """How far behind it is now."""
        caught_up = self._caught_up.is_set() and not self._records and not self._error
        return Lag(self._records, round(time.monotonic() - self._asked_s, 3), caught_up, self._error)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read()
            except (SubscribeError, StoreError) as error:
                self._say(str(error))
            except Exception as error:
                log.exception("the read model cannot go on; it tries again")
                self._say(f"{type(error).__name__}: {error}")
            self._stop.wait(RETRY_S)

    def _say(self, error: str) -> None:
        if error != self._error:
            log.warning("read model: %s", error)
        self._error = error

    def _read(self) -> None:
        topics = [getattr(self._settings.topics, role) for role in ROLES]
        positions = self._store.positions()
        with Subscriber(librdkafka(self._settings.kafka), topics, start=positions) as reader:
            if strange := _beyond(positions, reader.bounds()):
                self._store.forget(strange)
                raise SubscribeError(f"{len(strange)} partitions are shorter than they were: they are read again")
            while not self._stop.is_set():
                records = reader.poll(limit=BATCH, timeout_s=POLL_S)
                if records:
                    self._store.take(records)
                    self._sweep(max(record.append_ms for record in records))
                self._measure(reader, positions, [((r.topic, r.partition), r.offset + 1) for r in records])

    def _measure(self, reader: Subscriber, positions: dict[Place, int], ends: list[tuple[Place, int]]) -> None:
        positions.update(ends)
        bounds = reader.bounds(cached=True)
        if all(high >= 0 for _, high in bounds.values()):
            self._records = sum(
                max(0, high - max(positions.get(place, 0), low)) for place, (low, high) in bounds.items()
            )
            self._asked_s, self._error = time.monotonic(), ""
            if not self._records:
                self._caught_up.set()

    def _sweep(self, newest_ms: int) -> None:
        if time.monotonic() - self._swept_s > SWEEP_S or not self._swept_s:
            self._swept_s = time.monotonic()
            self._store.prune(kept_ms(self._settings.topics), newest_ms)


def _beyond(positions: Mapping[Place, int], bounds: Mapping[Place, tuple[int, int]]) -> list[Place]:
    return [place for place, next_ in positions.items() if place in bounds and next_ > bounds[place][1]]
