"""The kill switch, read from the commands themselves: it works while the optimizer is stopped (DESIGN section 7).

Mutable: switches by service and for all (``*``). For one service the newest of its own command and of the one for all
counts, by the broker's append time; at a tie the freeze does. So the order in which partitions are read is irrelevant.
"""

import msgspec

from app.core.batch import Batch
from app.core.commands import COMMAND
from app.core.events import ControlEvent
from app.core.ports import Decode

ALL = "*"
MAX_SERVICES = 100_000
"""Services with a switch of their own. A freeze beyond it freezes all (the safe side), a resume is refused; counted."""


class Freeze(msgspec.Struct, frozen=True):
    """Is a service frozen (``hold``: keep even an open trial), and since which append time (ms) is it so."""

    active: bool = False
    hold: bool = False
    since_ms: int = 0


class _Args(msgspec.Struct):
    hold: bool = False


class _Switch(msgspec.Struct):
    """The little of a command the kill switch needs: nothing else in it can keep it from working."""

    command: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


_switch = msgspec.json.Decoder(_Switch).decode
_args = msgspec.json.Decoder(_Args).decode
_LIVE = Freeze(since_ms=-1)


class Freezes:
    """Freeze state of every service. Fold each partition of the commands topic from its start, in offset order.

    ``known`` turns true when ``complete`` is called, after the end of every partition was seen; before that nothing may
    be applied. ``unreadable`` and ``overflowed`` count what could not be taken.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._switches: dict[str, Freeze] = {}
        self.known = False
        self.unreadable = 0
        self.overflowed = 0

    def of(self, service: str) -> Freeze:
        """The switch that counts for ``service``."""
        own, everyone = self._switches.get(service, _LIVE), self._switches.get(ALL, _LIVE)
        return max(own, everyone, key=lambda switch: (switch.since_ms, switch.active, not switch.hold))

    def complete(self) -> None:
        """Every command given before the reader started has been folded."""
        self.known = True

    def fold(self, batch: Batch) -> None:
        """Take the commands of one batch; others and unreadable ones are passed over (the latter counted)."""
        for index, value in enumerate(batch.values):
            event = self._decode(value, batch.headers[index] if batch.headers else ())
            if not isinstance(event, ControlEvent):
                self.unreadable += 1
            elif event.type == COMMAND:
                self._command(event, batch.append_ms(batch.offset(index)))

    def _command(self, event: ControlEvent, append_ms: int) -> None:
        try:
            switch = _switch(event.data)
        except (ValueError, RecursionError):
            self.unreadable += 1
            return
        if switch.command == "freeze":
            self._set(event.service, Freeze(active=True, hold=_hold(switch.args), since_ms=append_ms))
        elif switch.command == "resume":
            self._set(event.service, Freeze(since_ms=append_ms))

    def _set(self, service: str, freeze: Freeze) -> None:
        if service not in self._switches and len(self._switches) >= MAX_SERVICES and service != ALL:
            self.overflowed += 1
            if not freeze.active:
                return
            service = ALL
        self._switches[service] = freeze


def _hold(args: msgspec.Raw) -> bool:
    try:
        return _args(args).hold
    except (ValueError, RecursionError):
        return False
