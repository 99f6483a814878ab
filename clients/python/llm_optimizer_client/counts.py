"""What became of the events of one client."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counts:
    """``accepted + replayed = sent + rejected + damaged + abandoned + waiting``, always.

    accepted: ``emit`` said yes; replayed: left by an earlier process, taken over; sent: the broker has it; rejected:
    the server refused it for good, ``reasons`` says why; damaged: unreadable in the spill file; abandoned: given up at
    ``close`` because there was no room to keep it; waiting: neither yet. Beside them: refused (``emit`` said no: all
    full, or closed), spilled (accepted into the spill file), unspilled (the disk said no; kept in memory), retries
    (sendings that have to be done again), requeued (put at the end after others of their batch went).
    """

    accepted: int = 0
    replayed: int = 0
    sent: int = 0
    rejected: int = 0
    damaged: int = 0
    abandoned: int = 0
    waiting: int = 0
    refused: int = 0
    spilled: int = 0
    unspilled: int = 0
    retries: int = 0
    requeued: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


NAMES = tuple(name for name in Counts.__dataclass_fields__ if name not in {"waiting", "reasons"})


class Counting:
    """Counters that several threads add to. Mutable."""

    def __init__(self) -> None:
        self.after_fork()

    def add(self, name: str, n: int = 1) -> None:
        """``n`` more of ``name``, a field of ``Counts``."""
        with self._lock:
            self._numbers[name] += n

    def reject(self, reason: str) -> None:
        """One event was refused by the server for good."""
        with self._lock:
            self._numbers["rejected"] += 1
            self._reasons[reason] += 1

    def after_fork(self) -> None:
        """A forked child counts its own, from zero."""
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()

    def complain(self) -> int:
        """One more complaint about the disk; how many there were."""
        with self._lock:
            self._numbers["complaints"] += 1
            return self._numbers["complaints"]

    @property
    def waiting(self) -> int:
        """Events not settled yet."""
        with self._lock:
            return self._waiting()

    def now(self) -> Counts:
        """All of them, at one moment."""
        with self._lock:
            return Counts(
                **{name: self._numbers[name] for name in NAMES}, waiting=self._waiting(), reasons=dict(self._reasons)
            )

    def _waiting(self) -> int:
        n = self._numbers
        return n["accepted"] + n["replayed"] - n["sent"] - n["rejected"] - n["damaged"] - n["abandoned"]
