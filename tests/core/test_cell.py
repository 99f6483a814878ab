"""Addition forgets no field, whichever are appended."""

from typing import Any

import msgspec
import pytest

from app.core.cell import (
    Cell,
    Group,
    Late,
    Score,
    Unpriced,
    Waste,
    add_cell,
    add_cell_without_groups,
    add_late,
    add_score,
    add_waste,
    copy_cell,
)


def filled(kind: type[Any]) -> Any:
    """A ``kind`` with another number in each of its numeric fields."""
    numbers = {
        field.name: field.type(i + 1)
        for i, field in enumerate(msgspec.structs.fields(kind))
        if field.type in (int, float)
    }
    return kind(**numbers)


def numbers(struct: Any) -> list[float]:
    return [value for value in msgspec.structs.astuple(struct) if isinstance(value, int | float)]


@pytest.mark.parametrize(("kind", "add"), [(Score, add_score), (Late, add_late), (Waste, add_waste)])
def test_every_field_is_added(kind: type[Any], add: Any) -> None:
    total = filled(kind)
    add(total, filled(kind))
    assert numbers(total) == [2 * x for x in numbers(filled(kind))]


def test_a_cell_adds_all_it_holds_and_a_copy_shares_nothing() -> None:
    cell: Cell = filled(Cell)
    cell.quality, cell.groups = {"judge": filled(Score)}, {3: filled(Group)}
    cell.unpriced, cell.waste, cell.models = filled(Unpriced), filled(Waste), ["b"]
    total = copy_cell(cell)
    assert total == cell
    add_cell(total, cell)
    assert numbers(total) == [x if x == cell.latency_ms_max else 2 * x for x in numbers(cell)]
    for got, once in ((total.groups[3], cell.groups[3]), (total.unpriced, cell.unpriced), (total.waste, cell.waste)):
        assert numbers(got) == [2 * x for x in numbers(once)]
    bare = Cell()
    add_cell_without_groups(bare, cell)
    assert msgspec.structs.replace(bare, groups=cell.groups) == cell
