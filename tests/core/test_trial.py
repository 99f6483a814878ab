"""A trial as a state machine: steps, versions, complete and incomplete panes, storage."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.cell import Cell, Group, Score, copy_cell
from app.core.trial import STEPS, Trial, covers, evidence_of, next_step, observe, open_trial, shares, with_version


def cell(n: int = 40, quality: float = 0.9, groups: int = 0) -> Cell:
    good = round(n * quality)
    made = Cell(
        n=n, latency_ms=800.0 * n, log_latency=6.6 * n, log_latency_sq=44.0 * n, cost_n=n, cost_usd=0.002 * n,
        cost_sq=5e-6 * n, quality={"judge": Score(n, float(good), float(good))},
    )  # fmt: skip
    for g in reversed(range(groups)):
        made.groups[g] = Group(n // groups, 0, 6.6 * n / groups, 0.002 * n / groups, n // groups, good / groups)
    return made


def opened() -> Trial:
    return open_trial("t1", "new", "old", minute=100, version=7)


@pytest.mark.parametrize(
    ("step", "wanted"), [(0.05, (0.05, 0.05)), (0.25, (0.25, 0.25)), (0.5, (0.5, 0.25)), (0.9, (0.9, 0.1))]
)
def test_the_control_is_as_large_as_the_canary_until_there_is_no_room(step: float, wanted: tuple[float, float]) -> None:
    assert shares(step) == wanted


@given(st.floats(0.001, 0.999))
def test_both_slices_always_fit_and_neither_is_empty(step: float) -> None:
    trial, control = shares(step)
    assert trial == step
    assert 0 < control <= 0.25
    assert trial + control <= 1 + 1e-9


def test_a_trial_ends_before_the_step_that_has_no_control() -> None:
    trial = open_trial("t", "new", "old", 0, 1, (0.05, 0.25, 1.0))
    assert trial.steps == (0.05, 0.25)
    trial = next_step(trial, 10, 2)
    assert trial.last_step
    with pytest.raises(ValueError, match="last step, 25%: admit it or roll it back"):
        next_step(trial, 20, 3)


@pytest.mark.parametrize("steps", [(), (1.0,), (0.5, 0.25), (0.0, 0.5), (0.5, 0.5)])
def test_steps_that_do_not_rise_are_refused(steps: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must rise within"):
        open_trial("t", "new", "old", 0, 1, steps)


def test_requests_of_every_version_since_the_opening_belong_to_the_trial() -> None:
    trial = next_step(with_version(opened(), 9), 130, 11)
    assert trial.versions == (7, 11)
    assert [v for v in range(5, 14) if covers(trial, v)] == [7, 8, 9, 10, 11]
    assert with_version(trial, 3).last_version == 11
    assert not covers(Trial(), 0)


def test_a_new_step_ends_the_open_block_and_counts_its_own_minutes() -> None:
    trial = observe(opened(), 100, cell(5), cell(5))
    assert trial.evidence.quality.open_trial.n == 5
    trial = next_step(trial, 101, 8)
    assert trial.evidence.quality.open_trial.n == 0
    assert trial.evidence.quality.trial.n == 5
    assert (trial.step_panes, trial.panes, trial.step_minute) == (0, 1, 101)


def test_incomplete_panes_are_kept_apart_from_what_can_promote() -> None:
    trial = observe(opened(), 100, cell(), cell())
    assert trial.doubtful is None
    gappy = observe(trial, 101, cell(), cell(), complete=False)
    assert gappy.evidence == trial.evidence
    assert gappy.doubtful is not None
    assert gappy.doubtful.latency.trial.n == 80
    later = observe(gappy, 102, cell(), cell())
    assert later.evidence.latency.trial.n == 80
    assert later.doubtful is not None
    assert later.doubtful.latency.trial.n == 120
    assert (later.panes, later.step_panes, later.incomplete) == (3, 2, 1)


def test_cells_are_left_as_they_are_and_the_order_of_their_groups_does_not_matter() -> None:
    one, same = cell(groups=8), cell(groups=8)
    turned = copy_cell(one)
    turned.groups = dict(sorted(one.groups.items()))
    assert observe(opened(), 100, one, one) == observe(opened(), 100, turned, turned)
    assert one == same


def test_groups_count_only_where_they_hold_what_the_cell_holds() -> None:
    quality, latency, errors, cost, _ = evidence_of(cell(groups=8), "judge")
    assert all(len(sample.groups) == 8 for sample in (quality, latency, errors, cost))
    by_book = cell(groups=8)
    for group in by_book.groups.values():
        group.cost = 0.0
    assert evidence_of(by_book, "judge")[3].groups == ()
    users = cell(groups=8)
    users.quality["user"] = Score(4, 2.0, 1.0)
    assert evidence_of(users, "user")[0].groups == ()
    assert evidence_of(users, "implicit")[0].n == 0


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans(), st.sampled_from([0, 1, 8])), max_size=15)
)
@settings(max_examples=25, deadline=None)
def test_stopped_anywhere_and_restored_it_ends_the_same(panes: list[tuple[int, int, bool, int]]) -> None:
    through = stored = opened()
    for minute, (a, b, complete, groups) in enumerate(panes, 100):
        cells = cell(a, groups=groups if a else 0), cell(b, groups=groups if b else 0)
        through = observe(through, minute, *cells, complete=complete)
        stored = observe(stored, minute, *cells, complete=complete)
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(stored), type=Trial)
    assert msgspec.msgpack.encode(through) == msgspec.msgpack.encode(stored)


def test_the_largest_trial_fits_its_part_of_a_row() -> None:
    trial = opened()
    for minute in range(40):
        trial = observe(trial, minute, cell(640, groups=64), cell(640, groups=64), complete=minute != 5)
    assert len(msgspec.msgpack.encode(trial)) < 24_000
    assert trial.steps == STEPS
