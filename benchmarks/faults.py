"""Every fault of the simulator against the analyzers: `python -m benchmarks.faults [seeds]` (make faults).

Real arrivals, answers and scores of the simulator go as bytes through codec, fold and merge; only Kafka is left out. A
service with two arms is watched for ``WARM`` minutes, then one arm has one fault for ``LASTS`` minutes, then it is
well again. `benchmarks.faults_page` says what is counted; it is printed and written to docs/evidence/faults.md.
"""

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

from app.adapters.codec.decode import make_decode
from app.core.analyze.analyze import Analysis, analyse
from app.core.batch import Batch
from app.core.fold import Fold
from app.core.kept import decode_windows
from app.core.merge import Merge
from app.core.outputs import FINDING, Output
from app.core.ports import Record
from app.sim.arms import ArmModel, LatencyLaw, Price, QualityLaw
from app.sim.faults import CostSpike, ErrorBurst, Fault, LatencyRise, ModelSwap, PriceChange, QualityDrop
from app.sim.ledger import Ledger
from app.sim.outbox import Outbox
from app.sim.scenario import Noise, SimulatedService
from app.sim.service_run import Routed, ServiceRun
from app.sim.traces import TraceName
from benchmarks.faults_page import Run, Settings, Told, page

START_S = 1_700_000_100 // 900 * 900
WARM, LASTS, AFTER = 240, 90, 120
QUIET_HOURS = 12
LATENESS_S = 30
SERVICE, ARM = "support", "large"
EVIDENCE = Path("docs/evidence/faults.md")


def faults_of() -> dict[str, tuple[Fault, ...]]:
    """The faults, by name."""
    price = PriceChange(arm=ARM, price=Price(3.25, 13.0), after_min=WARM, lasts_min=LASTS)
    swaps = {
        points: ModelSwap(
            arm=ARM, response_model="large-2025-06", fingerprint="fp-9", points=points, after_min=WARM, lasts_min=LASTS
        )
        for points in (-0.08, 0.0)
    }
    return {
        "quality drop, 10 points": (QualityDrop(arm=ARM, points=0.10, after_min=WARM, lasts_min=LASTS),),
        "quality drop, 20 points": (QualityDrop(arm=ARM, points=0.20, after_min=WARM, lasts_min=LASTS),),
        "latency rise, x1.25": (LatencyRise(arm=ARM, factor=1.25, after_min=WARM, lasts_min=LASTS),),
        "latency rise, x2": (LatencyRise(arm=ARM, factor=2.0, after_min=WARM, lasts_min=LASTS),),
        "price change, +30 %": (price,),
        "silent model swap, -8 points": (swaps[-0.08],),
        "silent model swap, as good": (swaps[0.0],),
        "cost spike, answers x2": (CostSpike(arm=ARM, factor=2.0, after_min=WARM, lasts_min=LASTS),),
        "error burst, +5 points": (ErrorBurst(arm=ARM, share=0.05, after_min=WARM, lasts_min=LASTS),),
        "error burst, +20 points": (ErrorBurst(arm=ARM, share=0.20, after_min=WARM, lasts_min=LASTS),),
    }


def arms() -> tuple[ArmModel, ...]:
    """An expensive arm and a cheap one."""
    return (
        ArmModel(
            name=ARM, model="large", price=Price(2.5, 10.0), latency=LatencyLaw(400, 12.0, 0.3),
            quality=QualityLaw(0.88), error_rate=0.005, response_model="large-2025-01", fingerprint="fp-1",
        ),
        ArmModel(
            name="small", model="small", price=Price(0.15, 0.6), latency=LatencyLaw(250, 6.0, 0.3),
            quality=QualityLaw(0.82), error_rate=0.005, response_model="small-2025-01", fingerprint="fp-2",
        ),
    )  # fmt: skip


class Half:
    """Every second request to each arm."""

    def __init__(self) -> None:
        self._count = 0

    def route(self, *_: object) -> Routed:
        """The next arm."""
        self._count += 1
        return Routed((ARM, "small")[self._count % 2])


class World(msgspec.Struct, frozen=True):
    """What is run: faults, requests a minute over both arms, minutes, and which real arrivals."""

    minutes: int
    faults: tuple[Fault, ...] = ()
    rate: float = 240.0
    trace: TraceName = "conv"


QUIET = {
    "240 requests a minute, conversations": World(QUIET_HOURS * 60),
    "240 requests a minute, code": World(QUIET_HOURS * 60, trace="code"),
    "40 requests a minute, conversations": World(QUIET_HOURS * 60, rate=40.0),
}


def run(world: World, seed: int) -> Run:
    """One run."""
    import_module("river.drift")  # a second, once a process: not the price of a pane
    told: list[Output] = []
    spent = panes = 0

    def keep(output: Output) -> Record:
        if output.type == FINDING:
            told.append(output)
        return Record(output.role, None, output.data)

    def timed(*arguments: Any) -> tuple[Analysis, list[Output]]:
        nonlocal spent, panes
        began = time.process_time_ns()
        result = analyse(*arguments)
        spent, panes = spent + time.process_time_ns() - began, panes + 1
        return result

    brain = Merge(0, None, {}, {}, writer="w", lateness_s=LATENESS_S, silent_s=10**9, to_record=keep)
    with patch("app.core.merge.analyse", timed):
        kept = drive(brain, world, seed)
    analysis = len(msgspec.msgpack.encode(decode_windows(kept).analysis))
    return Run(tuple(_told(output) for output in told), panes, spent / 1e9, analysis, len(kept))


def drive(brain: Merge, world: World, seed: int) -> bytes:
    """Minute by minute: answers and scores as bytes, decoded, folded, merged. Returns what is kept at the end."""
    fold = Fold(
        "llm.responses-0", None, decode=make_decode(), lateness_s=LATENESS_S, ahead_s=0,
        topology={"llm.responses": 1}, facts_partitions=1, partition_of=lambda _: 0,
    )  # fmt: skip
    service = SimulatedService(
        name=SERVICE, trace=world.trace, requests_per_min=world.rate, arms=arms(), score_rate=0.2, faults=world.faults
    )
    traffic = ServiceRun(service, seed=seed, start_s=START_S, noise=Noise(), ledger=Ledger())
    outbox, router = Outbox(), Half()
    offset, written, kept = 0, 0, b""
    for minute in range(1, world.minutes + 1):
        now_s = START_S + 60 * minute
        traffic.advance(now_s, router, outbox)
        values: list[bytes | None] = [message.value for message in outbox.release(now_s)]
        end = offset + len(values)
        fold.fold(_batch("llm.responses-0", values, offset, now_s))
        offset = end
        cut = fold.cut()
        fold.acked(cut)
        for record in cut.phases[0]:
            brain.fold(_batch("facts-0", [record.value], written, now_s))
            written += 1
        said = brain.cut()
        brain.acked(said)
        kept = next((r.value for r in said.phases[1] if r.value and r.key and r.key.startswith(SERVICE.encode())), kept)
    return kept


def _batch(source: str, values: list[bytes | None], start: int, now_s: int) -> Batch:
    end = start + len(values)
    return Batch(source, values, list(range(start, end)), start=start, end=end, segments=[(end, 1000 * now_s)])


def _told(output: Output) -> Told:
    data = msgspec.json.decode(output.data)
    minute = (output.time_s - START_S) // 60
    series = tuple(" ".join(key.split("|")[:2]) for key in data["evidence"]["series"])
    return Told(minute, data["finding_id"], data["status"], data["severity"], data["analyzer"], data["kind"], series)


def main(seeds: int) -> None:
    """Print the page and write it."""
    began = time.perf_counter()
    worlds = {name: World(WARM + LASTS + AFTER, faults) for name, faults in faults_of().items()} | QUIET
    jobs = [(name, world, seed) for name, world in worlds.items() for seed in range(seeds)]
    results: dict[str, list[Run]] = {}
    with ProcessPoolExecutor(2) as pool:
        runs = pool.map(run, *zip(*((world, seed) for _, world, seed in jobs), strict=True))
        for (name, _, _), one in zip(jobs, runs, strict=True):
            results.setdefault(name, []).append(one)
    quiet = {name: results.pop(name) for name in QUIET}
    text = page(results, quiet, Settings(seeds, WARM, LASTS, QUIET_HOURS))
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(text)
    sys.stdout.write(f"{text}\n{time.perf_counter() - began:.0f} s; written to {EVIDENCE}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
