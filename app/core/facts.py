"""The facts log: the only thing the brain reads. MessagePack arrays, tagged; fields are appended only at the end.

A ``Partials`` record carries what one source counted (cumulative for that source) and its marks; a ``ControlFact``
carries a command, alert or outcome with the source offset it came from. Key = source for partials, service for control.
"""

from typing import Literal

import msgspec

from app.core.cell import Cell, CellKey, Late
from app.core.sketch import Histogram

Road = Literal["", "responses", "spans"]
"""How a source tells of requests: as events of their own, as spans, or not at all (feedback)."""

NEVER = -(1 << 60)
"""A watermark or idle mark before any event."""


class CountedCell(msgspec.Struct, array_like=True):
    """A cell of a partial; ``key.segment`` is raw."""

    key: CellKey
    cell: Cell


class CountedHistogram(msgspec.Struct, array_like=True):
    """Latency histogram of one (arm, raw segment) of a partial."""

    arm: str
    segment: str
    histogram: Histogram


class Partial(msgspec.Struct, array_like=True):
    """One pane of one service as seen from one source, up to source offset ``hwm``.

    ``full``: all cells with their histograms (the source has closed the pane, or claims to be idle). Early partials
    carry only the cells that changed, without histograms. ``pane`` is the event-time minute (epoch seconds // 60).
    """

    service: str
    pane: int
    hwm: int
    full: bool
    late: Late
    cells: list[CountedCell]
    histograms: list[CountedHistogram]


class Partials(msgspec.Struct, array_like=True, tag_field="kind", tag=0):
    """One flush of one source for one facts partition: marks and partials.

    ``watermark`` None: more records of this flush follow. ``idle``: the log end was reached and unchanged up to this
    second. ``topology``: partition count of every evidence topic (rule O4). ``road``: how this source's requests are
    told: responses, spans, or "" for neither (``app.core.evidence``).
    """

    source: str
    watermark: int | None
    idle: int | None
    topology: dict[str, int]
    items: list[Partial]
    road: Road = ""


class ControlFact(msgspec.Struct, array_like=True, tag_field="kind", tag=1):
    """A control event on its way to the row. ``service`` ``*`` is a broadcast, sent to every facts partition."""

    source: str
    offset: int
    service: str
    type: str
    id: str
    time_s: int
    data: bytes


Fact = Partials | ControlFact

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Fact).decode
