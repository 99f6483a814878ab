"""The read model for one question: filled from the topics as they are now, in a file that goes with it.

The commands of the CLI that read all read through this; `serve` fills the same store without end (``feed``). Only what
is asked for is read, and of each partition only the newest records, so that an answer comes in seconds.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Self

from app.adapters.kafka.security import librdkafka
from app.adapters.kafka.subscriber import Place, Seen, SubscribeError, Subscriber
from app.adapters.readmodel.feed import roles_of
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.sqlite import SqliteStore
from app.settings import Settings

BATCH = 2_000
NEWEST: Mapping[str, int] = MappingProxyType(
    {
        "commands": 100_000,
        "splits": 200_000,
        "optimizations": 20_000,
        "aggregates": 20_000,
        "aggregates_hourly": 50_000,
        "anomalies": 20_000,
        "dead_letters": 20_000,
    }
)
"""Role -> newest records read of each partition unless a glance says otherwise."""

Progress = Callable[[int, int], None]
"""Is told how many records were read, and of how many."""


class Glance:
    """``with Glance(settings, roles) as glance:`` has everything in ``glance.model``. Raises ``SubscribeError``.

    ``newest``: role -> newest records of each partition. ``cut``: the roles of which there is more than was read.
    """

    def __init__(
        self,
        settings: Settings,
        roles: Iterable[str],
        *,
        newest: Mapping[str, int] = MappingProxyType({}),
        progress: Progress = lambda _, __: None,
    ) -> None:
        self._settings, self._progress = settings, progress
        self._topics = {getattr(settings.topics, role): {**NEWEST, **newest}[role] for role in roles}
        self._roles = roles_of(settings.topics)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="llm-optimizer-")
        try:
            self._store = SqliteStore(Path(self._folder.name) / "glance.sqlite", self._roles, {}, durable=False)
            self._reader = self._subscribed(tail=self._topics)
            self._fill()
        except BaseException:
            self._folder.cleanup()
            raise
        self.model = Model(self._store)
        self.cut = {self._roles[topic] for topic in self._reader.cut}
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._store.close()
        self._folder.cleanup()

    def more(self, timeout_s: float) -> int:
        """Take what came since, waiting at most ``timeout_s`` for it; returns how many records. After a
        ``SubscribeError`` it may be called again: it reads on where it stood.
        """
        try:
            return self._store.take(self._reader.poll(limit=BATCH, timeout_s=timeout_s))
        except SubscribeError:
            self._reader.close()
            self._reader = self._subscribed(start=self._store.positions())
            raise

    def _subscribed(
        self, *, tail: Mapping[str, int] | None = None, start: Mapping[Place, int] = MappingProxyType({})
    ) -> Subscriber:
        return Subscriber(librdkafka(self._settings.kafka), self._topics, tail=tail, start=start)

    def _fill(self) -> None:
        done = 0
        for batch in _batches(self._reader.until_now()):
            self._store.take(batch)
            done += len(batch)
            self._progress(done, self._reader.ahead)


def _batches(records: Iterator[Seen]) -> Iterator[list[Seen]]:
    while batch := list(islice(records, BATCH)):
        yield batch
