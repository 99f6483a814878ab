"""Any batch split, crash prefix, zombie, interleaving or repeated control fact gives the same aggregates and bytes."""

import random
from collections import Counter

import pytest

from app.core import facts_records
from app.core.events import FeedbackEvent, ResponseEvent
from tests.core.engine import world
from tests.core.engine.world import PARTITIONS, Log, Said

pytestmark = pytest.mark.simulation

SEEDS = range(20)


@pytest.fixture(autouse=True)
def small_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush of more than one record must be usual here."""
    monkeypatch.setattr(facts_records, "RECORD_BYTES", 1)


def expected(logs: dict[str, Log]) -> tuple[Counter[tuple[str, int, str]], Counter[str]]:
    """Independent recount: events by (service, minute, arm) and late events by service."""
    counts: Counter[tuple[str, int, str]] = Counter()
    late: Counter[str] = Counter()
    for log in logs.values():
        watermark, closed = -(1 << 60), -(1 << 60)
        seen: set[tuple[int, str, str]] = set()
        for event in (event for _, value in log for event in world.events_of(value)):
            if not isinstance(event, ResponseEvent | FeedbackEvent):
                continue
            time_s = world_time(event.time)
            is_late = time_s // 60 <= closed
            minute = watermark // 60 if is_late else time_s // 60
            if (minute, event.source, event.id) not in seen:
                seen.add((minute, event.source, event.id))
                if is_late:
                    late[event.data.service] += 1
                elif isinstance(event, ResponseEvent):
                    counts[event.data.service, minute, event.data.model] += 1
            watermark = max(watermark, time_s)
            closed = (watermark - world.LATENESS_S) // 60 - 1
    return counts, late


def world_time(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp())


def facts_of(seed: int, logs: dict[str, Log], *, crashes: float) -> dict[str, world.Landed]:
    rnd = random.Random(f"facts{seed}{crashes}")
    early = seed % 3
    return {
        source: world.stage1(rnd, source, log, crashes=crashes, early_cuts=early)[0] for source, log in logs.items()
    }


def counted(said: dict[int, Said], size_s: int) -> tuple[Counter[tuple[str, int, str]], Counter[str]]:
    counts: Counter[tuple[str, int, str]] = Counter()
    late: Counter[str] = Counter()
    for one in said.values():
        for value in one.outputs.values():
            row = world.data_of(value)
            if row.get("window_s") != size_s or row["service"] == "s9":
                continue
            if row["arm"] == "*":
                late[row["service"]] += row["late"]
            elif row["slice"] == "*":
                counts[row["service"], world_time(row["window_start"]) // size_s, row["arm"]] += row["count"]
    return +counts, +late


def both(seed: int, landed: dict[str, world.Landed], *, crashes: float, run: int = 0) -> dict[int, Said]:
    """Stage 2 over one fixed interleaving of what landed, with control facts in between, some of them repeated."""
    said = {}
    for partition in range(PARTITIONS):
        mix = random.Random(f"mix{seed}{partition}")
        names = [f"s{partition}", f"s{partition + 2}"]
        control = [
            world.control_fact(i, mix.choice([*names, "*"]), mix.choice(["configure", "freeze", "resume"]))
            for i in range(8)
        ]
        again = [
            c for c in control for _ in range(1 + (mix.random() < 0.4))
        ]  # ingest repeats them in order after a crash
        log = world.interleave(mix, [*(x.facts[partition] for x in landed.values()), control + again[3:]])
        said[partition] = world.stage2(random.Random(f"run{seed}{partition}{run}"), partition, log, crashes=crashes)
    return said


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_and_zombies_in_ingest_change_no_count(seed: int) -> None:
    logs = world.evidence_logs(random.Random(seed))
    said = both(seed, facts_of(seed, logs, crashes=0.15), crashes=0)
    counts, late = expected(logs)
    late.pop("s9", None)
    for size_s in (60, 300, 900, 3600):
        want: Counter[tuple[str, int, str]] = Counter()
        for (service, minute, arm), n in counts.items():
            if service != "s9":
                want[service, minute * 60 // size_s, arm] += n
        assert counted(said, size_s) == (want, +late)


@pytest.mark.parametrize("seed", SEEDS)
def test_crashes_and_zombies_in_optimize_change_no_byte(seed: int) -> None:
    landed = facts_of(seed, world.evidence_logs(random.Random(seed)), crashes=0.15)
    clean = both(seed, landed, crashes=0)
    for run in (1, 2):
        torn = both(seed, landed, crashes=0.25, run=run)
        for partition, said in torn.items():
            assert said.conflicts == []
            assert said.outputs == clean[partition].outputs
            assert said.rows == clean[partition].rows
