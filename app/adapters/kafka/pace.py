"""How long a fetch waits at the broker, by what the last one brought.

Busy, a fetch waits for many bytes, or a short while: what it costs is shared by more records. Once one came back empty,
the next waits longer, for the first byte: an idle worker asks seldom, and the first record after a silence is read at
once. A wait bounds what else goes over the same connection (rule L4: each ListOffsets stands behind it), and how long a
partition that was held back is left out, so none waits long while any is paused or not drained yet.
"""

import asyncio
import time
from typing import Any

from app.adapters.kafka.fetch_codec import quick
from app.adapters.kafka.options import LaneOptions


def keep_pace(fetcher: Any, options: LaneOptions) -> None:
    """Have aiokafka's ``fetcher`` fetch at the pace of ``options``."""
    fetcher._proc_fetch_request = Pace(fetcher, options).fetch


class Pace:
    """One fetcher's. Mutable: which brokers had nothing last time, and when each was asked last."""

    def __init__(self, fetcher: Any, options: LaneOptions) -> None:
        self._fetcher, self._options = fetcher, options
        self._fetch = fetcher._proc_fetch_request
        self._silent: set[int] = set()
        self._asked_s: dict[int, float] = {}

    async def fetch(self, assignment: Any, node: int, request: Any) -> bool:
        """Send ``request``; whether it brought records."""
        options = self._options
        try:
            await self._gap(node)
        except asyncio.CancelledError:  # as aiokafka does: the partitions are no longer of interest
            return False
        wait = options.fetch_min_bytes, options.fetch_max_wait_ms
        if (node in self._silent or options.fetch_min_bytes <= 1) and self._all_wanted(assignment):
            wait = 1, options.fetch_idle_wait_ms
        found: bool = await self._fetch(assignment, node, quick(request, *wait))
        (self._silent.discard if found else self._silent.add)(node)
        return found

    async def _gap(self, node: int) -> None:
        """Leave ``fetch_gap_s`` between two fetches: many small writes are then read together."""
        gap_s = self._options.fetch_gap_s
        if gap_s:
            left_s = self._asked_s.get(node, 0.0) + gap_s - time.monotonic()
            if left_s > 0:
                await asyncio.sleep(left_s)
            self._asked_s[node] = time.monotonic()

    def _all_wanted(self, assignment: Any) -> bool:
        """Whether no partition is left out of fetches for now."""
        held = self._fetcher._records
        states = ((tp, assignment.state_value(tp)) for tp in assignment.tps)
        return all(not state.paused and state.has_valid_position and tp not in held for tp, state in states)
