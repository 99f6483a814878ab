"""Faults inside one worker's processes: Python imports this before anything else when its folder is on PYTHONPATH.

* ``CHAOS_CLOCK_S``: the wall clock is that many seconds ahead;
* ``CHAOS_STOP_FILE``: while the file exists, the partitions it names (``topic-partition``, one a line) have no leader.
"""

import os
import time
from pathlib import Path
from typing import Any

_AHEAD_S = float(os.environ.get("CHAOS_CLOCK_S") or 0)
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


if _AHEAD_S:
    _shift_the_clock()
if _STOPPED:
    _lose_leaders(Path(_STOPPED))
