"""Silence: a service that usually has traffic has none, while others of its partition go on.

Its deadline is a tick of the engine, so silence is seen without a pane; the next pane ends it.
"""

import msgspec

from app.core.analyze.finding import EVERY, Note, Signal
from app.core.analyze.flag import Flag, raised
from app.core.analyze.scope import Scope

SILENT_S = 900
LEAST_RATE = 5.0
"""Requests a minute below which a quarter of an hour without any is no news."""
LEAST_PANES = 30
MEMORY = 0.98
KEY = f"traffic|silence|{EVERY}|{EVERY}"


class Traffic(msgspec.Struct, frozen=True, array_like=True):
    """``rate``: requests a minute over about 50 panes; ``last_s``: end of the newest pane with traffic."""

    rate: float = 0.0
    panes: int = 0
    last_s: int = 0
    flag: Flag = Flag()

    @property
    def deadline_s(self) -> int | None:
        """When silence is a finding, or None."""
        watched = self.flag.told < 0 and self.panes >= LEAST_PANES and self.rate >= LEAST_RATE
        return self.last_s + SILENT_S if watched else None


def heard(state: Traffic, scope: Scope, n: int, *, complete: bool) -> tuple[Traffic, list[Note]]:
    """A closed pane with ``n`` answers; an incomplete one is no evidence of how many there are."""
    if not n:
        return state, []
    flag, notes = raised(state.flag, KEY, None, scope.now_s, clean=0, why="there is traffic again")
    rate = state.rate
    if complete:
        rate = float(n) if not state.panes else MEMORY * rate + (1 - MEMORY) * n
    return Traffic(rate, state.panes + complete, scope.now_s, flag), notes


def waited(state: Traffic, scope: Scope) -> tuple[Traffic, list[Note]]:
    """Only time passed."""
    due_s = state.deadline_s
    if due_s is None or scope.now_s < due_s:
        return state, []
    minutes = (scope.now_s - state.last_s) // 60
    signal = Signal(
        key=KEY,
        arm=EVERY,
        segment=EVERY,
        analyzer="performance",
        family="traffic",
        kind="silence",
        metric="requests_per_min",
        severity="high",
        value=0.0,
        compared_with=state.rate,
        threshold=0.0,
        detail=f"No request for {minutes} min; usual are {state.rate:.0f} a minute.",
    )
    flag, notes = raised(state.flag, KEY, signal, scope.now_s, why="")
    return msgspec.structs.replace(state, flag=flag), notes
