"""Taking turns at a service: the queue's next one when no trial is open, and what must wait until then."""

import msgspec

from app.core import search
from app.core.experiments import MAX_TOGETHER, together
from app.core.outputs import Output
from app.core.queue import Queued, joined
from app.core.row import Row

Result = tuple[Row, list[Output]]


def waiting(row: Row, turn: Queued) -> Row:
    """``row`` with one more turn in its queue; counted in ``refused`` when there is no place."""
    queue = joined(row.queue, (turn,))
    if queue is None:
        return msgspec.structs.replace(row, refused=row.refused + 1)
    return msgspec.structs.replace(row, queue=queue)


def take(row: Row, now_s: int) -> Result:
    """The first turn of the queue: its arm is tried (others of its experiment with it, where the gateway can), or what
    mends its need is looked for.
    """
    if not row.queue:
        return row, []
    turn, *rest = row.queue
    group = tuple(one for one in row.queue if one.arm and one.experiment == turn.experiment)
    if turn.arm and turn.experiment and len(group) > 1 and together(row):
        group = group[:MAX_TOGETHER]
        row = msgspec.structs.replace(row, queue=tuple(one for one in row.queue if one not in group))
        return search.look_at_all(row, now_s, group)
    row = msgspec.structs.replace(row, queue=tuple(rest))
    if not turn.arm:
        return search.look(row, now_s, turn.trigger, turn.need, turn.cause)
    return search.look_at(row, now_s, turn)
