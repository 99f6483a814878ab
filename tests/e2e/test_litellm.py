"""A real LiteLLM in front of providers over HTTP follows the worker (make litellm; skipped without)."""

from pathlib import Path

import pytest

from tests.e2e.harness.broker import Broker, free_port
from tests.e2e.harness.gateway_story import tell
from tests.e2e.harness.litellm import need_litellm

pytestmark = pytest.mark.e2e


def test_a_cheaper_model_serves_in_the_end_a_bad_one_is_taken_back_and_an_outage_is_not_seen(
    kafka: Broker, tmp_path: Path
):
    need_litellm()
    figures = tell(kafka, tmp_path, free_port())
    assert figures.promoted_s is not None, figures
    assert figures.rolled_back_s is not None, figures
    assert min(p for *_, p in figures.shares) > 1e-5, figures.shares
    assert len(figures.first_stamped_s) >= 5, "the splits of the steps never showed in an answer"
    assert (figures.outage_failed, figures.failed) == (0, 0)
    assert figures.outage_elsewhere == figures.outage_requests > 0
    assert (figures.events, figures.duplicates) == (figures.requests, 0)
