"""Writes tests/adapters/codec/corpus: records that have broken decoders, each with what must become of it.

``python tests/adapters/codec/write_corpus.py`` from the root of the project. ``NAME.bin`` is the value; ``index.json`` maps
the name to the headers and the expected event (``type`` of the event, ``/reason`` for a rejection). A record found by
fuzzing is added here by hand and stays.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.adapters.codec.samples import MINIMAL, RESPONSE, envelope, headers

FOLDER = Path(__file__).parent / "corpus"
FEEDBACK = "io.llm-platform.feedback.recorded"
COMMAND = "io.llm-platform.optimizer.command"
ALERT = "io.llm-platform.sentinel.alert"

Case = tuple[bytes, list[tuple[str, str]], str]


def event(data: Any, type_: str = "io.llm-platform.response.completed", **attributes: Any) -> bytes:
    return json.dumps(envelope(data, type_, **attributes)).encode()


def around(raw: bytes, **attributes: Any) -> bytes:
    """A response whose data holds ``raw`` as the value of an unknown field."""
    return event({**RESPONSE, "x": "RAW"}, **attributes).replace(b'"RAW"', raw)


def field(name: str, raw: bytes) -> bytes:
    """A response in which field ``name`` has the JSON text ``raw``."""
    return event({**RESPONSE, name: "RAW"}).replace(b'"RAW"', raw)


def said(**changes: Any) -> list[tuple[str, str]]:
    return [(name, value.decode()) for name, value in headers(**changes)]


NOT_JSON = {
    "empty": b"",
    "space": b" \r\n\t",
    "one-brace": b"{",
    "word": b"hello",
    "single-quotes": b"{'specversion': '1.0'}",
    "trailing-comma": event(RESPONSE)[:-1] + b",}",
    "trailing-bytes": event(RESPONSE) + b"x",
    "two-events": event(RESPONSE) + event(RESPONSE),
    "truncated": event(RESPONSE)[:-20],
    "byte-order-mark": b"\xef\xbb\xbf" + event(RESPONSE),
    "utf-16": event(RESPONSE).decode().encode("utf-16"),
    "null-byte-first": b"\x00" + event(RESPONSE),
    "null-byte-in-text": event(RESPONSE).replace(b"chatbot", b"chat\x00bot"),
    "all-zeros": bytes(64),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    "confluent-magic-byte": b"\x00\x00\x00\x00\x07\x0echatbot",
    "nan": field("latency_ms", b"NaN"),
    "infinity": field("latency_ms", b"-Infinity"),
    "leading-zero": field("version", b"012"),
    "lone-surrogate": field("service", b'"\\ud800"'),
    "bad-escape": field("service", b'"\\x41"'),
    "control-character": field("service", b'"a\nb"'),
}
BAD_DATA = {
    "number-too-large": field("cost_usd", b"1e999"),
    "negative-cost": field("cost_usd", b"-0.01"),
    "huge-integer": field("input_tokens", b"9" * 40),
    "integer-of-5000-digits": field("input_tokens", b"9" * 5000),
    "tokens-as-text": field("input_tokens", b'"512"'),
    "tokens-as-float": field("input_tokens", b"512.5"),
    "tokens-as-true": field("input_tokens", b"true"),
    "version-beyond-2-53": field("version", b"9007199254740993"),
    "service-empty": field("service", b'""'),
    "service-of-201-characters": field("service", json.dumps("x" * 201).encode()),
    "service-as-list": field("service", b'["chatbot"]'),
    "unknown-slice": field("slice", b'"canary"'),
    "nine-labels": field("labels", json.dumps({str(n): "x" for n in range(9)}).encode()),
    "label-as-number": field("labels", b'{"a": 1}'),
    "session-group-64": field("session_group", b"64"),
    "segment-as-text": field("segment", b'"acme"'),
    "model-missing": event({"service": "chatbot", "latency_ms": 1}),
    "alias-of-wrong-type": event({**MINIMAL, "tokens": {"input": "many"}}),
    "feedback-rating-zero": event({"service": "chatbot", "rating": 0}, FEEDBACK),
    "feedback-scores-empty": event({"service": "chatbot", "scores": {}}, FEEDBACK),
    "alert-service-as-number": event({"service": 7}, ALERT),
}
CASES: dict[str, Case] = {
    **{f"not-json.{name}": (value, [], "/not_json" if value else "/empty_value") for name, value in NOT_JSON.items()},
    **{f"bad-data.{name}": (value, [], "/bad_data") for name, value in BAD_DATA.items()},
    "not-utf8.latin-1": (event(RESPONSE).replace(b"chatbot", b"chatb\xf6t"), [], "/not_utf8"),
    "not-utf8.overlong": (event(RESPONSE).replace(b"chatbot", b"\xc0\xaf"), [], "/not_utf8"),
    "not-utf8.encoded-surrogate": (around(b'"\xed\xa0\x80"'), [], "/not_utf8"),
    "not-utf8.header": (b"{}", [*said(), ("ce_id", "\udcff")], "/bad_attribute"),
    "not-an-object.array": (b"[1, 2]", [], "/not_an_object"),
    "not-an-object.batch": (b"[" + event(RESPONSE) + b"]", [], "/not_an_object"),
    "not-an-object.number": (b"1", [], "/not_an_object"),
    "not-an-object.null": (b"null", [], "/not_an_object"),
    "not-an-object.data-is-text": (event("text"), [], "/not_an_object"),
    "not-an-object.data-is-list": (event([RESPONSE]), [], "/not_an_object"),
    "too-deep.arrays": (around(b"[" * 5000 + b"]" * 5000), [], "/too_deep"),
    "too-deep.objects": (around(b'{"a":' * 40 + b"1" + b"}" * 40), [], "/too_deep"),
    "too-deep.unclosed": (b'{"a":' * 20000, [], "/too_deep"),
    "too-many-fields": (event({**RESPONSE, **{f"x{n}": 1 for n in range(600)}}), [], "/too_many_fields"),
    "not-a-cloudevent.bare-data": (json.dumps(RESPONSE).encode(), [], "/not_a_cloudevent"),
    "not-a-cloudevent.empty-object": (b"{}", [], "/not_a_cloudevent"),
    "not-a-cloudevent.nested-specversion": (b'{"data": {"specversion": "1.0"}}', [], "/not_a_cloudevent"),
    "specversion.0-3": (event(RESPONSE, specversion="0.3"), [], "/unsupported_specversion"),
    "specversion.number": (event(RESPONSE, specversion=1.0), [], "/bad_attribute"),
    "specversion.headers": (b"{}", said(specversion="2.0"), "/unsupported_specversion"),
    "attribute.id-missing": (event(RESPONSE, id=None), [], "/missing_attribute"),
    "attribute.id-empty": (event(RESPONSE, id=""), [], "/bad_attribute"),
    "attribute.id-number": (event(RESPONSE, id=5), [], "/bad_attribute"),
    "attribute.id-of-201-characters": (event(RESPONSE, id="x" * 201), [], "/bad_attribute"),
    "attribute.source-missing-in-headers": (b"{}", said(source=""), "/missing_attribute"),
    "attribute.base64-damaged": (event(None, data_base64="%%%"), [], "/bad_attribute"),
    "time.without-offset": (around(b"1", time="2025-11-09T10:15:30"), [], "/bad_time"),
    "time.leap-day-that-is-none": (around(b"1", time="2025-02-29T00:00:00Z"), [], "/bad_time"),
    "time.number": (event(RESPONSE, time=1762683330), [], "/bad_attribute"),
    "content-type.avro": (b"\x00\x00\x00\x00\x07\x0e", said(content_type="application/avro"), "/avro_not_enabled"),
    "avro.json-inside": (b'{"service": "chatbot"}', said(content_type="application/avro"), "/bad_avro"),
    "avro.huge-length": (
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
        said(content_type="application/avro"),
        "/bad_avro",
    ),
    "avro.negative-length": (b"\x0dchatbot\x02m", said(content_type="application/avro"), "/bad_avro"),
    "avro.unknown-dataschema": (b"x", said(content_type="application/avro", dataschema="urn:other"), "/unknown_schema"),
    "content-type.xml": (b"<a/>", said(content_type="application/xml"), "/unsupported_content_type"),
    "data.missing": (event(None), [], "/missing_data"),
    "data.empty-object": (event({}), [], "/bad_data"),
    "feedback.no-service": (event({"rating": 5, "request_id": "r"}, FEEDBACK), [], "/no_service"),
    "feedback.no-score": (event({"service": "chatbot"}, FEEDBACK), [], "/no_score"),
    "feedback.damaged-receipt": (event({"rating": 5, "request_id": "r.!!"}, FEEDBACK), [], "/no_service"),
    "command.unknown": (event({"service": "chatbot", "command": "explode"}, COMMAND), [], "/bad_command"),
    "command.broadcast-of-a-document": (event({"service": "*", "command": "configure"}, COMMAND), [], "/bad_command"),
    "read.duplicate-keys": (event(RESPONSE)[:-1] + b', "id": "e-2"}', [], "ResponseEvent"),
    "read.deep-extension": (event(RESPONSE)[:-1] + b', "x": [[[[1]]]]}', [], "ResponseEvent"),
    "read.escapes": (field("service", b'"\\u0063hat\\ud83d\\ude00"'), [], "ResponseEvent"),
    "read.compat": (event(RESPONSE), said(prefix="ce-"), "ResponseEvent"),
    "read.binary": (json.dumps(RESPONSE).encode(), said(), "ResponseEvent"),
    "read.zero-latency": (field("latency_ms", b"0"), [], "ResponseEvent"),
    "read.denormal-cost": (field("cost_usd", b"5e-324"), [], "ResponseEvent"),
    "read.empty-labels": (field("labels", b"{}"), [], "ResponseEvent"),
    "read.alert-to-all": (event({}, ALERT), [], "ControlEvent"),
    "ignored.unknown-type": (event(5, "x"), [], "Ignored"),
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, (value, _, _) in CASES.items():
        (FOLDER / f"{name}.bin").write_bytes(value)
    index = {name: {"headers": said, "expect": expect} for name, (_, said, expect) in sorted(CASES.items())}
    (FOLDER / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main()
