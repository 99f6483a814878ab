"""Budgets: what a request may cost now, local days and months, and mixes that cost what they may."""

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from app.core.budget import Budgeting, allowance, learned
from app.core.cell import Cell, CellKey, Late, Score
from app.core.document import Arm, ServiceDocument, completed
from app.core.document.limits import Budget
from app.core.document.objective import Objective as Goals
from app.core.pacing import cost_of, costs_of, paced, solve, traffic_of
from app.core.pane import ClosedPane
from app.core.stats.reward import Objective
from app.core.weights import Mix, drawn_rewards, update, with_arms
from benchmarks.minutes import Answers, Service

MIDNIGHT_S = 1_699_920_000


def document(**budget: object) -> ServiceDocument:
    return completed(ServiceDocument(service="s", arms=(Arm(name="a"), Arm(name="b")), budget=Budget(**budget)))  # type: ignore[arg-type]  # a test names its fields


def pane(minute_s: int, n: int = 10, usd: float = 1.0, slice_: str = "main", late: float = 0.0) -> ClosedPane:
    cell = Cell(n=n, cost_n=n, cost_usd=usd)
    return ClosedPane(minute_s // 60, True, 1, Late(cost_usd=late), {CellKey("a", "*", slice_, 1): cell}, {})


def played(minutes: int, start_s: int = MIDNIGHT_S, doc: ServiceDocument | None = None, **each: object) -> Budgeting:
    state, doc = Budgeting(), doc or document(day_usd=100.0)
    for minute in range(minutes):
        state = learned(state, doc, pane(start_s + 60 * minute, **each), 1.0)  # type: ignore[arg-type]  # as above
    return state


def test_without_a_budget_or_traffic_nothing_is_said() -> None:
    assert allowance(Budgeting(), document(day_usd=1.0)) is None
    assert allowance(played(10), document()) is None


def test_what_is_left_is_spread_over_the_rest_of_the_day() -> None:
    found = allowance(played(360), document(day_usd=1440.0))
    assert found is not None
    assert found.spent == pytest.approx(360.0)
    assert found.left == pytest.approx(10 * 1080)
    assert found.usd == pytest.approx(0.1, rel=0.001)


def test_a_service_that_begins_at_noon_has_half_a_day_to_plan() -> None:
    found = allowance(played(60, MIDNIGHT_S + 12 * 3600), document(day_usd=720.0))
    assert found is not None
    assert found.left == pytest.approx(10 * 660, rel=0.01)


def test_late_own_and_shadow_costs_are_spent_too() -> None:
    state = learned(Budgeting(), document(day_usd=1.0), pane(MIDNIGHT_S, late=2.0), 1.0)
    shadow = pane(MIDNIGHT_S + 60, usd=0.0, slice_="shadow")
    next(iter(shadow.cells.values())).own_cost_usd = 4.0
    assert learned(state, document(day_usd=1.0), shadow, 0.0).day.usd == pytest.approx(7.0)
    assert learned(state, document(day_usd=1.0), shadow, 0.0).day.requests == 10


def test_a_spent_budget_allows_nothing() -> None:
    found = allowance(played(150), document(day_usd=100.0))
    assert found is not None
    assert (found.usd, found.period) == (0.0, "day")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_days_begin_at_local_midnight(zone: str) -> None:
    doc = document(day_usd=1000.0, time_zone=zone)
    midnight = int(datetime(2026, 3, 29, tzinfo=ZoneInfo(zone)).timestamp())  # the night the clocks change in Berlin
    before = played(30, midnight - 30 * 60, doc)
    assert before.day.usd == pytest.approx(30.0)
    after = learned(before, doc, pane(midnight), 1.0)
    assert after.day.usd == pytest.approx(1.0)
    assert after.month.usd == pytest.approx(31.0)


def test_the_tighter_of_day_and_month_binds() -> None:
    found = allowance(played(60), document(day_usd=1440.0, month_usd=1500.0))
    assert found is not None
    assert found.period == "month"
    assert found.usd < 0.02


def test_yesterday_is_the_forecast_of_today() -> None:
    state, doc = Budgeting(), document(day_usd=1000.0)
    for minute in range(1440 + 720):
        busy = minute % 1440 < 720
        state = learned(state, doc, pane(MIDNIGHT_S + 60 * minute, n=20 if busy else 5), 1.0)
    found = allowance(state, doc)
    assert found is not None
    assert found.left == pytest.approx(5 * 720, rel=0.01)


# ---- pacing ----
OBJECTIVE = Objective(cost_max_usd=1.0)


def mix(*cost: float, segments: tuple[str, ...] = ("*",)) -> Mix:
    """Arms that cost so much and are the better the dearer they are, well known."""
    names = tuple(f"arm{i}" for i in range(len(cost)))
    cells = {}
    for i, (name, usd) in enumerate(zip(names, cost, strict=True)):
        for segment in segments:
            total = 400 * (0.5 + 0.1 * i)
            cells[name, segment] = Cell(
                n=400, cost_n=400, cost_usd=400 * usd, cost_sq=400 * usd * usd * 1.1, latency_ms=4e5,
                log_latency=2763.0, log_latency_sq=19086.0, quality={"judge": Score(400, total, total)},
            )  # fmt: skip
    return update(with_arms(Mix(), names, segments), 1, cells)


@pytest.mark.parametrize("segments", [("*",), ("x", "y", "other")])
@pytest.mark.parametrize("allowed", [0.0012, 0.004, 0.0095])
def test_the_mix_costs_what_it_may(allowed: float, segments: tuple[str, ...]) -> None:
    known = mix(0.001, 0.005, 0.01, segments=segments)
    drawn = drawn_rewards(known, OBJECTIVE, "s", 1)
    solved = solve(known, drawn, costs_of(known, {}), traffic_of(known), allowed, 100.0)
    assert solved is not None
    assert solved.cost_usd == pytest.approx(allowed)
    assert cost_of(solved.weights, costs_of(known, {}), traffic_of(known)) == pytest.approx(allowed)
    assert np.allclose(solved.weights.sum(axis=1), 1)
    assert solved.price > 0


def test_a_loose_budget_has_no_price_and_an_impossible_one_takes_the_cheapest() -> None:
    known = mix(0.001, 0.01)
    assert paced(known, 1, OBJECTIVE, 1.0) is None
    found = paced(known, 1, OBJECTIVE, 0.0)
    assert found is not None
    assert found[0].weights == ((1.0, 0.0),)


def test_a_mix_that_is_near_enough_stays_until_the_last_hour() -> None:
    known = mix(0.001, 0.01)
    first = paced(known, 1, OBJECTIVE, 0.005, requests_per_minute=100.0)
    assert first is not None
    near = paced(first[0], 2, OBJECTIVE, 0.00505, requests_per_minute=100.0)
    assert near is not None
    assert near[0] is first[0]
    urgent = paced(first[0], 2, OBJECTIVE, 0.00505, requests_per_minute=100.0, urgent=True)
    assert urgent is not None
    assert urgent[0].weights != first[0].weights


def test_arms_that_cost_the_same_have_no_price() -> None:
    found = paced(mix(0.01, 0.01), 1, OBJECTIVE, 0.001)
    assert found is not None
    assert sum(found[0].weights[0]) == pytest.approx(1.0)


def test_an_arm_without_main_traffic_is_costed_by_what_is_known_of_it_and_gets_its_pulls() -> None:
    known = with_arms(mix(0.01), ("arm0", "new"))
    assert costs_of(known, {"new": 0.002})[0].tolist() == pytest.approx([0.01, 0.002])
    found = paced(known, 1, OBJECTIVE, 0.0, requests_per_minute=100.0)
    assert found is not None
    assert found[0].weights[0] == (0.95, 0.05)


@pytest.mark.simulation
def test_a_service_stays_inside_its_budget_and_says_why() -> None:
    arms, minutes = {"big": (0.01, 0.9), "small": (0.001, 0.7)}, 240
    budget = 0.01 * 60 * minutes * 0.5
    doc = completed(
        ServiceDocument(
            service="s", mode="auto", policy="mix", arms=tuple(Arm(name=name) for name in arms),
            budget=Budget(day_usd=budget), objective=Goals(preset="quality"),
        )
    )  # fmt: skip
    service = Service(doc, 1)
    service.row = msgspec.structs.replace(service.row, admitted=("big", "small"))
    service.minute += 1440 - minutes
    for _ in range(minutes - 1):
        service.pass_minute(
            {
                name: Answers(np.full(60, quality), cost * service.rng.uniform(0.5, 1.5, 60), np.full(60, 900.0))
                for name, (cost, quality) in arms.items()
            },
            np.full(60, 100),
        )
    state = service.row.budgeting
    assert state.price > 0
    assert 0.98 * budget < state.day.usd < budget
    said = [msgspec.json.decode(output.data) for output in service.outputs if output.role == "optimizations"]
    moved = [d for d in said if d.get("action") == "move-weights" and "budget" in d["evidence"]]
    assert moved
    assert moved[-1]["evidence"]["budget"]["price"] > 0
    assert moved[-1]["trigger"] == "threshold"
