"""The header for Portkey at a real one (`make portkey`): shares are those asked for, an outage is not seen, all is told."""

from pathlib import Path

import pytest

from tests.e2e.harness.portkey import need_portkey
from tests.e2e.harness.portkey_story import STEPS, tell

pytestmark = pytest.mark.e2e


def test_portkey_serves_by_the_split_and_says_who_answered(tmp_path: Path):
    need_portkey()
    figures = tell(tmp_path, requests=200)
    assert (figures.failed, figures.wrongly_told) == (0, 0)
    assert len(figures.first_stamped_s) == len(STEPS)
    assert {row[1] for row in figures.shares} == {1, 2, 3}
    assert min(row[-1] for row in figures.shares) > 1e-5, figures.shares
    assert figures.outage_requests > 0
    assert (figures.outage_elsewhere, figures.outage_failed) == (figures.outage_requests, 0)
    assert figures.kept
