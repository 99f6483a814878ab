"""One evidence kind per service: a request seen by two roads, its own event and a span, is counted once.

Which road counts is declared in the service document or, with ``auto``, the one seen first (both in the same minute:
responses, which say more). It stays so until it has been silent for ``PATIENCE`` minutes in which the other was heard:
then the platform has moved from one to the other. What comes by the road that does not count is ``shadowed``: its
number is told in the aggregates, it is part of no statistic. Feedback and other topics have no road and always count.
"""

import msgspec

from app.core.facts import NEVER, Partial, Road
from app.core.pane import PANE_S, RawPane, merge_parts

ROADS: tuple[Road, ...] = ("responses", "spans")
"""In order of preference where both are first seen in the same minute."""
PATIENCE = 60
"""Minutes the road in use may be silent before ``auto`` takes the other."""


class Chosen(msgspec.Struct, frozen=True, array_like=True):
    """The road whose requests count ("" = none was seen yet) and the newest pane (minute number) it was seen in."""

    road: Road = ""
    seen: int = NEVER


class Gathered(msgspec.Struct):
    """The partials of one (service, minute) by source, with the road of each source; not yet summed."""

    number: int
    complete: bool
    parts: dict[str, Partial]
    roads: dict[str, Road]

    @property
    def end_s(self) -> int:
        """First second after the minute (epoch seconds)."""
        return (self.number + 1) * PANE_S


def choose(declared: str, chosen: Chosen, gathered: Gathered) -> Chosen:
    """The road that counts from this minute on; ``declared`` as in the service document: responses, spans or auto."""
    seen = {gathered.roads.get(source, "") for source, part in gathered.parts.items() if _requests(part)} - {""}
    for road in ROADS:
        if declared == road:
            return Chosen(road, gathered.number if road in seen else chosen.seen)
    if chosen.road in seen:
        return Chosen(chosen.road, gathered.number)
    others = [road for road in ROADS if road in seen]
    if not others or (chosen.road and gathered.number - chosen.seen <= PATIENCE):
        return chosen
    return Chosen(others[0], gathered.number)


def counted(gathered: Gathered, chosen: Chosen) -> RawPane:
    """The sums of what counts, with the number of requests that do not."""
    left = {s: p for s, p in gathered.parts.items() if gathered.roads.get(s, "") in ("", chosen.road)}
    pane = merge_parts(gathered.number, left, complete=gathered.complete)
    pane.shadowed = sum(_requests(part) for source, part in gathered.parts.items() if source not in left)
    return pane


def _requests(part: Partial) -> int:
    return sum(counted.cell.n for counted in part.cells) + part.late.n
