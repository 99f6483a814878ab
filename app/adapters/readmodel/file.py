"""Which store the read model of this process is in: a database that is named, else a file of its own.

A file is ``state.dir/readmodel/N.sqlite``, the first that no other process has. So any number of replicas may share a
machine, a folder, or neither. A file may be deleted at any time between runs.
"""

import fcntl
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from app.adapters.kafka.admin import KafkaAdmin
from app.adapters.readmodel.feed import roles_of
from app.adapters.readmodel.sqlite import SqliteStore
from app.adapters.readmodel.store import Store
from app.settings import Settings

MOST = 64


class FileError(RuntimeError):
    """No file can be used; the message says why."""


class Held(msgspec.Struct, frozen=True):
    """An open store, where it is, and the lock that keeps other processes out of its file."""

    store: Store
    place: str
    lock: IO[bytes] | None = None

    def close(self) -> None:
        """Close the store, then let the file go."""
        self.store.close()
        if self.lock is not None:
            self.lock.close()


def open_model(settings: Settings) -> Held:
    """The read model's store for the cluster and topics of ``settings``. Raises ``FileError``, ``StoreError``; asks the
    broker.
    """
    roles = roles_of(settings.topics)
    about = {"cluster": cluster_of(settings), "topics": json.dumps(roles, sort_keys=True)}
    if settings.api.database_url:
        return _database(settings, roles, about)
    folder = Path(settings.state.dir) / "readmodel"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(MOST):
        lock = (folder / f"{number}.lock").open("wb")
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path = folder / f"{number}.sqlite"
            return Held(SqliteStore(path, roles, about), str(path), lock)
        lock.close()
    raise FileError(f"{MOST} processes already have a read model in {folder}: set another state.dir")


def _database(settings: Settings, roles: Mapping[str, str], about: Mapping[str, str]) -> Held:
    from app.adapters.readmodel.postgres import PostgresStore

    api = settings.api
    store = PostgresStore(api.database_url, api.database_schema, roles, about)
    return Held(store, f"in PostgreSQL, schema {api.database_schema}")


def cluster_of(settings: Settings) -> str:
    """What tells clusters apart; of a mock cluster its address, as all have one id."""
    admin = KafkaAdmin(settings)
    return settings.kafka.bootstrap_servers if admin.is_mock() else admin.cluster_id()
