"""The Avro schemas say the same as the structs, and a reader of tomorrow can read what is written today."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest

from app.adapters.codec.avro_schemas import SCHEMA_OF
from app.adapters.codec.feedback import FeedbackData
from app.core.cell import Cell, Late, Score
from app.core.commands import Command, Freeze, to_json
from app.core.decision import Alternative, Change, Constraint, Decision, Deployment, Impact, Outcome
from app.core.events import Receipt, Response, SegmentParts
from app.core.reports import Drift
from app.core.split import ArmDefinition, Split, TrialSlice
from app.core.windows import ArmSums, Window, aggregates

FOLDER = Path(__file__).parents[2] / "schemas" / "avro"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.avsc"))}
STRUCTS: dict[str, type[msgspec.Struct]] = {
    "ResponseCompleted": Response, "SegmentParts": SegmentParts, "FeedbackRecorded": FeedbackData, "Receipt": Receipt,
    "Split": Split, "ArmDefinition": ArmDefinition, "TrialSlice": TrialSlice, "OptimizationDecision": Decision,
    "Change": Change, "Deployment": Deployment, "Impact": Impact, "Constraint": Constraint, "Alternative": Alternative,
    "OptimizationOutcome": Outcome,
}  # fmt: skip

SPLIT = Split(
    service="chatbot",
    version=13,
    decision_id="d-1",
    incumbent="strong",
    arms=(
        ArmDefinition(
            name="strong", model="m-1", provider="p", prompt_version="v3", region="eu", parameters={"top": [1, None]}
        ),
        ArmDefinition(name="cheap", model="m-2", features={"cache": {"ttl_s": 60}}),
    ),
    weights={"*": {"strong": 0.75, "cheap": 0.25}},
    baseline="strong",
    holdout_share=0.05,
    trial=TrialSlice("t-1", "cheap", "strong", 0.25, 0.25),
    sticky=False,
    frozen=True,
    segment_by="tenant",
    segments=("acme",),
    score_rates={"trial": 0.1},
    decided_at_s=1_762_683_330,
)
DECISION = Decision(
    decision_id="d-1", service="chatbot", action="open-trial", version=13, cycle=4, trigger="time", strategy="hybrid",
    mode="auto", segment="acme", changes=(Change(parameter="model", old="m-1", new={"name": "m-2"}), Change(parameter="x")),
    deployment=Deployment(strategy="canary", step=5, progression=(5, 25)),
    expected_impact={"quality": Impact(estimate=-0.01, low=-0.02, high=0.0, n=400), "cost": Impact(estimate=-0.6)},
    expected_minutes=42.5, confidence=0.95,
    constraints=(Constraint(name="p95", limit=900.0, value=None, satisfied=False),),
    rationale="Because.", evidence={"n": 400, "groups": [[1, 2.5]], "nothing": None}, alternatives=(Alternative("mid", "dear"),),
    engine_version="1", valid_for_s=900, split=SPLIT,
)  # fmt: skip
FULL: dict[str, list[Any]] = {
    "response.completed": [
        Response(
            service="chatbot", model="m", latency_ms=812.4, request_id="r.x", arm="a", served_arm="b",
            segment=SegmentParts("t", "k", "r"), slice="trial", version=2**53, session_id="s", session_group=63,
            provider="p", ttft_ms=1.5, input_tokens=1, output_tokens=2, cached_tokens=3, cost_usd=0.01, status="error",
            error_type="e", finish_reason="f", response_model="g", fingerprint="h", max_tokens=9, valid_json=False,
            retry_of="i", prompt_hash="j", quality=0.5, own_cost_usd=0.5, labels={"größe": "L"},
        ),
        Response(service="chatbot", model="m", latency_ms=812.4),
    ],
    "feedback.recorded": [
        FeedbackData(
            service="chatbot", request_id="r", receipt=Receipt("chatbot", "a", SegmentParts("t"), "trial", 3, 5), source="user",
            scores={"x": 0.5}, quality=0.5, rating=4.5, thumbs="up", task_completed=True, edited=False, retried=True,
            dwell_s=1.5, converted=True, value_usd=9.5, score_probability=0.1,
        ),
        FeedbackData(receipt="r.x"),
        FeedbackData(),
    ],
    "optimizer.split": [SPLIT, Split(service="s", version=0, decision_id="d", incumbent="a", arms=(), weights={})],
    "optimization.decision": [
        DECISION,
        Decision(
            decision_id="d", service="s", action="hold", version=1, cycle=1, trigger="event", strategy="threshold", mode="observe"
        ),
    ],
    "optimization.outcome": [
        Outcome(
            decision_id="d", service="s", version=1, gateway="g", observed_share=0.5, expected_share=0.5, requests=9,
            first_seen="2025-11-09T10:15:30Z", error="e",
        ),
        Outcome(decision_id="d", service="s", version=1, gateway="g"),
    ],
}  # fmt: skip


def window_rows() -> list[dict[str, Any]]:
    """Aggregates as the engine writes them: a trial arm with scores and times, late requests on the total."""
    cell = Cell(
        n=2,
        latency_ms=30.0,
        latency_ms_max=20.0,
        ttft_n=1,
        ttft_ms=5.0,
        cost_n=1,
        cost_usd=0.5,
        quality={"user": Score(1, 1.0, 1.0)},
    )
    arm = ArmSums("cheap", "*", cell, {100: 2}, {"main": Cell(n=1), "trial": Cell(n=1)})
    outs = aggregates(Window(60, 1_762_683_300, [arm], Late(1, 0.5, 3, 4), 2), "chatbot")
    return [json.loads(output.data) for output in outs]


def through(name: str, data: dict[str, Any]) -> Any:
    """Written with the schema and read back."""
    schema = fastavro.parse_schema(SCHEMAS[name])
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, data, strict_allow_default=True)
    buffer.seek(0)
    return fastavro.schemaless_reader(buffer, schema, schema)


def records(node: Any) -> list[dict[str, Any]]:
    """Every record in a schema, the outermost first."""
    if isinstance(node, dict):
        inner = [record for value in node.values() for record in records(value)]
        return [node, *inner] if node.get("type") == "record" else inner
    return [record for item in node for record in records(item)] if isinstance(node, list) else []


NAMED = {record["name"]: record for schema in SCHEMAS.values() for record in records(schema)}


def test_every_event_has_a_schema_and_every_schema_an_event():
    assert set(SCHEMA_OF.values()) == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_parses_in_the_products_namespace(name):
    parsed = fastavro.parse_schema(SCHEMAS[name])
    assert isinstance(parsed, dict)
    assert parsed["name"].startswith("io.llmplatform.")


@pytest.mark.parametrize("record", NAMED)
def test_every_record_and_field_is_documented(record):
    assert NAMED[record]["doc"]
    assert [f["name"] for f in NAMED[record]["fields"] if not f.get("doc")] == []


@pytest.mark.parametrize(
    ("suffix", "words"), [("_ms", "illisecond"), ("_usd", "US dollars"), ("_s", "econds"), ("_tokens", "oken")]
)
def test_every_field_with_a_unit_in_its_name_has_it_in_its_words(suffix, words):
    fields = [f for record in NAMED.values() for f in record["fields"] if f["name"].endswith(suffix)]
    assert fields
    assert [f["name"] for f in fields if words not in f["doc"]] == []


@pytest.mark.parametrize("record", STRUCTS)
def test_every_field_of_the_struct_is_in_its_schema_and_back_with_the_same_default(record):
    def plain(value: Any) -> Any:
        return msgspec.to_builtins(value)

    defaults = {
        f.name: plain(f.default_factory() if f.default is msgspec.NODEFAULT else f.default)
        for f in msgspec.structs.fields(STRUCTS[record])
        if not f.required
    }
    schema = NAMED[record]["fields"]
    assert {f["name"] for f in schema} == set(STRUCTS[record].__struct_fields__)
    read = {f["name"]: f["default"] for f in schema if "default" in f}
    for struct in (SegmentParts(), Deployment()):  # their schemas spell out what omit_defaults leaves out
        spelled = msgspec.structs.asdict(struct)
        read = {
            name: plain(struct) if value == json.loads(json.dumps(spelled)) else value for name, value in read.items()
        }
    assert json.loads(json.dumps(read)) == json.loads(json.dumps(defaults))


def test_the_command_schema_has_the_fields_of_a_command():
    assert {f["name"] for f in SCHEMAS["optimizer.command"]["fields"]} == set(Command.__struct_fields__)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FULL.items() for value in values])
def test_a_full_and_a_minimal_event_come_back_equal(name, value):
    data = json.loads(msgspec.json.encode(value))
    read = through(name, data)
    assert msgspec.convert(read, type(value)) == value


def test_a_full_example_says_something_in_every_field():
    for name, (full, *_) in FULL.items():
        said = json.loads(msgspec.json.encode(full))
        assert set(said) == {f["name"] for f in SCHEMAS[name]["fields"]}, name


def test_a_command_comes_back_equal():
    data = json.loads(
        to_json(Command(service="*", command="freeze", args=Freeze(hold=True), actor="ada", reason="why"))
    )
    assert through("optimizer.command", data) == data


def test_aggregates_as_the_engine_writes_them_come_back_equal():
    rows = window_rows()
    assert {name for row in rows for name in row} == {f["name"] for f in SCHEMAS["optimizer.aggregate"]["fields"]}
    for row in rows:
        read = through("optimizer.aggregate", row)
        assert (
            row.items()
            <= {**read, "latency_ms": {k: v for k, v in read["latency_ms"].items() if v is not None}}.items()
        )


def test_a_finding_of_a_gateway_that_drifted_comes_back_equal():
    drift = msgspec.to_builtins(Drift("chatbot", "d-1", 3, "litellm", "gateway-drift", "weights differ", "reapply"))
    assert drift.items() <= through("optimizer.finding", drift).items()


@pytest.mark.parametrize("name", ["experiment.started", "experiment.completed"])
def test_the_experiment_event_of_the_requirements_fits(name):
    data: dict[str, Any] = {
        "experiment_id": "exp-cascade-001",
        "service": "chatbot",
        "experiment_type": "model_selection",
        "variants": [{"variant_id": "control", "traffic_percentage": 50, "metrics": {"average_cost_usd": 0.0245}}],
    }
    if name == "experiment.completed":
        data |= {
            "winner": {"variant_id": "treatment", "confidence": 0.95, "improvement_metrics": {"quality_change": -0.03}}
        }
    read = through(name, data)
    assert read["variants"][0]["metrics"] == {"average_cost_usd": 0.0245}
    assert read["experiment_id"] == "exp-cascade-001"


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_reader_of_today_reads_what_a_writer_without_the_optional_fields_wrote(name):
    new = SCHEMAS[name]
    old = {**new, "fields": [f for f in new["fields"] if "default" not in f]}
    sample = {f["name"]: _sample(f["type"]) for f in old["fields"]}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(old), sample)
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, fastavro.parse_schema(old), fastavro.parse_schema(new))
    assert isinstance(read, dict)
    assert set(read) == {f["name"] for f in new["fields"]}


def _sample(kind: Any) -> Any:
    if isinstance(kind, str):
        return {"string": "x", "double": 0.5, "long": 1, "int": 1, "boolean": True}[kind]
    if kind["type"] == "record":
        return {f["name"]: _sample(f["type"]) for f in kind["fields"] if "default" not in f}
    return [] if kind["type"] == "array" else {}
