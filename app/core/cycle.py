"""Where a service is in its OODA loop: the nine states of requirements/004 and their transitions, nothing else.

A state is read off the row, never stored, so it cannot disagree with what the row does. Between two steps a row rests
in one of seven; ``analyzing`` and ``deciding`` are passed within a step, by the watermark that ends the quarter.

    trigger        begins a pass                                   requirements/004
    time           the quarter of an hour is over (watermark)      main loop; each pane: fast path; each hour: deep
    threshold      a finding of our own analyzers                  metric violations
    event          an alert from outside                           Sentinel, Governance
    on-demand      a command                                       API, CLI
"""

from collections.abc import Mapping
from typing import Literal

from app.core.row import Row

State = Literal[
    "idle",
    "observing",
    "analyzing",
    "deciding",
    "validating",
    "deploying",
    "monitoring",
    "rolling-back",
    "complete",
]

TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "idle": ("observing",),
    "observing": ("analyzing",),
    "analyzing": ("deciding", "idle"),
    "deciding": ("validating",),
    "validating": ("deploying", "idle"),
    "deploying": ("monitoring",),
    "monitoring": ("complete", "rolling-back"),
    "rolling-back": ("idle",),
    "complete": ("idle",),
}
"""The drawing: on trigger; buffer full or timeout; opportunity or none; strategy selected; valid or not; deployment
started; success or failure; rollback complete; cleanup done.
"""

GOOD_ENDS = frozenset(("promote", "admit"))
BAD_ENDS = frozenset(("roll-back", "fail-over"))


def state_of(row: Row) -> State:
    """Where ``row`` rests.

    validating: a proposal waits for its answer. deploying: the first step of a trial is published and its traffic not
    seen yet. monitoring: a trial runs. rolling-back, complete: the trial is over, its end not yet seen in the traffic
    (or, complete, its cooldown not over). observing: panes are collected until the next look. idle: nothing may change
    or nothing comes in.
    """
    if row.trial is not None:
        return "deploying" if row.watch is not None and row.last_action == "open-trial" else "monitoring"
    if row.proposal is not None:
        return "validating"
    if row.watch is not None and row.last_action in BAD_ENDS:
        return "rolling-back"
    if row.last_action in GOOD_ENDS and (row.watch is not None or row.cooldown_s):
        return "complete"
    return "observing" if row.may_change and not row.cooldown_s and row.requests_per_minute > 0 else "idle"


def passage(before: State, after: State) -> tuple[State, ...]:
    """The states entered on the shortest way from ``before`` to ``after`` along the transitions; none for no move."""
    if before == after:
        return ()
    ways: list[tuple[State, ...]] = [(before,)]
    for way in ways:
        for following in TRANSITIONS[way[-1]]:
            if following == after:
                return (*way[1:], following)
            if following not in way:
                ways.append((*way, following))
    return ()
