"""Stage 1: evidence and control topics -> facts. Take a batch, fold it; what is folded leaves with the next flush.

Decoding, validation, de-duplication, panes and marks are ``app.core.fold``; cutting, sending and committing is the
host's (``app.adapters.kafka``). The engine never waits, never looks at a clock, and knows no setting that may change.
"""

from collections.abc import AsyncIterator, Callable, Mapping

from app.core.batch import Batch
from app.core.facts import Road
from app.core.fold import Fold
from app.core.ports import Decode, Engine, Point
from app.core.quota import Quota


def fold_of(
    source: str,
    point: Point | None,
    *,
    decode: Decode,
    lateness_s: int,
    ahead_s: int,
    topology: Mapping[str, int],
    facts_partitions: int,
    partition_of: Callable[[str], int],
    start: int,
    beat_cuts: int,
    early_cuts: int,
    road: Road = "",
    quota: Quota | None = None,
) -> Fold:
    """The engine of one source partition. ``topology``: evidence topics only; what is not in it is a control topic."""
    return Fold(
        source,
        point,
        decode=decode,
        lateness_s=lateness_s,
        ahead_s=ahead_s,
        topology=dict(topology),
        facts_partitions=facts_partitions,
        partition_of=partition_of,
        evidence=source.rpartition("-")[0] in topology,
        start=start,
        early_cuts=early_cuts,
        road=road,
        beat_cuts=beat_cuts,
        quota=quota,
    )


async def ingest(batches: AsyncIterator[Batch], admit: Callable[[Batch], Engine | None]) -> None:
    """Fold every batch that continues its source; nothing is awaited between ``admit`` and ``fold`` (rule I1)."""
    async for batch in batches:
        fold = admit(batch)
        if fold is not None:
            fold.fold(batch)
