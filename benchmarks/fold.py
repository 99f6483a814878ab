"""CPU of stage 1 alone: decode, de-duplicate, add, per event, for each kind of answer, in C and in Python.

    python -m benchmarks.fold [--events 50000] [--rounds 7] [--plain]

No broker, no network: batches of 2,500 events of about 355 bytes, 20 services x 8 arms, 1 ms of event time apart, folded by
``Fold`` as the lane calls it, with a cut every 25,000 events. Figures are CPU time of the process: the median and the
smallest of the rounds, which interleave the kinds. Without ``--plain`` a second process, which is forbidden what was
compiled from C, measures the same after it.
"""

import argparse
import gc
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

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
CANONICAL, NESTED = "io.llm-platform.response.completed", "llm.response.completed"
SDK = {"max_tokens": 512, "finish_reason": "stop", "response_model": "gpt-4o-2024-08-06", "ttft_ms": 31.5}
KINDS: dict[str, tuple[str, Callable[[random.Random], dict[str, object]]]] = {
    "canonical names": (CANONICAL, lambda _: {}),
    "nested tokens": (NESTED, lambda _: {}),
    "with model, limit, first token": (CANONICAL, lambda _: SDK),
    "with a hash of the prompt": (CANONICAL, lambda draw: {"prompt_hash": f"{draw.getrandbits(64):016x}"}),
    "of a trial, with session group": (
        CANONICAL,
        lambda draw: {"arm": "b", "slice": "trial", "version": 3, "session_group": draw.randrange(64)},
    ),
    "without a cost": (CANONICAL, lambda _: {"cost_usd": None}),
    "with a text beyond ASCII": (CANONICAL, lambda _: {"provider": "\u00e4"}),
}


def events(n: int, kind: str, seed: int = 7) -> list[bytes | None]:
    """``n`` events as structured CloudEvents."""
    (type_, more), draw = KINDS[kind], random.Random(seed)
    return [msgspec.json.encode(_event(i, draw, type_, more(draw))) for i in range(n)]


def _event(i: int, draw: random.Random, type_: str, more: dict[str, object]) -> dict[str, object]:
    service = f"svc-{draw.randrange(20):02d}"
    seconds = time.gmtime(BASE_S + i // 1000)
    tokens: dict[str, object] = {"input_tokens": draw.randrange(20, 2000), "output_tokens": draw.randrange(10, 900)}
    if type_ == NESTED:
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
            **more,
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
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain", action="store_true")
    asked = parser.parse_args()
    inputs = {kind: events(asked.events, kind) for kind in KINDS}
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    taken: dict[str, list[float]] = {kind: [] for kind in inputs}
    for _ in range(asked.rounds):
        for kind, values in inputs.items():
            taken[kind].append(fold_once(values))
    sys.stdout.write(f"in {'C' if native.compiled else 'Python'}, us CPU/event: median of {asked.rounds}, best\n")
    for kind, times in taken.items():
        sys.stdout.write(f"  {kind:<32}{statistics.median(times):6.2f} {min(times):6.2f}\n")
    sys.stdout.flush()
    if native.compiled and not asked.plain:
        subprocess.run([sys.executable, "-m", "benchmarks.fold", "--plain", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
