import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.adapters.telemetry import Metric, catalogue, counted, exposition, read
from app.adapters.telemetry.catalogue import CATALOGUE, COUNTED, MEASURED, METRICS
from app.adapters.telemetry.page import PAGE, page

ROOT = Path(__file__).parents[3]


def samples(stages: Mapping[str, Mapping[str, int]]) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(exposition(counted("a", stages)))
    return {
        (s.name, tuple(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def test_counts_are_exported_under_the_names_of_the_catalogue():
    found = samples({"ingest": {"late": 3}, "lane": {"resyncs": 2}})
    assert found["llm_optimizer_ingest_late_total", ("a",)] == 3
    assert found["llm_optimizer_lane_resyncs_total", ("a",)] == 2


def test_a_counter_that_was_never_raised_is_exported_as_zero():
    assert samples({"ingest": {}})["llm_optimizer_ingest_duplicates_total", ("a",)] == 0


def test_reasons_become_a_label_and_their_sum_is_not_exported_twice():
    found = samples({"ingest": {"rejected": 5, "rejected_not_json": 3, "rejected_no_id": 2}})
    rejected = {labels: v for (name, labels), v in found.items() if name == "llm_optimizer_ingest_rejected_total"}
    assert rejected == {("a", "not_json"): 3, ("a", "no_id"): 2}


def test_a_count_nobody_catalogued_is_not_lost():
    assert samples({"ingest": {"novel": 4}})["llm_optimizer_uncatalogued_total", ("a", "novel", "ingest")] == 4


def test_the_platforms_own_name_is_kept_where_there_is_one():
    found = samples({"optimize": {"runs_decided": 2}})
    assert found["llm_optimization_runs_total", ("a", "decided")] == 2
    assert CATALOGUE["optimize", "runs"].otlp == "llm.optimization.runs"


def test_a_reading_with_other_labels_than_declared_is_refused():
    with pytest.raises(ValueError, match="llm_optimizer_lag_records is declared with the labels"):
        read(catalogue.LAG_RECORDS, 1, agent="ingest")


def test_every_metric_is_declared_once_with_a_legal_name():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", metric.name)
        assert metric.help
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.unit != "s" or "_seconds" in metric.name


def test_every_declared_metric_is_in_one_of_the_lists():
    declared = {m for m in vars(catalogue).values() if isinstance(m, Metric)}
    assert declared <= set(METRICS)
    assert set(METRICS) - {catalogue.UNCATALOGUED} == {*MEASURED, *COUNTED, *catalogue.API}


def test_the_page_is_what_the_catalogue_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python -m app.adapters.telemetry.page"


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("ingest", "app/core/fold.py"),
        ("optimize", "app/core/merge.py"),
        ("lane", "app/adapters/kafka/lane.py"),
        ("host", "app/adapters/kafka/host.py"),
        ("actuate", "app/core/actuator.py"),
    ],
)
def test_every_count_in_the_code_is_catalogued(stage: str, file: str):
    source = (ROOT / file).read_text()
    raised = set(re.findall(r'self\.(?:_tally|_count|counts)[(\[]\s*"(\w+?)_?"', source))
    assert raised
    assert {name for name in raised if (stage, name) not in CATALOGUE} == set()
