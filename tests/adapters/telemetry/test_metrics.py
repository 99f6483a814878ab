import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.telemetry import CATALOGUE, exposition

ROOT = Path(__file__).parents[3]


def samples(stages: dict[str, dict[str, int]]) -> dict[tuple[str, tuple[str, ...]], float]:
    body, content_type = exposition({stage: counts.copy for stage, counts in stages.items()})
    assert content_type.startswith("text/plain")
    families = text_string_to_metric_families(body.decode())
    return {
        (s.name, tuple(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def test_counts_are_exported_under_the_names_of_the_catalogue():
    found = samples({"ingest": {"late": 3}, "lane": {"resyncs": 2}})
    assert found[("llm_optimizer_ingest_late_total", ())] == 3
    assert found[("llm_optimizer_lane_resyncs_total", ())] == 2


def test_a_counter_that_was_never_raised_is_exported_as_zero():
    assert samples({"ingest": {}})[("llm_optimizer_ingest_duplicates_total", ())] == 0


def test_reasons_become_a_label_and_their_sum_is_not_exported_twice():
    found = samples({"ingest": {"rejected": 5, "rejected_not_json": 3, "rejected_no_id": 2}})
    rejected = {
        labels: value for (name, labels), value in found.items() if name == "llm_optimizer_ingest_rejected_total"
    }
    assert rejected == {("not_json",): 3, ("no_id",): 2}


def test_a_count_nobody_catalogued_is_not_lost():
    assert samples({"ingest": {"novel": 4}})[("llm_optimizer_uncatalogued_total", ("novel", "ingest"))] == 4


def test_counts_are_read_at_each_scrape():
    counts = {"late": 1}
    stages = {"ingest": lambda: counts}
    exposition(stages)
    counts["late"] = 7
    assert b"llm_optimizer_ingest_late_total 7.0" in exposition(stages)[0]


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=lambda metric: metric.name)
def test_every_name_is_a_legal_metric_name_with_a_meaning(metric):
    assert re.fullmatch(r"llm_optimizer_[a-z_]+", metric.name)
    assert metric.meaning


@pytest.mark.parametrize(
    ("stage", "file"),
    [("ingest", "app/core/fold.py"), ("optimize", "app/core/merge.py"), ("lane", "app/adapters/kafka/lane.py")],
)
def test_every_count_in_the_code_is_catalogued(stage: str, file: str):
    source = (ROOT / file).read_text()
    counted = set(re.findall(r'self\._(?:tally|count)\(\s*"(\w+?)_?"', source))
    assert counted
    assert {name for name in counted if (stage, name) not in CATALOGUE} == set()
