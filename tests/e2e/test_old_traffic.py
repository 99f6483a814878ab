"""A worker that has waited on empty topics counts last year's events as it would count today's."""

import time
from pathlib import Path

import pytest

from tests.e2e.harness.broker import Broker
from tests.e2e.harness.deployment import LATENESS_S, SESSION_S, deploy
from tests.e2e.harness.recount import recount
from tests.e2e.harness.topic import read
from tests.e2e.harness.traffic import Traffic, produce
from tests.e2e.harness.verify import await_aggregates, differences
from tests.e2e.harness.waits import until
from tests.e2e.harness.workers import Worker

pytestmark = pytest.mark.e2e


def test_a_worker_that_waited_on_empty_topics_counts_old_events_exactly(kafka: Broker, tmp_path: Path):
    deployment = deploy(kafka, "old", tmp_path)
    settings = deployment.settings
    with Worker(deployment, tmp_path / "worker.log") as worker:
        until(worker.ready, 120, f"the worker does not become ready; see {worker.log}")
        time.sleep(2 * SESSION_S)  # longer than ingest.idle_s
        produce(settings, Traffic(5_000, step_s=0.1))
        expected = recount(read(settings.kafka.bootstrap_servers, settings.topics.responses), LATENESS_S)
        found = await_aggregates(deployment, expected, 240)
        assert differences(found, expected) == [], worker.text()[-3000:]
