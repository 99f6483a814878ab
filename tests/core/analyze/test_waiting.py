"""An arm with few answers is analysed once its panes, joined, are worth a look."""

import msgspec
import pytest

from app.core.analyze.analyze import Analysis
from app.core.analyze.waiting import FAILED, LEAST_N, Waiting, enough, joined
from app.core.cell import Cell, Group, Score, Summary
from tests.core.analyze.panes import Behaviour, Service


def sparse(**more: float) -> Service:
    return Service(arms={("a", "*"): Behaviour(**{"n": 4, "errors": 0.0, "scored": 2, **more})})  # type: ignore[arg-type]  # test shorthand


def looks(service: Service) -> int:
    """Panes that the analyzers of the arm took."""
    watch = service.analysis.watched[0].performance.latency.detector.normal
    return watch.reference.panes + watch.waiting.panes + watch.filling.panes


def test_panes_wait_until_they_are_enough_together_and_no_answer_is_lost():
    service = sparse().run(16)  # joined after 4, 8 and 12 minutes, and at the quarter of an hour
    watched = service.analysis.watched[0]
    assert looks(service) == 4
    assert watched.performance.latency.detector.normal.reference.n == 15 * 4
    assert watched.waits is not None
    assert watched.waits.cell.n == 4
    assert watched.last_s == 60 * service.minute


def test_an_arm_with_enough_answers_never_waits():
    service = sparse(n=LEAST_N).run(5)
    assert looks(service) == 5
    assert service.analysis.watched[0].waits is None


@pytest.mark.parametrize(
    ("cell", "whether"),
    [
        (Cell(n=LEAST_N - 1), False),
        (Cell(n=LEAST_N), True),
        (Cell(n=FAILED, errors=FAILED), True),
        (Cell(quality={"user": Score(LEAST_N, 1.0, 1.0)}), True),
        (Cell(quality={"user": Score(LEAST_N - 1, 1.0, 1.0)}), False),
    ],
)
def test_answers_scores_or_failures_are_enough(cell: Cell, whether: bool):
    assert enough(cell) is whether


def test_joining_changes_nothing_that_was_given():
    one = Summary(Cell(n=1, cost_usd=1.0, groups={1: Group(1)}), {5: 1})
    first = joined(None, one)
    before = msgspec.msgpack.encode(first)
    both = joined(first, Summary(Cell(n=2, cost_usd=2.0), {5: 1, 6: 1}))
    assert both == Waiting(Cell(n=3, cost_usd=3.0), {5: 2, 6: 1})
    assert msgspec.msgpack.encode(first) == before
    assert one.cell.groups == {1: Group(1)}


def test_what_waits_is_kept_and_read_again():
    analysis = sparse().run(3).analysis
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(analysis), type=Analysis) == analysis


def test_incomplete_panes_are_not_joined():
    service = sparse().run(2)
    service.complete = False
    service.run(1)
    waits = service.analysis.watched[0].waits
    assert waits is not None
    assert waits.cell.n == 8


def test_a_new_model_is_named_at_once():
    service = sparse(n=6).run(60)
    assert service.told() == []
    service.a.models = ("other",)
    service.run(1)
    assert service.told() == ["open model-change"]


def test_while_an_arm_has_a_finding_its_panes_do_not_wait():
    service = sparse(n=6).run(60)
    service.a.models = ("other",)
    service.run(1)
    taken = looks(service)
    service.run(4)
    assert looks(service) == taken + 4
