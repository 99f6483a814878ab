"""The spill folder: a bounded first-in-first-out on disk that survives the process.

Every process writes files of its own, under a lock that ends with it, whatever ends it. At the start, and when it is
idle, a process takes over the files of owners that are gone and sends what they accepted, with the same ids.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from llm_optimizer_client.events import Record, new_id
from llm_optimizer_client.frames import HEAD_BYTES
from llm_optimizer_client.journal import Journal, Position

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows
    fcntl = None  # type: ignore[assignment]

SEGMENTS = 16
_TRIES = 10


class Taken(NamedTuple):
    """Records on their way, and where they came from."""

    records: list[Record]
    journal: Journal
    upto: Position


class Spill:
    """At most ``max_bytes`` of records in ``folder``, by this process and those it took over. ``fsync_s``: how often
    written records are forced to the disk; 0: each at once, None: never. Mutable; the outbox holds a lock around it.

    OSError: the folder cannot be written. RuntimeError: no file locks here (Windows).
    """

    def __init__(self, folder: str | Path, max_bytes: int = 64 << 20, fsync_s: float | None = 1.0) -> None:
        if fcntl is None:  # pragma: no cover  # Windows
            raise RuntimeError("a spill folder needs POSIX file locks: leave spill= out on this system")
        self._folder, self._max_bytes, self._fsync_s = Path(folder), max_bytes, fsync_s
        self._synced_s = 0.0
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks: dict[str, int] = {}
        self._adopted: dict[str, Journal] = {}
        self._begin()
        self.adopt()

    @property
    def waiting(self) -> int:
        """Records not settled yet."""
        return self._own.waiting + sum(journal.waiting for journal in self._adopted.values())

    @property
    def damaged(self) -> int:
        """Bytes that held no whole record."""
        return self._own.damaged + self._damaged + sum(journal.damaged for journal in self._adopted.values())

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._own.size + sum(journal.size for journal in self._adopted.values())

    def append(self, record: Record) -> bool:
        """Write ``record``; False when the folder is full. OSError: the disk says no."""
        if self.size + HEAD_BYTES + 2 + len(record.key) + len(record.value) > self._max_bytes:
            return False
        self._own.append(record)
        if self._fsync_s == 0:
            self._own.sync()
        return True

    def take(self, most: int) -> Taken | None:
        """The next records: those of former owners first."""
        for journal in (*self._adopted.values(), self._own):
            records, upto = journal.take(most)
            if records:
                return Taken(records, journal, upto)
        return None

    def settle(self, taken: Taken) -> None:
        """They need no sending any more."""
        taken.journal.settle(taken.upto, len(taken.records))
        self._clear()

    def write_off(self) -> int:
        """With nothing on its way and nothing to take: how many waiting records were damaged beyond reading."""
        lost = sum(journal.write_off() for journal in (*self._adopted.values(), self._own) if journal.waiting)
        self._clear()
        return lost

    def rewind(self) -> None:
        """Take again what was taken and not settled."""
        for journal in (*self._adopted.values(), self._own):
            journal.rewind()

    def sync(self, now_s: float | None = None) -> None:
        """Force to the disk what is due."""
        now = time.monotonic() if now_s is None else now_s
        if self._fsync_s is not None and now - self._synced_s >= self._fsync_s:
            self._synced_s = now
            self._own.sync()

    def adopt(self) -> int:
        """Take over what owners left that are gone; how many records."""
        found = 0
        for path in sorted(self._folder.glob("*.lock")):
            owner = path.name.removesuffix(".lock")
            if owner in self._locks or not self._lock(owner):
                continue
            journal = Journal(self._folder, owner, self._max_bytes)
            self._adopted = {**self._adopted, owner: journal}
            found += journal.waiting
            if journal.exhausted:
                self._remove(owner)
        return found

    def close(self) -> None:
        """Let go of the files; what still waits stays for the next process."""
        for owner, journal in self._adopted.items():
            journal.close(remove=False)
            self._unlock(owner, remove=False)
        self._adopted = {}
        if self._fsync_s is not None:
            self._own.sync()
        done = self._own.exhausted
        self._own.close(remove=done)
        self._unlock(self._owner, remove=done)

    def after_fork(self) -> None:
        """In a forked child: let go of the parent's files, and begin own ones."""
        for journal in (*self._adopted.values(), self._own):
            journal.forget()
        for fd in self._locks.values():
            with contextlib.suppress(OSError):
                os.close(fd)
        self._locks.clear()
        self._adopted = {}
        self._begin()

    def _begin(self) -> None:
        self._damaged = 0
        self._owner = f"{time.time_ns():020d}-{os.getpid()}-{new_id()[:8]}"  # by name is by age
        if not self._lock(self._owner, make=True):
            raise OSError(f"{self._folder}: no lock of its own to be had")
        self._own = Journal(self._folder, self._owner, max(1 << 16, self._max_bytes // SEGMENTS))

    def _lock(self, owner: str, *, make: bool = False) -> bool:
        """Whether ``owner`` is ours now. A lock file that was removed while we waited for it is none."""
        path = self._folder / f"{owner}.lock"
        for _ in range(_TRIES if make else 1):
            try:
                fd = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
            except FileNotFoundError:
                return False
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.stat().st_ino == os.fstat(fd).st_ino:
                    self._locks[owner] = fd
                    return True
            except OSError:
                pass
            os.close(fd)
        return False

    def _clear(self) -> None:
        for owner in [owner for owner, journal in self._adopted.items() if journal.exhausted]:
            self._remove(owner)

    def _remove(self, owner: str) -> None:
        journal = self._adopted[owner]
        self._adopted = {name: other for name, other in self._adopted.items() if name != owner}
        self._damaged += journal.damaged
        journal.close(remove=True)
        self._unlock(owner, remove=True)

    def _unlock(self, owner: str, *, remove: bool) -> None:
        fd = self._locks.pop(owner)
        if remove:
            with contextlib.suppress(FileNotFoundError):
                (self._folder / f"{owner}.lock").unlink()
        os.close(fd)
