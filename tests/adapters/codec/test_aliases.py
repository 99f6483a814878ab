"""Each row of the alias table, flat and nested; trust, conflicts and units."""

from typing import Any

import pytest

from app.adapters.codec.aliases import CANONICAL_UNITS, FEEDBACK, RESPONSE, SERVICE, Alias
from app.adapters.codec.convert import UNITS
from app.adapters.codec.feedback import FeedbackData
from app.core.events import Response, SegmentParts
from tests.adapters.codec.samples import MINIMAL, feedback, structured

VALUES: dict[str, tuple[Any, Any]] = {  # field -> what is sent, what must be read
    "service": ("billing", "billing"),
    "request_id": ("r-9", "r-9"),
    "model": ("m-9", "m-9"),
    "response_model": ("m-9-0613", "m-9-0613"),
    "provider": ("openai", "openai"),
    "input_tokens": (17, 17),
    "output_tokens": (23, 23),
    "cached_tokens": (5, 5),
    "latency_ms": (321.5, 321.5),
    "ttft_ms": (45.5, 45.5),
    "cost_usd": (0.02, 0.02),
    "status": ("error", "error"),
    "error_type": ("timeout", "timeout"),
    "finish_reason": ("stop", "stop"),
    "fingerprint": ("fp_1", "fp_1"),
    "max_tokens": (500, 500),
    "session_id": ("s-1", "s-1"),
    "segment.tenant": ("acme", "acme"),
    "segment.task_type": ("summary", "summary"),
    "segment.region": ("eu", "eu"),
    "quality": (0.75, 0.75),
    "arm": ("cheap@v3", "cheap@v3"),
    "served_arm": ("strong", "strong"),
    "slice": ("trial", "trial"),
    "version": (12, 12),
    "session_group": (7, 7),
    "own_cost_usd": (0.001, 0.001),
    "retry_of": ("r-8", "r-8"),
    "valid_json": (True, True),
    "prompt_hash": ("ab12", "ab12"),
}
BY_UNIT: dict[str, tuple[Any, Any]] = {
    "s": (0.25, 250.0),
    "first": (["length", "stop"], "length"),
    "provider": ("vertex_ai", "gcp.vertex_ai"),
    "status": ("ERROR", "error"),
    "success": (False, "error"),
    "http_status": (503, "error"),
}


def nested(name: str, value: Any) -> dict[str, Any]:
    for part in reversed(name.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]  # at least one part, so a dict


def read(event: Any, field: str) -> Any:
    for part in field.split("."):
        event = getattr(event, part)
    return event


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in MINIMAL.items() if name != field}


@pytest.mark.parametrize("row", RESPONSE, ids=lambda row: row.name)
def test_every_row_for_responses_is_read_flat_nested_and_below_attributes(decode, counts, row):
    sent, expected = BY_UNIT[row.unit] if row.unit else VALUES[row.field]
    spellings = [{row.name: sent}, nested(row.name, sent)]
    if "." in row.name:
        spellings += [{"attributes": {row.name: sent}}, {"resource": {"attributes": nested(row.name, sent)}}]
    for spelling in spellings:
        event = decode(structured({**without(row.field), **spelling}), ())
        assert read(event.data, row.field) == expected, spelling
    assert counts == {"aliased": len(spellings)}


def test_every_row_names_an_existing_field_a_known_unit_and_its_origin():
    parts = {f"segment.{part}" for part in SegmentParts.__struct_fields__}
    for rows, fields in (
        (RESPONSE, {*Response.__struct_fields__, *parts}),
        (FEEDBACK, {*FeedbackData.__struct_fields__}),
    ):
        for row in rows:
            assert row.field in fields, row
            assert row.unit in {"", *UNITS}, row
            assert row.origin, row
        assert len({row.name for row in rows}) == len(rows)
        assert not {row.name for row in rows} & set(fields), "an alias may not hide a canonical name"
        assert set(CANONICAL_UNITS.values()) <= UNITS.keys()


@pytest.mark.parametrize(
    "generation",
    [
        {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 128, "gen_ai.usage.completion_tokens": 245},
        {"gen_ai.system": "openai", "gen_ai.usage.input_tokens": 128, "gen_ai.usage.output_tokens": 245},
        {"gen_ai.provider.name": "openai", "gen_ai.usage.input_tokens": 128, "gen_ai.usage.output_tokens": 245},
    ],
)
def test_three_generations_of_opentelemetry_names_give_one_response(decode, generation):
    common = {
        "gen_ai.request.model": "gpt-4",
        "gen_ai.response.finish_reasons": ["stop"],
        "llm.request_id": "req_abc123",
        "llm.application_name": "chatbot-support",
        "llm.response.latency_ms": 2500,
    }
    assert decode(structured({**common, **generation}), ()).data == Response(
        service="chatbot-support",
        model="gpt-4",
        provider="openai",
        latency_ms=2500,
        request_id="req_abc123",
        input_tokens=128,
        output_tokens=245,
        finish_reason="stop",
    )


def test_tokens_as_an_object_are_never_missed_where_all_else_is_canonical(decode):
    data = decode(structured({**MINIMAL, "tokens": {"input": 7, "output": 9}}), ()).data
    assert (data.input_tokens, data.output_tokens) == (7, 9)


def test_scalars_and_objects_of_the_same_name_are_told_apart(decode):
    assert decode(structured({**MINIMAL, "cost": 0.5}), ()).data.cost_usd == 0.5
    assert decode(structured({**MINIMAL, "cost": {"total": 0.5, "currency": "USD"}}), ()).data.cost_usd == 0.5
    assert decode(structured({**without("model"), "model": {"name": "m"}}), ()).data.model == "m"


def test_the_canonical_name_wins_over_an_alias_and_the_conflict_is_counted(decode, counts):
    assert decode(structured({**MINIMAL, "input_tokens": 1, "prompt_tokens": 2}), ()).data.input_tokens == 1
    assert decode(structured({**MINIMAL, "prompt_tokens": 2, "input_tokens": 1}), ()).data.input_tokens == 1
    assert counts == {"alias_conflict": 2}


def test_the_more_trusted_alias_wins_in_any_order(decode, counts):
    newer, older = {"gen_ai.provider.name": "azure.ai.openai"}, {"gen_ai.system": "openai"}
    for spelling in ({**newer, **older}, {**older, **newer}):
        assert decode(structured({**MINIMAL, **spelling}), ()).data.provider == "azure.ai.openai"
    assert counts == {"alias_conflict": 2, "aliased": 2}


def test_spellings_that_agree_are_no_conflict(decode, counts):
    agreeing = {"gen_ai.system": "vertex_ai", "gen_ai.provider.name": "gcp.vertex_ai", "latency_s": 0.8124}
    assert decode(structured({**MINIMAL, **agreeing}), ()).data.provider == "gcp.vertex_ai"
    assert counts == {"aliased": 1}


def test_an_error_type_by_its_opentelemetry_name_makes_the_request_an_error(decode):
    assert decode(structured({**MINIMAL, "error.type": "timeout"}), ()).data.status == "error"
    assert decode(structured({**MINIMAL, "error": {"type": "timeout"}, "status": "ok"}), ()).data.status == "ok"


@pytest.mark.parametrize(
    ("word", "status"), [("success", "ok"), ("Completed", "ok"), ("failed", "error"), ("timeout", "error")]
)
def test_other_words_for_a_status_are_understood(decode, word, status):
    assert decode(structured({**MINIMAL, "status": word}), ()).data.status == status


@pytest.mark.parametrize(
    "spelling",
    [{"latency_s": "1"}, {"latency_s": True}, {"success": 1}, {"otel.status_code": 2}, {"status_code": "500"}],
)
def test_a_value_its_unit_cannot_convert_is_rejected_by_the_name_it_came_by(decode, spelling):
    event = decode(structured({**MINIMAL, **spelling}), ())
    assert event.reason == "bad_data"
    assert f"`$.data.{next(iter(spelling))}`" in event.detail


def test_more_names_than_the_bound_are_rejected(decode):
    assert decode(structured({**MINIMAL, **{f"x{n}": n for n in range(600)}}), ()).reason == "too_many_fields"


SCORED: dict[str, tuple[Any, float]] = {"quality": (0.75, 0.75), "rating": (4, 0.75), "thumbs": (False, 0.0)}
SIGNALS = {"task_completed": (False, 0.0), "edited": (True, 0.5), "retried": (True, 0.0)}
WITHOUT_SCORE = {"dwell_s": (3.5, "ignored"), "converted": (True, "ignored"), "value_usd": (9.5, "ignored")}


@pytest.mark.parametrize("row", [r for r in FEEDBACK if r.field in {**SCORED, **SIGNALS}], ids=lambda row: row.name)
def test_every_row_that_scores_feedback_is_read_flat_and_nested(decode, row: Alias):
    sent, quality = {**SCORED, **SIGNALS}[row.field]
    for spelling in ({row.name: sent}, nested(row.name, sent)):
        assert decode(feedback(service="chatbot", **spelling), ()).data.quality == quality


@pytest.mark.parametrize("row", [r for r in FEEDBACK if r.field in WITHOUT_SCORE], ids=lambda row: row.name)
def test_every_row_of_a_signal_without_a_score_is_understood_and_ignored(decode, row: Alias):
    assert (
        type(decode(feedback(service="chatbot", **{row.name: WITHOUT_SCORE[row.field][0]}), ())).__name__ == "Ignored"
    )


@pytest.mark.parametrize("row", SERVICE, ids=lambda row: row.name)
def test_every_spelling_of_the_service_is_read_in_feedback_and_alerts(decode, row: Alias):
    for spelling in ({row.name: "billing"}, nested(row.name, "billing")):
        assert decode(feedback(quality=1, **spelling), ()).data.service == "billing"
        assert decode(structured(spelling, "io.llm-platform.sentinel.alert"), ()).service == "billing"


def test_the_rest_of_the_feedback_rows(decode):
    event = decode(feedback(service="s", quality=1, propensity=0.5, feedback_source="human"), ())
    assert (event.data.score_probability, event.data.source) == (0.5, "user")
