"""CPU of taking records out of fetched record batches, per event: aiokafka's reader and ours in C, in turns.

    python -m benchmarks.drain [--events 200000] [--rounds 9]

No broker, no network: events of 355 bytes in record batches as producers make them (one event, 16 KiB, 1 MiB of events
each; uncompressed or lz4; and 16 KiB of binary CloudEvents, whose attributes are seven headers), fetched by about 1 MiB,
checksums verified, drained as the lane does. Figures are CPU time of this process: the median and the smallest of the
rounds, which interleave the two.
"""

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.adapters.kafka import record_batches
from app.adapters.kafka.drain import drain
from benchmarks.fold import events

FETCH_BYTES = 1 << 20
LIMIT = 5_000
TP = TopicPartition("t", 0)
NONE, LZ4 = 0, 3
KINDS = {
    "uncompressed, 1 event each": (NONE, 1, False),
    "uncompressed, 16 KiB": (NONE, 1 << 14, False),
    "uncompressed, 1 MiB": (NONE, 1 << 20, False),
    "uncompressed, 16 KiB, headers": (NONE, 1 << 14, True),
    "lz4, 1 event each": (LZ4, 1, False),
    "lz4, 16 KiB": (LZ4, 1 << 14, False),
    "lz4, 1 MiB": (LZ4, 1 << 20, False),
}
"""Compression, bytes of a record batch before it, and whether events have headers."""
READERS: Mapping[str, Callable[[bytes], Any]] = {
    "aiokafka": MemoryRecords,
    **({"C": record_batches.FetchedBatches} if record_batches.COMPILED else {}),
}


class Position:
    """The fetch state of an assigned partition, as aiokafka keeps it."""

    active, paused, position = True, False, 0

    def state_value(self, _: object) -> "Position":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def attributes(n: int) -> list[tuple[str, bytes]]:
    """The headers of the ``n``-th binary CloudEvent."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"io.llm-platform.response.completed"),
        ("ce_source", b"/svc-07"),
        ("ce_id", b"%08d-9b1c-4f6e" % n),
        ("ce_time", b"2026-01-01T00:%02d:%02d.%03dZ" % (n // 60_000 % 60, n // 1000 % 60, n % 1000)),
        ("ce_subject", b"chat"),
        ("content-type", b"application/json"),
    ]


def encoded(values: Sequence[bytes | None], codec: int, size: int, *, headers: bool) -> Iterator[tuple[int, bytes]]:
    """The first offset and the bytes of every record batch of at most ``size`` bytes before compression."""
    at = 0
    while at < len(values):
        builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, size)
        n = 0
        while at + n < len(values):
            some = attributes(at + n) if headers else []
            if builder.append(n, 1_767_225_600_000 + n, b"svc-07", values[at + n], some) is None:
                break
            n += 1
        yield at, at.to_bytes(8, "big") + bytes(builder.build())[8:]
        at += n


def fetches(values: Sequence[bytes | None], codec: int, size: int, *, headers: bool) -> list[tuple[int, bytes]]:
    """The record batches as a broker sends them, some ``FETCH_BYTES`` at a time."""
    made: list[tuple[int, list[bytes]]] = []
    left = 0
    for first, raw in encoded(values, codec, size, headers=headers):
        if left < len(raw):
            made.append((first, []))
            left = FETCH_BYTES
        made[-1][1].append(raw)
        left -= len(raw)
    return [(first, b"".join(chunks)) for first, chunks in made]


def drain_once(reader: Callable[[bytes], Any], fetched: Sequence[tuple[int, bytes]], n: int) -> float:
    """Microseconds of CPU per event."""
    seen = 0
    began = time.process_time()
    for first, data in fetched:
        position = Position()
        position.position = first
        partition = PartitionRecords(TP, reader(data), [], first, None, None, True, READ_COMMITTED)
        result = FetchResult(TP, assignment=position, partition_records=partition, backoff=0)
        while (batch := drain(result, LIMIT)) is not None:
            seen += len(batch.values)
            if not result.has_more():
                break
    spent_s = time.process_time() - began
    if seen != n:
        raise RuntimeError(f"{seen} of {n} events came out")
    return spent_s / n * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    if not record_batches.COMPILED:
        sys.stderr.write("the C module is not compiled (`make native`): only aiokafka's reader is measured\n")
    values = events(asked.events, "canonical names")
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    for kind, (codec, size, headers) in KINDS.items():
        fetched = fetches(values, codec, size, headers=headers)
        taken: dict[str, list[float]] = {name: [] for name in READERS}
        for _ in range(asked.rounds):
            for name, reader in READERS.items():
                taken[name].append(drain_once(reader, fetched, len(values)))
        for name, times in taken.items():
            median, best = statistics.median(times), min(times)
            figures = f"{median:6.2f} us CPU/event (median of {len(times)}), best {best:.2f}"
            sys.stdout.write(f"{kind:<31}{name:<9}{figures}\n")


if __name__ == "__main__":
    main()
