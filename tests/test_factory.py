"""Where the parts meet: settings -> agents."""

from typing import NoReturn

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from app.adapters.codec import avro, encode_output
from app.adapters.codec.registry import HttpRegistry, MemoryRegistry, RegistryDownError
from app.adapters.kafka.lane import Start
from app.core.batch import Batch
from app.core.fold import Fold
from app.core.merge import Merge
from app.core.outputs import SAVINGS, Output
from app.core.ports import Point
from app.factory import (
    actuate_agent,
    gateway_of,
    ingest_agent,
    optimize_agent,
    options_of,
    output_encoder,
    partitioner,
    read_avro_by,
    registry_of,
    roles,
)
from app.settings import Settings
from app.topics import CONTROL, EVIDENCE, Existing, declared
from tests.adapters.codec.spans import GENAI, request, span

SETTINGS = Settings()
EXISTING = {topic.name: Existing(8, {}) for topic in declared(SETTINGS.topics)}


def start(topic: str, point: Point | None = None) -> Start:
    rows: dict[str, dict[bytes, bytes]] = {"services": {}, "windows": {}}
    return Start(topic, 0, point, 3, rows, "writer", dict.fromkeys(EXISTING, 8))


def test_ingest_reads_every_evidence_and_control_topic_that_exists():
    names = roles(SETTINGS)
    assert set(ingest_agent(SETTINGS, EXISTING, 8).topics) == {names[role] for role in (*EVIDENCE, *CONTROL)}
    some = {name: there for name, there in EXISTING.items() if name != names["requests"]}
    assert names["requests"] not in ingest_agent(SETTINGS, some, 8).topics


def test_ingest_opens_a_fold_at_the_log_start_or_at_the_committed_point():
    agent = ingest_agent(SETTINGS, EXISTING, 8)
    fold = agent.open(start("llm.responses"))
    assert isinstance(fold, Fold)
    assert fold.position == 3
    assert agent.open(start("llm.responses", Point(9, "[1,2,3,9]"))).position == 9


def test_what_comes_on_the_topic_of_spans_is_read_as_spans():
    agent = ingest_agent(SETTINGS, EXISTING, 8)
    value = request(span(GENAI), span({}), span({})).SerializeToString()
    for topic, counts in (("otlp_spans", {"counted": 1, "ignored": 2}), ("llm.responses", {"rejected": 1})):
        fold = agent.open(start(topic))
        assert isinstance(fold, Fold)
        fold.fold(Batch(f"{topic}-0", [value], [3], start=3, end=4, segments=[(4, 1 << 52)]))
        assert fold.counts.items() >= counts.items()


def with_codec(**codec: object) -> Settings:
    return msgspec.structs.replace(SETTINGS, codec=msgspec.structs.replace(SETTINGS.codec, **codec))


def test_outputs_are_json_unless_a_role_is_set_to_avro():
    said = Output("aggregates", SAVINGS, "id", "chatbot", 0, b"{}")
    assert output_encoder(SETTINGS, None) is encode_output
    registry = MemoryRegistry()
    assert output_encoder(with_codec(aggregates="avro", anomalies="avro"), registry)(said) == encode_output(said)
    for topic in ("llm.aggregates", "llm.aggregates.hourly", "llm.anomalies"):
        assert registry.known(f"{topic}-value")


def test_a_registry_is_used_only_where_one_is_set():
    assert registry_of(SETTINGS) is None
    found = registry_of(with_codec(schema_registry_url="http://127.0.0.1:9"))
    assert isinstance(found, HttpRegistry)


def test_a_registry_that_is_down_keeps_a_worker_from_starting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(avro, "_reader", avro.AvroReader())
    registry = MemoryRegistry()
    registry.register("llm.responses-value", '"string"')
    read_avro_by(SETTINGS, registry, fatal)
    registry.down = True
    with pytest.raises(RegistryDownError):
        read_avro_by(SETTINGS, registry, fatal)
    with pytest.raises(RegistryDownError):
        output_encoder(with_codec(aggregates="avro"), registry)


def fatal(code: int, reason: str) -> NoReturn:
    raise AssertionError(code, reason)


def test_optimize_reads_only_the_facts_and_remembers_two_tables():
    agent = optimize_agent(SETTINGS, None)
    assert agent.topics == (SETTINGS.topics.facts,)
    assert set(agent.tables) == {"services", "windows"}
    assert isinstance(agent.open(start(SETTINGS.topics.facts)), Merge)


def test_actuate_starts_at_the_log_start_and_without_a_gateway_only_looks_on():
    agent = actuate_agent(SETTINGS, gateway_of(SETTINGS, None))
    assert agent.from_start
    assert agent.tick is None
    assert [broadcast.topic for broadcast in agent.broadcasts] == [SETTINGS.topics.commands]


def test_a_gateway_without_a_session_is_refused():
    gateway = msgspec.structs.replace(SETTINGS.gateway, kind="orchestrator", url="http://127.0.0.1:1")
    with pytest.raises(ValueError, match="HTTP session"):
        gateway_of(msgspec.structs.replace(SETTINGS, gateway=gateway), None)


def test_every_role_a_record_can_have_has_a_topic():
    from typing import get_args

    from app.core.ports import Role

    assert set(get_args(Role)) <= roles(SETTINGS).keys()


def test_a_service_goes_to_the_partition_that_kafka_would_choose():
    ours, theirs = partitioner(8), DefaultPartitioner()
    for name in ("a", "chat-assistant", "größe", "x" * 200):
        assert ours(name) == theirs(name.encode(), list(range(8)), list(range(8)))


def test_every_agent_is_a_group_of_its_own_and_only_ingest_knows_idle_sources():
    options = {name: options_of(SETTINGS, name) for name in ("ingest", "optimize", "actuate")}
    assert [o.group for o in options.values()] == [
        "llm-optimizer-ingest", "llm-optimizer-optimize", "llm-optimizer-actuate",
    ]  # fmt: skip
    assert [bool(o.idle_after_s) for o in options.values()] == [True, False, False]


def test_early_partials_may_be_wanted_more_often_than_flushes_and_marks():
    ingest = msgspec.structs.replace(SETTINGS.ingest, flush_s=0.25, early_flush_s=0.05)
    early = options_of(msgspec.structs.replace(SETTINGS, ingest=ingest), "ingest")
    usual = options_of(SETTINGS, "ingest")
    assert (early.flush_interval_s, early.flush_eagerly) == (0.05, True)
    assert (usual.flush_interval_s, usual.flush_eagerly) == (SETTINGS.ingest.flush_s, False)


def test_optimize_reads_every_fact_at_once_but_not_each_by_itself():
    found = options_of(SETTINGS, "optimize")
    assert found.fetch_min_bytes == 1
    assert 0 < found.fetch_gap_s < 0.05
