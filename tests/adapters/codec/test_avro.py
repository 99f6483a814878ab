"""Avro on the wire: read in both forms into the same structs as JSON, written by setting, and never trusted."""

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.codec import avro, encode_output, make_decode
from app.adapters.codec.avro import AvroReader
from app.adapters.codec.avro_schemas import SCHEMA_OF, parsed, text_of
from app.adapters.codec.avro_write import encoder
from app.adapters.codec.reasons import REASONS
from app.adapters.codec.registry import MemoryRegistry, RegistryDownError
from app.core import outputs
from app.core.commands import COMMAND
from app.core.events import FEEDBACK_RECORDED, RESPONSE_COMPLETED, ControlEvent, Event, Rejected, ResponseEvent
from app.core.outputs import Output
from app.settings import Settings
from tests.adapters.codec.samples import MINIMAL, RESPONSE, headers

QUICK = settings(max_examples=60, deadline=None)
AVRO = "application/avro"


@pytest.fixture(autouse=True)
def own_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avro, "_reader", AvroReader())


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    made = MemoryRegistry()
    avro.use(AvroReader(made))
    return made  # type: ignore[return-value]  # the fixture above restores what was in use


def plain(data: dict[str, Any], name: str = "response.completed") -> bytes:
    return written(parsed(name), data)


def written(schema: Any, data: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, data)
    return buffer.getvalue()


def confluent(identity: int, body: bytes) -> bytes:
    return b"\0" + identity.to_bytes(4, "big") + body


def read(value: bytes, type_: str = RESPONSE_COMPLETED, content_type: str = AVRO, **attributes: str) -> Event:
    return make_decode()(value, headers(content_type=content_type, type=type_, **attributes))


def as_json(data: dict[str, Any], type_: str = RESPONSE_COMPLETED) -> Event:
    return make_decode()(json.dumps(data).encode(), headers(type=type_))


def reason(event: Event) -> str:
    assert isinstance(event, Rejected), event
    return event.reason


# ---- plain ----
@pytest.mark.parametrize("content_type", ["application/avro", "avro/binary", "application/vnd.acme+avro"])
@pytest.mark.parametrize("data", [RESPONSE, MINIMAL])
def test_a_plain_response_is_the_one_that_json_gives(content_type, data):
    assert read(plain(data), content_type=content_type) == as_json(data)


def test_plain_feedback_is_the_one_that_json_gives():
    data = {"service": None, "request_id": "r-1", "rating": 4.0}
    named = {"service": "chatbot", "rating": 4.0}
    assert reason(read(plain(data, "feedback.recorded"), FEEDBACK_RECORDED)) == "no_service"  # begins with a zero byte
    assert read(plain(named, "feedback.recorded"), FEEDBACK_RECORDED) == as_json(named, FEEDBACK_RECORDED)


def test_a_command_passes_through_as_the_json_it_would_have_been():
    data = {"service": "chatbot", "command": "freeze", "args": {"hold": True}, "actor": "ada", "reason": "why"}
    event = read(plain(data, "optimizer.command"), COMMAND)
    assert isinstance(event, ControlEvent)
    assert json.loads(event.data) == data


def test_the_schema_may_be_named_instead_of_told_by_the_type():
    for name in ("io.llmplatform.ResponseCompleted", "https://schemas.example/v1/response.completed.avsc"):
        assert read(plain(MINIMAL), dataschema=name) == as_json(MINIMAL)
    assert reason(read(plain(MINIMAL), dataschema="https://schemas.example/other")) == "unknown_schema"


def test_a_type_without_a_schema_needs_an_id():
    assert reason(read(plain(MINIMAL), "io.llm-platform.sentinel.alert")) == "unknown_schema"


def test_a_structured_event_may_carry_avro_in_base64():
    import base64

    body = base64.b64encode(plain(MINIMAL)).decode()
    event = {"specversion": "1.0", "type": RESPONSE_COMPLETED, "source": "/s", "id": "e-1", "datacontenttype": AVRO}
    found = make_decode()(json.dumps({**event, "data_base64": body}).encode(), ())
    assert isinstance(found, ResponseEvent)
    assert found.data.latency_ms == MINIMAL["latency_ms"]


def test_avro_without_an_envelope_is_refused():
    rejected = make_decode()(plain(MINIMAL), [("content-type", AVRO.encode())])
    assert reason(rejected) == "unsupported_content_type"


# ---- with a registry ----
def test_the_writers_schema_is_found_by_its_id(registry):
    identity = registry.register("llm.responses-value", text_of("response.completed"))
    assert read(confluent(identity, plain(RESPONSE))) == as_json(RESPONSE)


def test_version_1_is_read_with_version_2(registry):
    old = msgspec.json.decode(text_of("response.completed"))
    old["fields"] = [f for f in old["fields"] if f["name"] in MINIMAL]
    identity = registry.register("llm.responses-value", json.dumps(old))
    assert read(confluent(identity, written(fastavro.parse_schema(old), MINIMAL))) == as_json(MINIMAL)


def test_a_later_version_is_read_with_what_is_known_today(registry):
    new = msgspec.json.decode(text_of("response.completed"))
    new["fields"].append({"name": "mood", "type": "string", "default": ""})
    identity = registry.register("llm.responses-value", json.dumps(new))
    value = written(fastavro.parse_schema(new), {**MINIMAL, "mood": "good"})
    assert read(confluent(identity, value)) == as_json(MINIMAL)


def test_a_producers_own_schema_is_translated_by_the_alias_table(registry):
    schema = {
        "type": "record",
        "name": "Call",
        "namespace": "com.acme",
        "fields": [
            {"name": "application_id", "type": "string"},
            {"name": "model_name", "type": {"type": "enum", "name": "M", "symbols": ["small", "large"]}},
            {"name": "latency_s", "type": "float"},
            {
                "name": "usage",
                "type": {"type": "record", "name": "U", "fields": [{"name": "prompt_tokens", "type": "int"}]},
            },
            {"name": "ok", "type": "boolean"},
        ],
    }
    identity = registry.register("calls-value", json.dumps(schema))
    data = {
        "application_id": "chatbot",
        "model_name": "large",
        "latency_s": 0.5,
        "usage": {"prompt_tokens": 7},
        "ok": True,
    }
    event = read(confluent(identity, written(fastavro.parse_schema(schema), data)))
    assert isinstance(event, ResponseEvent)
    assert (event.data.service, event.data.model, event.data.latency_ms, event.data.input_tokens) == (
        "chatbot",
        "large",
        500,
        7,
    )


def test_an_unknown_id_is_refused_and_asked_for_once(registry, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(registry, "schema", asked.append)
    for _ in range(3):
        rejected = read(confluent(4711, plain(MINIMAL)))
        assert reason(rejected) == "unknown_schema"
        assert "4711" in rejected.detail  # type: ignore[union-attr]  # narrowed above
    assert asked == [4711]


def test_plain_data_that_begins_with_a_zero_byte_is_read_beside_a_registry(registry):
    value = plain({"service": None, "receipt": "r", "quality": 0.5}, "feedback.recorded")
    assert value[:1] == b"\0"
    assert reason(read(value, FEEDBACK_RECORDED)) == "no_service"


def test_an_id_without_a_registry_says_what_to_set():
    rejected = read(confluent(7, plain(MINIMAL)))
    assert reason(rejected) == "avro_not_enabled"
    assert "codec.schema_registry_url" in rejected.detail  # type: ignore[union-attr]  # narrowed above


def test_known_ids_are_read_while_the_registry_is_down(registry):
    identity = registry.register("llm.responses-value", text_of("response.completed"))
    reader = AvroReader(registry)
    assert reader.preload("llm.responses-value") == 1
    avro.use(reader)
    registry.down = True
    assert isinstance(read(confluent(identity, plain(MINIMAL))), ResponseEvent)


def test_a_new_id_while_the_registry_is_down_ends_the_worker_instead_of_losing_the_record(registry):
    class EndedError(BaseException):
        pass

    def end(reason: str) -> Any:
        raise EndedError(reason)

    avro.use(AvroReader(registry, end))
    registry.down = True
    with pytest.raises(EndedError, match="schema 7 of a record is not known yet"):
        read(confluent(7, plain(MINIMAL)))


def test_a_registry_that_is_down_at_the_start_is_an_error(registry):
    registry.down = True
    with pytest.raises(RegistryDownError):
        AvroReader(registry).preload("llm.responses-value")


def test_what_is_no_avro_schema_is_unknown(registry):
    registry.register("s", '{"type":"object"}')
    assert reason(read(confluent(1, plain(MINIMAL)))) == "unknown_schema"


# ---- bad data ----
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (plain(MINIMAL)[:-3], "bad_avro"),
        (plain(MINIMAL) + b"x", "bad_avro"),
        (b"hello", "bad_avro"),
        (b"\xff" * 40, "bad_avro"),
        (plain({**MINIMAL, "latency_ms": float("nan")}), "bad_data"),
        (plain({**MINIMAL, "latency_ms": float("inf")}), "bad_data"),
        (plain({**MINIMAL, "slice": "best"}), "bad_data"),
        (plain({**MINIMAL, "service": ""}), "avro_not_enabled"),  # its length is a zero byte
    ],
)
def test_damaged_data_is_refused_with_its_reason(value, expected):
    event = read(value)
    if expected == "avro_not_enabled":
        assert reason(event) in ("avro_not_enabled", "bad_data")
    else:
        assert reason(event) == expected


@QUICK
@given(st.binary(max_size=120), st.sampled_from(sorted(SCHEMA_OF)), st.booleans())
def test_any_bytes_give_an_answer(value, type_, known):
    registry = MemoryRegistry()
    identity = registry.register("s", text_of(SCHEMA_OF[type_]))
    avro.use(AvroReader(registry if known else None))
    said: list[str] = []
    for raw in (value, confluent(identity, value)):
        event = make_decode(said.append)(raw, headers(content_type=AVRO, type=type_))
        assert not isinstance(event, Rejected) or event.reason in REASONS
    assert "internal_error" not in said


@QUICK
@given(st.lists(st.tuples(st.integers(0, 90), st.binary(max_size=3)), min_size=1, max_size=4))
def test_a_damaged_event_gives_an_answer(damages):
    value = plain(RESPONSE)
    for at, instead in damages:
        value = value[:at] + instead + value[at + 1 :]
    event = read(value)
    assert isinstance(event, ResponseEvent) or reason(event) != "internal_error"


# ---- written ----
AGGREGATE = Output(
    "aggregates",
    outputs.AGGREGATE,
    "id-1",
    "chatbot",
    1_762_683_360,
    json.dumps(
        {
            "service": "chatbot", "segment": "*", "arm": "m", "slice": "*", "window_start": "2025-11-09T10:15:00Z",
            "window_end": "2025-11-09T10:16:00Z", "window_s": 60, "count": 2, "errors": 0, "late": 0,
            "latency_ms": {"mean": 1.5, "max": 2.0}, "cost_usd": 0,
        }
    ).encode(),
)  # fmt: skip
TOPICS = {"aggregates": "llm.aggregates", "aggregates_hourly": "llm.aggregates.hourly", "anomalies": "llm.anomalies"}


def body(value: bytes | None, schema: str) -> dict[str, Any]:
    source = io.BytesIO(value or b"")
    data: Any = fastavro.schemaless_reader(source, parsed(schema), None)
    assert source.read() == b""
    return data  # type: ignore[no-any-return]  # a record


def test_an_aggregate_is_written_in_confluents_format_under_the_subject_of_its_topic():
    registry = MemoryRegistry()
    encode = encoder(["aggregates", "aggregates_hourly"], TOPICS, registry)
    assert set(registry.known("llm.aggregates-value")) == set(registry.known("llm.aggregates.hourly-value")) == {1}
    record = encode(AGGREGATE)
    assert record.value is not None
    assert record.value[:5] == confluent(1, b"")
    assert dict(record.headers)["content-type"] == AVRO.encode()
    assert (
        body(record.value[5:], "optimizer.aggregate").items() >= {"count": 2, "cost_usd": 0.0, "shadowed": None}.items()
    )
    assert encode(AGGREGATE) == record


def test_without_a_registry_plain_avro_names_its_schema():
    record = encoder(["aggregates"], TOPICS, None)(AGGREGATE)
    assert dict(record.headers)["ce_dataschema"] == b"io.llmplatform.OptimizerAggregate"
    assert body(record.value, "optimizer.aggregate")["service"] == "chatbot"


def test_other_roles_and_types_stay_json():
    encode = encoder(["aggregates_hourly"], TOPICS, None)
    savings = msgspec.structs.replace(AGGREGATE, role="aggregates_hourly", type=outputs.SAVINGS, data=b'{"a":1}')
    for output in (AGGREGATE, savings):
        assert encode(output) == encode_output(output)


def test_a_finding_that_is_written_as_avro_comes_back_through_ingest(registry):
    finding = {
        "service": "chatbot",
        "analyzer": "drift",
        "detail": "why",
        "severity": "high",
        "evidence": {"n": [1, None]},
    }
    output = Output("anomalies", outputs.FINDING, "id-2", "chatbot", 1_762_683_360, json.dumps(finding).encode())
    record = encoder(["anomalies"], TOPICS, registry)(output)
    event = make_decode()(record.value, record.headers)
    assert isinstance(event, ControlEvent)
    assert json.loads(event.data) == finding


def test_what_its_schema_cannot_say_is_written_as_json_rather_than_not_at_all(caplog):
    odd = msgspec.structs.replace(AGGREGATE, data=b'{"service":7}')
    assert encoder(["aggregates"], TOPICS, None)(odd) == encode_output(odd)
    assert "does not fit its schema" in caplog.text


def test_every_role_that_may_be_avro_is_a_setting():
    assert {f for f in ("aggregates", "anomalies") if getattr(Settings().codec, f) == "json"} == {
        "aggregates",
        "anomalies",
    }
