"""A request told twice is counted once: which telling counts, how long, and what is said of the other."""

import random
from collections import Counter, defaultdict

import pytest

from app.core import facts_records
from app.core.cell import Cell, CellKey, Late
from app.core.events import Event, FeedbackEvent, Many, ResponseEvent, epoch_s
from app.core.evidence import PATIENCE, Chosen, Gathered, choose, counted
from app.core.facts import CountedCell, Partial, Road
from tests.core.engine import world
from tests.core.engine.test_exactness import both
from tests.core.engine.test_exactness import counted as told

ROADS: dict[str, Road] = {"llm.responses-0": "responses", "otlp_spans-0": "spans", "llm.feedback-0": ""}
RESPONSES, SPANS, FEEDBACK = ROADS


def gathered(number: int, **requests: int) -> Gathered:
    sources = {"responses": RESPONSES, "spans": SPANS, "feedback": FEEDBACK}
    key = CellKey("m", "", "main", 0)
    parts = {
        sources[road]: Partial("s", number, 1, True, Late(), [CountedCell(key, Cell(n=n))], [])
        for road, n in requests.items()
    }
    return Gathered(number, True, parts, ROADS)


@pytest.mark.parametrize(
    ("declared", "requests", "road"),
    [
        ("auto", {"spans": 3}, "spans"),
        ("auto", {"responses": 3}, "responses"),
        ("auto", {"responses": 1, "spans": 3}, "responses"),
        ("auto", {"responses": 0, "spans": 3}, "spans"),
        ("auto", {"feedback": 3}, ""),
        ("auto", {"feedback": 3, "responses": 3}, "responses"),
        ("spans", {"responses": 3, "spans": 1}, "spans"),
        ("responses", {"spans": 3}, "responses"),
    ],
)
def test_the_declared_road_counts_or_else_the_one_seen_first(declared, requests, road):
    assert choose(declared, Chosen(), gathered(7, **requests)).road == road


def test_auto_stays_with_its_road_until_it_has_been_silent_for_an_hour():
    chosen = choose("auto", Chosen(), gathered(100, spans=1))
    assert choose("auto", chosen, gathered(100 + PATIENCE, responses=1)) == chosen
    assert choose("auto", chosen, gathered(101 + PATIENCE, responses=1)) == Chosen("responses", 101 + PATIENCE)
    still = choose("auto", chosen, gathered(50 + PATIENCE, spans=1, responses=1))
    assert choose("auto", still, gathered(101 + PATIENCE, responses=1)) == still


def test_the_other_road_is_in_no_sum_but_its_number_is_told():
    pane = counted(gathered(7, responses=3, spans=5, feedback=2), Chosen("responses", 7))
    assert sum(cell.n for cell in pane.cells.values()) == 3 + 2
    assert (pane.sources, pane.shadowed) == (2, 5)


def test_a_late_event_of_the_other_road_is_shadowed_too():
    one = gathered(7, responses=3, spans=5)
    one.parts[SPANS].late = Late(n=2, cost_usd=1.0)
    pane = counted(one, Chosen("responses", 7))
    assert (pane.late, pane.shadowed) == (Late(), 7)


# ---- through both engines, with crashes ----
def expected(logs: dict[str, world.Log], roads: dict[str, Road]) -> tuple[Counter[tuple[str, int, str]], Counter[str]]:
    """Independent recount: requests by (service, minute, arm) of the road in use, and shadowed ones by service."""
    minutes: dict[str, dict[int, dict[str, Counter[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(Counter))
    )
    for source, log in logs.items():
        watermark, closed, seen = -(1 << 60), -(1 << 60), set()
        for event in (event for _, value in log for event in world.events_of(value)):
            if not isinstance(event, ResponseEvent):
                continue
            time_s = epoch_s(event.time)
            late = time_s // 60 <= closed
            minute = watermark // 60 if late else time_s // 60
            if (minute, event.source, event.id) not in seen:
                seen.add((minute, event.source, event.id))
                arm = "late" if late else event.data.model
                minutes[event.data.service][minute][roads[source]][arm] += 1
            watermark = max(watermark, time_s)
            closed = (watermark - world.LATENESS_S) // 60 - 1
    counts: Counter[tuple[str, int, str]] = Counter()
    shadowed: Counter[str] = Counter()
    for service, panes in minutes.items():
        road, last = "", -(1 << 60)
        for minute, by_road in sorted(panes.items()):
            if road not in by_road and (not road or minute - last > PATIENCE):
                road = min(by_road)  # responses come first in the alphabet, too
            last = minute if road in by_road else last
            for one, arms in by_road.items():
                for arm, n in arms.items():
                    if one != road:
                        shadowed[service] += n
                    elif arm != "late":
                        counts[service, minute, arm] += n
    return counts, shadowed


@pytest.mark.parametrize("seed", range(8))
def test_crashes_change_neither_the_choice_nor_a_count(seed: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(facts_records, "RECORD_BYTES", 1)
    rnd = random.Random(seed)
    logs = {name: _responses(log) for name, log in world.evidence_logs(rnd, 400).items()}
    roads: dict[str, Road] = {"a-0": "responses", "a-1": "spans"} if seed % 2 else {"a-0": "spans", "a-1": "responses"}
    landed = {s: world.stage1(rnd, s, log, crashes=0.15, road=roads[s])[0] for s, log in logs.items()}
    clean, torn = both(seed, landed, crashes=0), both(seed, landed, crashes=0.25, run=1)
    assert [said.outputs for said in torn.values()] == [said.outputs for said in clean.values()]
    counts, shadowed = expected(logs, roads)
    assert told(torn, 60)[0] == Counter({k: n for k, n in counts.items() if k[0] != "s9"})
    rows = [world.data_of(value) for said in torn.values() for value in said.outputs.values()]
    seen: Counter[str] = Counter()
    for row in rows:
        if row.get("window_s") == 60 and row["arm"] == "*":
            seen[row["service"]] += row["shadowed"]
    del shadowed["s9"]  # its last minute never closes
    assert +Counter({service: n for service, n in seen.items() if service != "s9"}) == shadowed
    assert shadowed


def _responses(log: world.Log) -> world.Log:
    """Without feedback, which the recount leaves out."""
    return [(offset, world.encode(_without_feedback(world.decode(value, ())))) for offset, value in log]


def _without_feedback(event: Event) -> Event:
    if isinstance(event, Many):
        return Many(tuple(one for one in event.events if not isinstance(one, FeedbackEvent)))
    return Many(()) if isinstance(event, FeedbackEvent) else event
