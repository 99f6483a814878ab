"""Faults inside one worker's processes: Python imports this before anything else when its folder is on PYTHONPATH.

* ``CHAOS_CLOCK_S``: the wall clock is that many seconds ahead;
* ``CHAOS_SLOW_FILE``: while the file exists, every record folded by ingest costs the microseconds it names;
* ``CHAOS_STOP_FILE``: while the file exists, the partitions it names (``topic-partition``, one a line) have no leader.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

_AHEAD_S = float(os.environ.get("CHAOS_CLOCK_S") or 0)
_SLOW = os.environ.get("CHAOS_SLOW_FILE")
_STOPPED = os.environ.get("CHAOS_STOP_FILE")


def _shift_the_clock() -> None:
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + _AHEAD_S
    time.time_ns = lambda: nanoseconds() + int(_AHEAD_S * 1e9)


def _lose_leaders(file: Path) -> None:
    from aiokafka.consumer.fetcher import Fetcher

    select = Fetcher._select_read_replica

    def without_leader(self: Any, tp: Any) -> Any:
        try:
            stopped = file.read_text().split()
        except OSError:
            stopped = []
        return -1 if f"{tp.topic}-{tp.partition}" in stopped else select(self, tp)

    Fetcher._select_read_replica = without_leader


def _slow_down(file: Path) -> None:
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does a moment later: the code of this checkout
    from app.core.fold import Fold

    fold = Fold.fold

    def slowly(self: Any, batch: Any) -> None:
        fold(self, batch)
        try:
            each_us = int(file.read_text())
        except (OSError, ValueError):
            return
        time.sleep(len(batch.values) * each_us / 1e6)

    Fold.fold = slowly  # type: ignore[method-assign]


if _SLOW:
    _slow_down(Path(_SLOW))
if _AHEAD_S:
    _shift_the_clock()
if _STOPPED:
    _lose_leaders(Path(_STOPPED))
