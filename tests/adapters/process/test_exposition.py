from prometheus_client.parser import text_string_to_metric_families

from app.adapters.process.exposition import join
from app.adapters.telemetry import exposition, read
from app.adapters.telemetry.catalogue import LAG_RECORDS


def text(agent: str, value: float) -> str:
    return exposition([read(LAG_RECORDS, value, agent=agent, source='a"b\\c\nd')])


def test_the_text_is_what_a_parser_reads():
    (found,) = text_string_to_metric_families(text("ingest", 3))
    assert found.name == "llm_optimizer_lag_records"
    assert found.samples[0].labels == {"agent": "ingest", "source": 'a"b\\c\nd'}
    assert found.samples[0].value == 3


def test_the_texts_of_several_agents_are_one_family():
    joined = join([text("ingest", 3), text("optimize", 4), ""])
    (found,) = text_string_to_metric_families(joined)
    assert [(s.labels["agent"], s.value) for s in found.samples] == [("ingest", 3), ("optimize", 4)]
    assert joined.count("# TYPE") == 1


def test_of_nothing_comes_nothing():
    assert join([]) == ""
