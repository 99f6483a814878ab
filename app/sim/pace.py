"""Keeps event time and the optimizer together: the loop may run ahead by a stated number of minutes, no more.

Bounded staleness is what makes the loop closed: every request meets a split decided from evidence that is at most
``ahead_min`` event minutes old. It also keeps the mock cluster's 5 MB a partition from overflowing unread.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from app.core.actuation import newness
from app.core.split import Split
from app.sim.ledger import Ledger
from app.sim.watch import MINUTE_S, Watch

AHEAD_MIN = 5
"""A minute, its allowed lateness of 30 s, and three minutes for the decision to travel while traffic goes on."""


class StalledError(RuntimeError):
    """The optimizer does not follow any more; the message says how far it came."""


class Pace:
    """Waits for the optimizer.

    ``read`` takes what is new into the watch and returns how many records that were, waiting a moment for the first.
    ``held`` gives the split a service has at the gateway. ``check`` raises when something the run needs has died.
    """

    def __init__(
        self,
        watch: Watch,
        ledger: Ledger,
        *,
        read: Callable[[], int],
        held: Callable[[str], Split | None],
        check: Callable[[], None],
        ahead_min: int = AHEAD_MIN,
        stall_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gateway_down = False
        self.waited_s = 0.0
        self._watch = watch
        self._ledger = ledger
        self._read = read
        self._held = held
        self._check = check
        self._ahead_s = ahead_min * MINUTE_S
        self._stall_s = stall_s
        self._clock = clock

    def follow(self, now_s: int) -> None:
        """Return once every minute up to ``ahead_min`` before ``now_s`` is closed and decided on, and the gateway has
        the newest split (it need not while it is down). ``StalledError`` when nothing new came for ``stall_s``.
        """
        self.wait_for(lambda: self._behind(now_s - self._ahead_s))

    def catch_up(self, until_s: int) -> None:
        """Return once every minute that ends by ``until_s`` is closed."""
        self.wait_for(lambda: self._unclosed(until_s))

    def wait_for(self, missing: Callable[[], Iterable[str]]) -> None:
        """Read until nothing is ``missing``; what is missing is named when the wait was in vain."""
        began_s = heard_s = self._clock()
        self._read()
        while left := list(missing()):
            if self._read():
                heard_s = self._clock()
            elif self._clock() - heard_s > self._stall_s:
                raise StalledError(f"nothing new for {self._stall_s:.0f} s while waiting for {'; '.join(left)}")
            self._check()
        self.waited_s += self._clock() - began_s

    def _behind(self, until_s: int) -> list[str]:
        return [*self._unclosed(until_s), *(() if self.gateway_down else self._unapplied())]

    def _unclosed(self, until_s: int) -> list[str]:
        closed: Mapping[str, int] = self._watch.closed_s
        wanted = {name: self._ledger.last_minute_end(name, until_s) for name in self._ledger.minutes}
        return [
            f"the minutes of {name} up to {end} (closed: {closed.get(name, 0)})"
            for name, end in wanted.items()
            if end is not None and closed.get(name, 0) < end
        ]

    def _unapplied(self) -> list[str]:
        return [
            f"version {split.version} of {name} at the gateway"
            for name, split in self._watch.splits.items()
            if (held := self._held(name)) is None or newness(held) < newness(split)
        ]
