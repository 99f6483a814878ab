"""The number of facts partitions may not change under the rows: a worker says so instead of losing services."""

import pytest

from app.core.merge import Merge
from app.core.ports import Cut
from tests.core.engine import world


def opened(partitions: int, stored: dict[bytes, bytes], cut: Cut | None) -> Merge:
    point = cut.point if cut else None
    return Merge(
        0, point, stored, {}, writer=f"w{len(stored)}", lateness_s=0, silent_s=900, to_record=world.to_record,
        partitions=partitions,
    )  # fmt: skip


def committed(partitions: int) -> tuple[dict[bytes, bytes], Cut]:
    cut = opened(partitions, {}, None).cut()
    return {record.key or b"": record.value or b"" for record in cut.phases[-1]}, cut


def test_as_many_partitions_as_before_are_fine() -> None:
    stored, cut = committed(4)
    assert opened(4, stored, cut).position == 0


def test_a_facts_topic_that_grew_is_refused_with_what_to_do() -> None:
    stored, cut = committed(4)
    with pytest.raises(LookupError, match=r"had 4 partitions .* has 8 now"):
        opened(8, stored, cut)
