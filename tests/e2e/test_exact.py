"""The whole pipe, from outside: what is produced is what ``llm.aggregates`` says, exactly."""

from pathlib import Path

import pytest

from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import LATENESS_S, Deployment, deploy
from tests.e2e.harness.recount import Recount, recount
from tests.e2e.harness.topic import read
from tests.e2e.harness.traffic import Traffic, produce
from tests.e2e.harness.verify import await_aggregates, differences
from tests.e2e.harness.workers import Worker

pytestmark = pytest.mark.e2e


def expected_of(deployment: Deployment) -> Recount:
    settings = deployment.settings
    return recount(read(settings.kafka.bootstrap_servers, settings.topics.responses), LATENESS_S)


def test_a_small_stream_is_counted_exactly_also_when_no_feedback_ever_comes(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "small", tmp_path)
    produce(deployment.settings, Traffic(5_000, step_s=0.1), tail_feedback=False)
    expected = expected_of(deployment)
    assert len(expected.rows) > 300
    assert sum(expected.late.values()) > 20
    assert expected.duplicates > 50
    with Worker(deployment, tmp_path / "worker.log") as worker:
        found = await_aggregates(deployment, expected, 240)
        assert differences(found, expected) == [], worker.text()[-3000:]
