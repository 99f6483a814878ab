"""Both stages in one process, without a broker: what arms x segments cost, and what memory many services take.

    python -m benchmarks.bench.size --services 1000 --arms 10 --segments 5 --events 300000 --minutes 3

Folds ``events`` a minute into one source, merges the facts in one partition, with a cut after every minute as the lane
makes it, and prints one JSON object. CPU is that of this process; memory is resident, after a collection, less what the
process took before the first event (``ingest_mb``: one full open minute, ``optimize_mb``: rows, windows, analysis).
"""

import argparse
import gc
import random
import sys
import time
from collections.abc import Iterable, Iterator

import msgspec

from app.adapters.codec import encode_output, make_decode
from app.core import facts
from app.core.batch import Batch
from app.core.commands import COMMAND, Command, Configure, to_json
from app.core.document import Arm, Segments, ServiceDocument
from app.core.events import RESPONSE_COMPLETED
from app.core.fold import Fold
from app.core.merge import Merge
from benchmarks.bench.measure import resident_mb

BATCH = 2_500
BASE_S = 1_767_225_600
LATENESS_S = 10


class Size(msgspec.Struct, frozen=True):
    """Figures of one shape; ``row_bytes`` and ``window_bytes`` are the largest changelog values."""

    services: int
    arms: int
    segments: int
    events: int
    ingest_us: float
    optimize_us: float
    facts_bytes: float
    ingest_mb: float
    optimize_mb: float
    row_bytes: int
    window_bytes: int

    @property
    def us(self) -> float:
        """CPU per event of both stages."""
        return self.ingest_us + self.optimize_us


class Taken:
    """What both stages used so far; mutable."""

    def __init__(self) -> None:
        self.ingest_s = self.optimize_s = 0.0
        self.facts_bytes = self.row_bytes = self.window_bytes = 0
        self.ingest_mb = self.optimize_mb = 0.0


def measure(services: int, arms: int, segments: int, events: int, minutes: int) -> Size:
    """Fold and merge ``minutes`` of ``events`` each."""
    names = [f"svc-{i:04d}" for i in range(services)]
    fold = Fold(
        "t-0",
        None,
        decode=make_decode(),
        lateness_s=LATENESS_S,
        ahead_s=LATENESS_S,
        topology={"t": 1},
        facts_partitions=1,
        partition_of=lambda _: 0,
    )
    merge = Merge(
        0, None, {}, {}, writer="w", lateness_s=LATENESS_S, silent_s=600, to_record=encode_output, max_services=services
    )
    offset = _merge(merge, _documents(names, arms, segments), 0)
    taken, source, position = Taken(), random.Random(7), 0
    for minute in range(minutes):
        values = list(_minute(source, names, arms, segments, minute, events))
        before_mb = _resident_mb()
        position = _fold(fold, values, position, taken)
        taken.ingest_mb = max(taken.ingest_mb, _resident_mb() - before_mb)
        del values
        offset = _close(fold, merge, offset, taken)
    return Size(
        services,
        arms,
        segments,
        events * minutes,
        taken.ingest_s / (events * minutes) * 1e6,
        taken.optimize_s / (events * minutes) * 1e6,
        taken.facts_bytes / (events * minutes),
        taken.ingest_mb,
        taken.optimize_mb,
        taken.row_bytes,
        taken.window_bytes,
    )


def _documents(names: Iterable[str], arms: int, segments: int) -> Iterator[bytes]:
    parts = Segments(by="tenant", values=tuple(f"t{i}" for i in range(segments - 1))) if segments > 1 else Segments()
    for i, name in enumerate(names):
        document = ServiceDocument(service=name, arms=tuple(Arm(name=f"arm-{k}") for k in range(arms)), segments=parts)
        command = to_json(Command(service=name, command="configure", args=Configure(document)))
        yield facts.encode(facts.ControlFact("c-0", i, name, COMMAND, f"c{i}", BASE_S, command))


def _minute(
    source: random.Random, names: list[str], arms: int, segments: int, minute: int, events: int
) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode
    for i in range(events):
        ms = (minute * 60_000) + i * 60_000 // events
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(BASE_S + ms // 1000))
        service = names[source.randrange(len(names))]
        data = {
            "request_id": f"req-{i:08d}",
            "service": service,
            "arm": f"arm-{source.randrange(arms)}",
            "model": "m",
            "segment": {"tenant": f"t{source.randrange(segments)}"},
            "latency_ms": round(source.lognormvariate(6.5, 0.6), 2),
            "input_tokens": source.randrange(20, 2000),
            "output_tokens": source.randrange(10, 900),
            "cost_usd": round(source.random() * 0.05, 6),
            "quality": round(source.random(), 3),
        }
        event = {"specversion": "1.0", "type": RESPONSE_COMPLETED, "source": f"/{service}", "id": f"{minute}-{i:08d}"}
        yield encode({**event, "time": f"{second}.{ms % 1000:03d}Z", "data": data})


def _fold(fold: Fold, values: list[bytes], position: int, taken: Taken) -> int:
    began_s = time.process_time()
    for start in range(0, len(values), BATCH):
        some: list[bytes | None] = [*values[start : start + BATCH]]
        end = position + len(some)
        segments = [(end, (BASE_S + 10**6) * 1000)]
        fold.fold(Batch("t-0", some, list(range(position, end)), start=position, end=end, segments=segments))
        position = end
    taken.ingest_s += time.process_time() - began_s
    return position


def _close(fold: Fold, merge: Merge, offset: int, taken: Taken) -> int:
    """One cut of stage 1 merged by stage 2, and a checkpoint."""
    began_s = time.process_time()
    cut = fold.cut()
    fold.acked(cut)
    taken.ingest_s += time.process_time() - began_s
    values = [record.value or b"" for record in cut.phases[0] if record.role == "facts"]
    taken.facts_bytes += sum(map(len, values))
    del cut
    before_mb, began_s = _resident_mb(), time.process_time()
    offset = _merge(merge, values, offset)
    checkpoint = merge.cut()
    merge.acked(checkpoint)
    taken.optimize_s += time.process_time() - began_s
    taken.window_bytes = max((len(r.value or b"") for r in checkpoint.phases[1]), default=taken.window_bytes)
    taken.row_bytes = max((len(r.value or b"") for r in checkpoint.phases[2]), default=taken.row_bytes)
    del checkpoint, values
    taken.optimize_mb += _resident_mb() - before_mb
    return offset


def _merge(merge: Merge, values: Iterable[bytes], offset: int) -> int:
    some: list[bytes | None] = [*values]
    end = offset + len(some)
    segments = [(end, (BASE_S + 10**6) * 1000)]
    if some:
        merge.fold(Batch("facts-0", some, list(range(offset, end)), start=offset, end=end, segments=segments))
    return end


def _resident_mb() -> float:
    gc.collect()
    return resident_mb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("services", 20), ("arms", 8), ("segments", 1), ("events", 60_000), ("minutes", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    size = measure(asked.services, asked.arms, asked.segments, asked.events, asked.minutes)
    sys.stdout.write(msgspec.json.encode(size).decode() + "\n")


if __name__ == "__main__":
    main()
