"""The broker's clock as this process knows it, from the append times of what it wrote itself (rule I5).

A worker's own clock may be an hour wrong, and what it claims of an idle source closes minutes for everybody. An ack
tells the broker's time at the append, which is past when it is read: so what is known here is never ahead of the truth.
"""

import math
from collections.abc import Iterable
from typing import Any

APPEND_TIME = 1
"""The timestamp type of topics whose records carry the broker's time."""
NO_CLOCK_S = 1e9
"""Append times before this (2001) are no clock: librdkafka's mock cluster answers 1.234 s to every append."""


class BrokerClock:
    """Mutable; fed with the acks of every flush."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._newest_s = math.inf

    def acked(self, acks: Iterable[Any], local_s: float) -> None:
        """Take the acks (aiokafka's ``RecordMetadata``) that have come by ``local_s`` (epoch seconds of this machine).

        On a cluster without append times (the mock) the local clock is taken for the broker's.
        """
        known = [ack for ack in acks if ack is not None]
        stamps = [ack.timestamp / 1000 for ack in known if ack.timestamp_type == APPEND_TIME]
        stamps = [stamp for stamp in stamps if stamp > NO_CLOCK_S]
        if stamps:
            self._newest_s = max(stamps)
            self._ahead_s = self._newest_s - local_s
        elif known and self._ahead_s is None:
            self._ahead_s = 0.0

    def at(self, local_s: float) -> float | None:
        """The broker's time at ``local_s``, or some time before it; None before the first ack."""
        return None if self._ahead_s is None else min(local_s + self._ahead_s, self._newest_s)
