"""The same scenarios under pytest: ``CHAOS=1 pytest -m chaos``, with SEED as for ``make chaos``."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.broker import OwnBroker, own_broker, why_no_kafka
from tests.chaos.runner import run_one
from tests.chaos.scenario import Scenario, Size
from tests.chaos.scenarios import SCENARIOS

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.e2e,
    pytest.mark.skipif(not os.environ.get("CHAOS"), reason="takes minutes: make chaos, or CHAOS=1"),
]


@pytest.fixture(scope="module")
def own() -> Iterator[OwnBroker]:
    if missing := why_no_kafka():
        pytest.skip(missing)
    with own_broker() as broker:
        yield broker


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_it_is_exact(scenario: Scenario, own: OwnBroker):
    result = run_one(scenario, int(os.environ.get("SEED") or 1), own, Size())
    assert result.exact, result.failed or result.verdict
