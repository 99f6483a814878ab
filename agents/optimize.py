"""Stage 2: facts -> closed panes -> decisions. Take a batch, merge it; rows and outputs leave with the next checkpoint.

A pure function of the facts log (``app.core.merge``, ``app.core.service``): no timers, no clock, no other input. The
fast path, the main loop and deadlines are crossings of the group watermark.
"""

from collections.abc import AsyncIterator, Callable

from app.core.batch import Batch
from app.core.merge import Merge
from app.core.outputs import Output
from app.core.ports import Engine, Point, Record

Rows = dict[bytes, bytes]
"""A changelog partition read to its end: latest value per key."""


def merge_of(
    partition: int,
    point: Point | None,
    services: Rows,
    windows: Rows,
    *,
    writer: str,
    start: int,
    lateness_s: int,
    silent_s: int,
    max_services: int,
    to_record: Callable[[Output], Record],
    partitions: int = 0,
) -> Merge:
    """The engine of one facts partition, from the rows its last owners left."""
    return Merge(
        partition,
        point,
        services,
        windows,
        writer=writer,
        lateness_s=lateness_s,
        silent_s=silent_s,
        to_record=to_record,
        start=start,
        max_services=max_services,
        partitions=partitions,
    )


async def optimize(
    batches: AsyncIterator[Batch],
    admit: Callable[[Batch], Engine | None],
    tee: Callable[[Batch], None] | None = None,
) -> None:
    """Merge every batch that continues its partition. ``tee`` sees each first, in log order, for ``replay``."""
    async for batch in batches:
        merge = admit(batch)
        if merge is not None:
            if tee is not None:
                tee(batch)
            merge.fold(batch)
