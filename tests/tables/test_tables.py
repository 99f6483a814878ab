"""What is declared to Faust, and that Faust's Recovery finds nothing to do."""

import faust
import pytest
from faust.types import TP

from tables.services import services
from tables.windows import windows


@pytest.fixture
def app() -> faust.App:
    return faust.App("t", broker="kafka://127.0.0.1:1", store="memory://", autodiscover=False)


def test_a_table_is_its_compacted_changelog_and_always_up_to_date(app: faust.App):
    for declare in (services, windows):
        table = declare(app, "x.changelog", 4)
        assert table.changelog_topic_name == "x.changelog"
        assert table.changelog_topic.partitions == 4
        assert table.changelog_topic.compacting
        assert table.persisted_offset(TP("x.changelog", 0)) > 1 << 60
        table.apply_changelog_batch([object()])
        assert len(table) == 0
