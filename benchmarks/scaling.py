"""The figures that docs/scaling.md is worked out from: cost per event, cell and service, without a broker.

    python -m benchmarks.scaling [--events 24000]

CPU is this process's (``process_time``; a busy machine adds to it through its caches), memory what ``tracemalloc``
counts.
Events are those of the other benchmarks: about 350 bytes, 8 models, services alike.
"""

import argparse
import calendar
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable

from app.adapters.codec import encode_output, make_decode
from app.core.batch import Batch
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.ports import Record
from app.core.quota import Quota
from benchmarks.bench.events import MODELS, draw, encoded, services

BATCH = 2_500
BASE_S = 1_767_225_600
SOURCE = "llm.responses-0"
TOPOLOGY = {"llm.responses": 1}
MINUTES = 4
SMALL = 160
SERVICES = 100
SPARSE, DENSE = (400, 4), (16, 375)
"""Keys (service x arm) and their answers a minute: as 16,000 and 160 keys have them at 1,000 events a second."""
FIRST_LOOK = """
import time, psutil, app.core.merge
process = psutil.Process()
before, began = process.memory_info().rss, time.process_time()
from app.core.analyze.rings import pushed, Ring, watched
watched(pushed(Ring(), 0.0))
print((process.memory_info().rss - before) / 1e6, time.process_time() - began)
"""
WARM_MINUTES = 26
"""Long enough that the analyzers of a dense key know what is usual."""


def values(n: int, keys: int, seconds: float, seed: int = 7) -> list[bytes | None]:
    """``n`` events spread evenly over ``seconds`` of event time, of ``keys`` (service, model) pairs."""
    source, names = random.Random(seed), services(keys)
    return [encoded(i, draw(source, names), BASE_S * 1000 + int(i * seconds * 1000 / n)) for i in range(n)]


def fold_of(quota: Quota | None = None) -> Fold:
    """A fresh stage 1."""
    return Fold(
        SOURCE, None, decode=make_decode(), lateness_s=10, ahead_s=10, topology=TOPOLOGY, facts_partitions=1,
        partition_of=lambda _service: 0, quota=quota,
    )  # fmt: skip


def batches(records: list[bytes | None]) -> Iterable[Batch]:
    """As the lane would fetch them."""
    for start in range(0, len(records), BATCH):
        part = records[start : start + BATCH]
        end = start + len(part)
        yield Batch(
            SOURCE, part, list(range(start, end)), start=start, end=end, segments=[(end, (BASE_S + 10**6) * 1000)]
        )


def cpu_us(work: Callable[[], object], per: int) -> float:
    """CPU of one of ``per`` things, microseconds: the smaller of two rounds."""
    spent = []
    for _ in range(2):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent) / per * 1e6


def fold_all(records: list[bytes | None], quota: Quota | None = None, every: int = 10) -> list[Record]:
    """Fold everything, a cut after ``every`` so many batches; the records it led to."""
    fold, told = fold_of(quota), []
    for number, batch in enumerate(batches(records)):
        fold.fold(batch)
        if number % every == every - 1:
            cut = fold.cut()
            told += [record for phase in cut.phases for record in phase]
            fold.acked(cut)
    told += [record for phase in fold.cut().phases for record in phase]
    return told


def merge_all(facts: list[Record]) -> Merge:
    """Merge everything into a fresh stage 2."""
    merge = Merge(
        0, None, {}, {}, writer="w", lateness_s=10, silent_s=900, to_record=encode_output, max_services=100_000
    )
    closed = merge.closed
    for offset, record in enumerate(facts):
        if merge.closed != closed:  # a checkpoint as soon as minutes closed
            closed = merge.closed
            merge.acked(merge.cut())
        at_ms = (BASE_S + offset) * 1000
        merge.fold(
            Batch("facts-0", [record.value], [offset], start=offset, end=offset + 1, segments=[(offset + 1, at_ms)])
        )
    return merge


def key_minute_us(keys: int, each: int) -> float:
    """CPU of stage 2 for one key and minute with ``each`` answers: merge, close, learn, windows, analysis, rows."""
    records = values(keys * each * WARM_MINUTES, keys, 60.0 * WARM_MINUTES)
    facts = [record for record in fold_all(records, every=max(1, keys * each // BATCH)) if record.role == "facts"]
    return cpu_us(lambda: merge_all(facts), keys * WARM_MINUTES)


def held(work: Callable[[], object]) -> int:
    """Bytes that ``work`` leaves behind in what it returns."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = work()
        after = tracemalloc.get_traced_memory()[0]
        del kept
        return after - before
    finally:
        tracemalloc.stop()


def open_fold(records: list[bytes | None]) -> Fold:
    """A stage 1 that has folded ``records`` and cut nothing."""
    fold = fold_of()
    for batch in batches(records):
        fold.fold(batch)
    return fold


def first_look() -> tuple[float, float]:
    """MB and CPU seconds of the first look of a drift detector of River, which imports it and SciPy, in a process of
    its own.
    """
    done = subprocess.run([sys.executable, "-c", FIRST_LOOK], capture_output=True, text=True, check=True, timeout=120)
    megabytes, seconds = map(float, done.stdout.split())
    return megabytes, seconds


def say(name: str, figure: float, unit: str) -> None:
    """One line of the table."""
    sys.stdout.write(
        f"| {name} | {figure:,.2f} | {unit} |\n" if figure < 100 else f"| {name} | {figure:,.0f} | {unit} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=24_000)
    n = parser.parse_args().events
    small = values(n, SMALL, 60.0 * MINUTES)
    sys.stdout.write("| what | figure | unit |\n|---|---|---|\n")
    say(f"stage 1: decode, de-duplicate, add, {SMALL} keys", cpu_us(lambda: fold_all(small), n), "us CPU/event")
    say("the same, 160 keys, with a quota", cpu_us(lambda: fold_all(small, Quota(10**9)), n), "us CPU/event")
    few, many = values(n // 4, SMALL, 50.0), values(n, SMALL, 50.0)
    ids = (held(lambda: open_fold(many)) - held(lambda: open_fold(few))) / (n - n // 4)
    say("memory of one event of an open minute (its id)", ids, "bytes")
    dense = values(SERVICES * len(MODELS) * 4, SERVICES * len(MODELS), 50.0)
    cells = sum(len(s.cells) for pane in open_fold(dense)._open.values() for s in pane.services.values())  # noqa: SLF001  # counted, not changed
    say("memory of one open cell", (held(lambda: open_fold(dense)) - ids * len(dense)) / cells, "bytes")
    minutes = [v for m in range(MINUTES) for v in _shifted(dense, m)]
    facts = [record for record in fold_all(minutes) if record.role == "facts" and record.value]
    sent = cells * (MINUTES - 1)
    say("facts, one cell of one source and minute", sum(len(r.value or b"") for r in facts) / sent, "bytes")
    say("stage 2: merge, close, step, one cell", cpu_us(lambda: merge_all(facts), sent), "us CPU/cell")
    for name, (keys, each) in (("sparse", SPARSE), ("dense", DENSE)):
        say(f"stage 2: a {name} key and minute, {each} answers", key_minute_us(keys, each), "us CPU/key and minute")
    say("memory of one service in stage 2 (8 arms, observed)", held(lambda: merge_all(facts)) / SERVICES, "bytes")
    merged = merge_all(facts)
    rows = [record for phase in merged.cut().phases for record in phase if record.role in ("services", "windows")]
    say("changelog, one service (row and windows)", sum(len(r.value or b"") for r in rows) / SERVICES, "bytes")
    megabytes, seconds = first_look()
    say("optimize's first look with a drift detector, once: River and SciPy are imported", megabytes, "MB")
    say("the same", 1000 * seconds, "ms CPU")


def _shifted(records: list[bytes | None], minute: int) -> list[bytes | None]:
    """The same events ``minute`` minutes later, with ids of their own."""
    found = []
    for value in records:
        text = (value or b"").replace(b'"id":"', b'"id":"%d-' % minute)
        at = text.index(b'"time":"') + 8
        second = text[at : at + 19].decode()
        later = time.strptime(second, "%Y-%m-%dT%H:%M:%S")
        moved = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(_epoch(later) + 60 * minute)).encode()
        found.append(text[:at] + moved + text[at + 19 :])
    return list(found)


def _epoch(moment: time.struct_time) -> int:
    return calendar.timegm(moment)


if __name__ == "__main__":
    main()
