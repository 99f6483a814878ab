"""What waits for its turn at a service: trials ordered as experiments, and needs that findings have stated.

One trial at a time. What is first: a critical rule, the open trial, then the queue in order of arrival (orders of
people before needs), then the best expected gain. At most ``MAX_QUEUE`` wait; what exceeds them is refused and told.
"""

from typing import Literal

import msgspec

from app.core.decision import Trigger
from app.core.levers.lever import Need

MAX_QUEUE = 8


class Queued(msgspec.Struct, frozen=True, array_like=True):
    """One turn. ``arm``: to be tried for ``experiment``, ordered by ``actor``; else "", and ``need`` says what is to be
    mended. ``cause``: half a sentence; ``since_s``: epoch seconds.
    """

    arm: str = ""
    need: Need = ""
    trigger: Trigger = "on-demand"
    cause: str = ""
    experiment: str = ""
    actor: str = ""
    since_s: int = 0


Queue = tuple[Queued, ...]


def joined(queue: Queue, new: Queue) -> Queue | None:
    """``queue`` with ``new`` turns at their place, or None when they do not all fit. A need that waits is not added."""
    waiting = {turn.need for turn in queue if not turn.arm}
    fresh = tuple(turn for turn in new if turn.arm or turn.need not in waiting)
    if len(queue) + len(fresh) > MAX_QUEUE:
        return None
    both = (*queue, *fresh)
    return (*(turn for turn in both if turn.arm), *(turn for turn in both if not turn.arm))


def without(queue: Queue, experiment: str) -> Queue:
    """``queue`` without the turns of an experiment."""
    return tuple(turn for turn in queue if turn.experiment != experiment)


class Tried(msgspec.Struct, frozen=True, array_like=True):
    """How the trial of one arm of an experiment ended, and why it lost."""

    arm: str
    outcome: Literal["won", "lost"]
    why: str = ""


class Experiment(msgspec.Struct, frozen=True, array_like=True):
    """Arms tried in turn against ``control``, who served when it began at ``since_s`` (epoch seconds). ``scored_max``:
    planned maximum of scored answers a slice (0: none), of which ``looks`` were made at the trial of ``looked_at``.
    """

    id: str
    name: str
    hypothesis: str
    control: str
    arms: tuple[str, ...]
    since_s: int
    tried: tuple[Tried, ...] = ()
    scored_max: int = 0
    looked_at: str = ""
    looks: int = 0
    better: bool = False
