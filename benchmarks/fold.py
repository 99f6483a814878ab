"""CPU of stage 1 alone: decode, de-duplicate, add, per event, for each spelling of the same events.

    python -m benchmarks.fold [--events 200000] [--rounds 7] [--plain]

No broker, no network: batches of 2,500 events of 355 bytes, 20 services x 8 arms, 1 ms of event time apart, folded by
``Fold`` as the lane calls it, with a cut every 25,000 events. Figures are CPU time of this process: the median and the
smallest of the rounds, which interleave the spellings. ``--plain``: without what was compiled from C.
"""

import argparse
import gc
import random
import statistics
import sys
import time
from collections.abc import Sequence

import msgspec

if "--plain" in sys.argv:
    sys.modules["app.core.native._fold"] = None  # type: ignore[assignment]  # Python's own way to forbid an import

from app.adapters.codec import make_decode
from app.core import native
from app.core.batch import Batch
from app.core.fold import Fold

BATCH = 2_500
CUT_EVERY = 10
MODELS = ("gpt-4", "gpt-4o-mini", "claude-haiku", "claude-opus", "gemini-pro", "llama-3-70b", "mistral", "command-r")
BASE_S = 1_767_225_600
SPELLINGS = {"canonical": ("io.llm-platform.response.completed", False), "nested": ("llm.response.completed", True)}


def events(n: int, type_: str, *, nested: bool, seed: int = 7) -> list[bytes | None]:
    """``n`` events as structured CloudEvents; ``nested`` writes ``tokens: {input, output}``."""
    draw, encode = random.Random(seed), msgspec.json.Encoder().encode
    return [encode(_event(i, draw, type_, nested=nested)) for i in range(n)]


def _event(i: int, draw: random.Random, type_: str, *, nested: bool) -> dict[str, object]:
    service = f"svc-{draw.randrange(20):02d}"
    seconds = time.gmtime(BASE_S + i // 1000)
    tokens: dict[str, object] = {"input_tokens": draw.randrange(20, 2000), "output_tokens": draw.randrange(10, 900)}
    if nested:
        tokens = {"tokens": {"input": tokens["input_tokens"], "output": tokens["output_tokens"]}}
    return {
        "specversion": "1.0",
        "type": type_,
        "source": f"/{service}",
        "id": f"{i:08d}-9b1c-4f6e",
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', seconds)}.{i % 1000:03d}Z",
        "datacontenttype": "application/json",
        "data": {
            "request_id": f"req-{i:08d}",
            "service": service,
            "model": MODELS[min(7, int(draw.expovariate(0.5)))],
            "latency_ms": round(draw.lognormvariate(6.5, 0.6), 2),
            **tokens,
            "cost_usd": round(draw.random() * 0.05, 6),
            "quality": round(draw.random(), 3),
            "status": "ok" if draw.random() < 0.98 else "error",
        },
    }


def fold_once(values: Sequence[bytes | None]) -> float:
    """Microseconds of CPU per event of a fresh engine over ``values``."""
    fold = Fold(
        "t-0",
        None,
        decode=make_decode(),
        lateness_s=10,
        ahead_s=10,
        topology={"t": 1},
        facts_partitions=4,
        partition_of=lambda service: hash(service) % 4,
    )
    append_ms = (BASE_S + 10**6) * 1000
    began = time.process_time()
    for at, start in enumerate(range(0, len(values), BATCH)):
        part = list(values[start : start + BATCH])
        end = start + len(part)
        batch = Batch("t-0", part, list(range(start, end)), start=start, end=end, segments=[(end, append_ms)])
        fold.fold(batch)
        if at % CUT_EVERY == CUT_EVERY - 1:
            fold.acked(fold.cut())
    spent_s = time.process_time() - began
    if fold.counts != {"counted": len(values)}:
        raise RuntimeError(f"not every event was counted once: {fold.counts}")
    return spent_s / len(values) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    sys.stdout.write(f"the loop runs in {'C' if native.compiled else 'Python'}\n")
    inputs = {name: events(asked.events, type_, nested=nested) for name, (type_, nested) in SPELLINGS.items()}
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    taken: dict[str, list[float]] = {name: [] for name in inputs}
    for _ in range(asked.rounds):
        for name, values in inputs.items():
            taken[name].append(fold_once(values))
    for name, times in taken.items():
        median = statistics.median(times)
        sys.stdout.write(f"{name:<10} {median:6.2f} us CPU/event (median of {len(times)}), best {min(times):.2f}\n")


if __name__ == "__main__":
    main()
