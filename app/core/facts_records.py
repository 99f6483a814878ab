"""Facts as records: what one cut of a source becomes on the facts topic."""

from collections.abc import Callable
from typing import cast

import msgspec

from app.core import facts
from app.core.facts import ControlFact, Partial, Partials
from app.core.ports import Record

RECORD_BYTES = 256 * 1024
"""A facts record ends once it holds this many bytes of partials; one partial is never split."""


def partial_records(head: Partials, items: list[Partial], partition: int) -> list[Record]:
    """Records of one partition with the marks of ``head``.

    Only the last carries the watermark, so the finals of a pane come before the watermark that closes it.
    """
    chunks = _chunks(items)
    key, last = head.source.encode(), len(chunks) - 1
    records = []
    for i, chunk in enumerate(chunks):
        watermark = head.watermark if i == last else None
        fact = Partials(head.source, watermark, head.idle, head.topology, chunk, head.road)
        records.append(Record("facts", key, facts.encode(fact), partition))
    return records


def control_records(fact: ControlFact, partitions: int, partition_of: Callable[[str], int]) -> list[Record]:
    """A control fact for the partition of its service, or for every one."""
    to = range(partitions) if fact.service == "*" else (partition_of(fact.service),)
    return [Record("facts", fact.service.encode(), facts.encode(fact), partition) for partition in to]


def _chunks(items: list[facts.Partial]) -> list[list[facts.Partial]]:
    """Runs of partials (already encoded) of about ``RECORD_BYTES``; one empty run when there are none."""
    chunks: list[list[facts.Partial]] = [[]]
    size = 0
    for item in items:
        if size >= RECORD_BYTES:
            chunks.append([])
            size = 0
        encoded = facts.encode(item)
        chunks[-1].append(cast("facts.Partial", msgspec.Raw(encoded)))  # encodes to the same bytes, once
        size += len(encoded)
    return chunks
