"""How many events of one minute a producer may send: one that floods costs the others nothing (opt-in).

The minute is of event time, per source partition, and the count lives and goes with the open pane. So it is a function
of the log alone (rule I0): a crash reads the pane again from its first event and refuses the same events again. Append
time or offsets would need counts from before the commit point, which a restart does not read. Nor is anything gained by
lying about the time: a late event counts in the pane of the watermark, one from the future at the append time, so a
producer reaches only the few panes that are open.
"""

from collections.abc import Sequence

import msgspec

OVER_QUOTA = "over_quota"
"""The reason of its dead letters."""
MAX_PRODUCERS = 1000
"""Producers counted apart in one pane; those beyond share one quota."""
OTHERS = ""


class Quota(msgspec.Struct, frozen=True):
    """``events`` of one producer per minute and partition. ``header``: Kafka header that names the producer (records
    without it are one producer); empty: the CloudEvent's ``source``.
    """

    events: int
    header: str = ""

    def named(self, headers: Sequence[tuple[str, bytes]]) -> str:
        """The producer that a record's headers name."""
        return next((value.decode(errors="replace") for name, value in headers if name == self.header), OTHERS)


class Spent(dict[str, int]):
    """Events so far of each producer in one pane."""

    def take(self, producer: str) -> int:
        """Count one event; how many it makes."""
        if producer not in self and len(self) >= MAX_PRODUCERS:
            producer = OTHERS
        self[producer] = spent = self.get(producer, 0) + 1
        return spent
