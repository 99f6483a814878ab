"""Whose budget binds: the service's, a segment's, its share of a group's; and what a service of one serving arm does."""

from typing import Any

import msgspec
import numpy as np
import pytest

from app.core.budget import Budgeting, allowance, learned, limit_of
from app.core.cell import Cell, CellKey, Late
from app.core.commands import ShareBudget
from app.core.document import Arm, DocumentError, Segments, ServiceDocument, completed, from_object
from app.core.document.limits import Budget, GroupBudget, SegmentBudget
from app.core.document.objective import Objective as Goals
from app.core.document.strategy import StrategyPlan
from app.core.pane import ClosedPane
from app.core.propensity import Shares
from app.core.row import Past
from benchmarks.minutes import START_S, Answers, Service

ARMS = {"big": (0.01, 0.9), "small": (0.001, 0.7)}
RATE = 30


def service(budget: Budget, seed: int = 1, **more: Any) -> Service:
    fields = {"mode": "auto", "arms": tuple(Arm(name=name) for name in ARMS), "holdout_share": 0.0,
              "objective": Goals(preset="quality"), "budget": budget, **more}  # fmt: skip
    made = Service(completed(ServiceDocument(service="s", **fields)), seed)
    made.row = msgspec.structs.replace(made.row, next_cycle_s=2**40)  # no trial opens: the budget alone acts here
    return made


def served_before(made: Service, arm: str = "small") -> Service:
    past = Past(0, "", arm, Shares(0.0, arm, {}))
    made.row = msgspec.structs.replace(made.row, history=(past, *made.row.history))
    for _ in range(2):  # its answers are known from when it served
        cell = Cell(n=50, cost_n=50, cost_usd=50 * ARMS[arm][0])
        made.step({CellKey(arm, "*", "trial", 0): cell})
    return made


def lived(made: Service, minutes: int, segments: int = 1) -> Service:
    for _ in range(minutes):
        answers = {
            name: Answers(np.full(RATE, quality), cost * made.rng.uniform(0.5, 1.5, RATE), np.full(RATE, 900.0))
            for name, (cost, quality) in ARMS.items()
        }
        segment = made.rng.integers(segments, size=RATE) if segments > 1 else None
        made.pass_minute(answers, np.full(RATE, 100), segment=segment)
    return made


def moves(made: Service) -> list[dict[str, Any]]:
    said = [msgspec.json.decode(output.data) for output in made.outputs if output.role == "optimizations"]
    return [one for one in said if "budget" in one.get("evidence", {}).get("constraint", "")]


# ---- policy single ----
@pytest.mark.simulation
def test_the_cheapest_admitted_arm_stands_in_so_that_the_budget_lasts_and_what_is_left_is_for_the_better_one() -> None:
    minutes, usd = 90, 0.01 * RATE * 90 * 0.6
    made = service(Budget(day_usd=usd))
    made.minute += 1440 - minutes
    lived(served_before(made), minutes - 2)
    assert 0.97 * usd < made.row.budgeting.day.usd < usd
    saved, back = moves(made)
    assert (saved["split"]["incumbent"], back["split"]["incumbent"]) == ("small", "big")
    assert "the budget of the day, 16.2 USD, lasts only if the cheapest admitted arm answers" in saved["rationale"]
    assert "pays for it again" in back["rationale"]
    assert saved["constraints"][0]["name"] == "budget.day_usd"
    assert [change["parameter"] for change in saved["changes"][:2]] == ["weights.*.big", "weights.*.small"]


def test_an_arm_that_never_served_does_not_serve_because_it_is_cheap_and_that_is_said_once() -> None:
    made = lived(service(Budget(day_usd=1.0)), 20)
    assert made.row.incumbent == "big"
    (said,) = moves(made)
    assert "is spent, and no admitted arm is known to be cheaper: name one as strategy.backup" in said["rationale"]
    assert "split" not in said or said["split"] is None


def test_a_declared_backup_stands_in() -> None:
    made = service(Budget(day_usd=1.0), strategy=StrategyPlan(backup="small"))
    made.step({CellKey("small", "*", "trial", 0): Cell(n=50, cost_n=50, cost_usd=0.05)})
    assert lived(made, 10).row.incumbent == "small"


def test_who_was_put_in_charge_by_somebody_else_stays() -> None:
    made = served_before(service(Budget(day_usd=1.0)))
    lived(made, 10)
    assert made.row.budgeting.stand_in == "small"
    made.row = msgspec.structs.replace(made.row, incumbent="big", budgeting=made.row.budgeting)
    lived(made, 1)
    assert made.row.budgeting.saved_from == ""


# ---- segments ----
@pytest.mark.simulation
def test_a_segment_s_budget_binds_that_segment_alone() -> None:
    parts = Segments(by="tenant", values=("eu",))
    minutes = 120
    usd = 0.01 * RATE / 2 * minutes * 0.5
    made = service(Budget(segments=(SegmentBudget(segment="eu", day_usd=usd),)), policy="mix", segments=parts)
    made.row = msgspec.structs.replace(made.row, admitted=("big", "small"))
    made.minute += 1440 - minutes
    lived(made, minutes - 1, segments=2)
    state = made.row.budgeting
    assert 0.97 * usd < state.segments["eu"].day.usd < usd
    weights = made.row.weights
    assert weights["other"]["big"] > 0.9 > weights["eu"]["big"]
    last = moves(made)[-1]
    assert "the budget of the day for eu" in last["rationale"]
    assert "constraint" in last["evidence"]
    assert last["constraints"][0]["name"] == "budget.segments.eu.day_usd"


def test_a_segment_counts_its_own_cells_and_no_late_events() -> None:
    parts = Segments(by="tenant", values=("eu",))
    budget = Budget(segments=(SegmentBudget(segment="eu", day_usd=5.0),))
    document = completed(
        ServiceDocument(service="s", policy="mix", arms=(Arm(name="a"), Arm(name="b")), segments=parts, budget=budget)
    )
    cells = {
        CellKey("a", s, "main", 1): Cell(n=10, cost_n=10, cost_usd=usd) for s, usd in (("eu", 1.0), ("other", 2.0))
    }
    pane = ClosedPane(START_S // 60, True, 1, Late(n=1, cost_usd=4.0), cells, {})
    state = learned(Budgeting(), document, pane, {"eu": 1.0, "other": 2.0})
    assert (state.day.usd, state.segments["eu"].day.usd) == (7.0, 1.0)
    assert allowance(state, document) is None
    found = allowance(state, document, "eu")
    assert found is not None
    assert (found.name, found.spent) == ("budget.segments.eu.day_usd", 1.0)


# ---- groups ----
def test_the_share_of_a_group_and_the_own_budget_both_hold() -> None:
    group = GroupBudget(name="apps", day_usd=100.0, month_usd=1000.0, share=0.3)
    document = ServiceDocument(service="s", arms=(Arm(name="a"),), budget=Budget(day_usd=40.0, group=group))
    day, month = limit_of(document, "day"), limit_of(document, "month")
    assert day is not None and month is not None
    assert (day.usd, day.name) == (30.0, "budget.group.day_usd")
    assert (month.usd, month.words) == (300.0, "the month's share of the budget of group apps")


def test_an_order_moves_the_share_and_says_so() -> None:
    made = service(Budget(group=GroupBudget(name="apps", day_usd=100.0, share=0.3)))
    version = made.row.version
    made.order("share-budget", ShareBudget(share=0.5, group="apps"))
    limit = limit_of(made.row.document, "day")
    assert limit is not None and limit.usd == 50.0
    assert made.row.version == version
    said = msgspec.json.decode(made.outputs[-1].data)
    assert said["changes"] == [{"parameter": "budget.group.share", "old": 0.3, "new": 0.5, "change_type": "replace"}]


@pytest.mark.parametrize(
    ("budget", "says"), [(Budget(), "is in no group"), (Budget(group=GroupBudget(name="b")), "'b'")]
)
def test_a_share_of_another_group_is_refused(budget: Budget, says: str) -> None:
    made = service(budget)
    made.order("share-budget", ShareBudget(share=0.5, group="apps"))
    assert says in msgspec.json.decode(made.outputs[-1].data)["rationale"]


# ---- documents ----
@pytest.mark.parametrize(
    ("budget", "policy", "says"),
    [
        ({"segments": [{"segment": "us", "day_usd": 1.0}]}, "mix", "not a segment of this service"),
        ({"segments": [{"segment": "eu", "day_usd": 1.0}]}, "single", "weights of its own"),
        ({"segments": [{"segment": "eu"}, {"segment": "eu"}]}, "mix", "one budget"),
        ({"segments": [{"segment": "eu", "day_usd": 2.0, "month_usd": 1.0}]}, "mix", "more than the month"),
        ({"group": {"share": 0.5}}, "mix", "needs the group's name"),
        ({"group": {"name": "g", "share": 1.5}}, "mix", "above 0 to 1"),
    ],
)
def test_budgets_that_cannot_be_kept_are_refused(budget: dict[str, Any], policy: str, says: str) -> None:
    raw = {"service": "s", "policy": policy, "arms": [{"name": "a"}, {"name": "b"}], "budget": budget,
           "segments": {"by": "tenant", "values": ["eu"]}}  # fmt: skip
    with pytest.raises(DocumentError, match=says):
        from_object(raw)
