"""What was written with the last release's schemas is read with today's; a change that breaks this is caught."""

import copy
import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from app.adapters.codec.avro_compat import breaks

FOLDER = Path(__file__).parents[2] / "schemas" / "avro"
TODAY = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.avsc"))}
RELEASED = {path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "released").glob("*.avsc"))}


def test_no_released_schema_is_gone():
    assert RELEASED
    assert RELEASED.keys() <= TODAY.keys()


@pytest.mark.parametrize("name", RELEASED)
def test_todays_schema_reads_what_the_last_release_wrote(name):
    assert breaks(RELEASED[name], TODAY[name]) == []


@pytest.mark.parametrize("name", TODAY)
def test_a_schema_reads_itself(name):
    assert breaks(TODAY[name], TODAY[name]) == []


# ---- the check itself ----
def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    named = [
        {"name": n, "type": t, **(d if isinstance(d, dict) else {})}
        for n, t, *rest in fields
        for d in [rest[0] if rest else {}]
    ]
    return {"type": "record", "name": name, "fields": named, **more}


TREE = record(("value", "int"), ("left", ["null", "R"], {"default": None}))

BREAKING: dict[str, tuple[Any, Any, str]] = {
    "a new field without a default": (record(("a", "int")), record(("a", "int"), ("b", "int")), "$.b: is new"),
    "another type": (record(("a", "int")), record(("a", "string")), "$.a: was int, now string"),
    "a narrower number": (record(("a", "long")), record(("a", "int")), "$.a: was long, now int"),
    "no longer null": (record(("a", ["null", "int"])), record(("a", "int")), "$.a: was null, now int"),
    "a branch is gone": (record(("a", ["null", "int", "string"])), record(("a", ["null", "int"])), "$.a: string is none of null, int"),
    "another name": (record(("a", "int")), record(("a", "int"), name="S"), "$: was called R, now S"),
    "a renamed field": (record(("a", "int")), record(("b", "int")), "$.b: is new"),
    "inside an array": ({"type": "array", "items": "string"}, {"type": "array", "items": "int"}, "$[]: was string, now int"),
    "inside a map": ({"type": "map", "values": "long"}, {"type": "map", "values": "int"}, "${}: was long, now int"),
    "a symbol is gone": (
        {"type": "enum", "name": "E", "symbols": ["A", "B"]}, {"type": "enum", "name": "E", "symbols": ["A"]}, "$: symbol B is gone"),
    "another size": ({"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": 8}, "$: was 4 bytes"),
    "deep in a tree": (TREE, record(("value", "string"), ("left", ["null", "R"], {"default": None})), "$.value: was int"),
    "in a named type used twice": (
        record(("a", record(("x", "int"), name="P")), ("b", "P")),
        record(("a", "int"), ("b", record(("x", "int"), name="P"))), "$.a: was record, now int"),
}  # fmt: skip
FINE: dict[str, tuple[Any, Any]] = {
    "a new field with a default": (record(("a", "int")), record(("a", "int"), ("b", "int", {"default": 1}))),
    "a field less": (record(("a", "int"), ("b", "int")), record(("a", "int"))),
    "a wider number": (record(("a", "int")), record(("a", "double"))),
    "null allowed now": (record(("a", "int")), record(("a", ["null", "int"]))),
    "a wider number among others": (record(("a", "int")), record(("a", ["null", "double"]))),
    "an order of branches": (record(("a", ["null", "int"])), record(("a", ["int", "null"]))),
    "a renamed field with an alias": (record(("a", "int")), record(("b", "int", {"aliases": ["a"]}))),
    "a renamed record with an alias": (record(("a", "int")), record(("a", "int"), name="S", aliases=["R"])),
    "a symbol more": ({"type": "enum", "name": "E", "symbols": ["A"]}, {"type": "enum", "name": "E", "symbols": ["A", "B"]}),
    "a logical type": (record(("a", "string")), record(("a", {"type": "string", "logicalType": "json"}))),
    "a tree": (TREE, copy.deepcopy(TREE)),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKING)
def test_a_breaking_change_is_named_with_its_place(case):
    written, read, said = BREAKING[case]
    assert any(one.startswith(said) for one in breaks(written, read)), breaks(written, read)


@pytest.mark.parametrize("case", FINE)
def test_a_change_that_readers_survive_is_fine(case):
    assert breaks(*FINE[case]) == []


SAMPLES: dict[str, Any] = {
    "int": 7, "long": 7, "string": "x", "null": None, "double": 0.5,
    "array": ["x"], "map": {"k": 7}, "enum": "B", "fixed": b"abcd", "union": "s",
}  # fmt: skip


def sample(schema: Any) -> Any:
    if isinstance(schema, list):
        return sample(schema[-1])
    if isinstance(schema, str):
        return SAMPLES.get(schema, {"x": 7})
    if schema["type"] == "array":
        return [sample(schema["items"])]
    if schema["type"] == "map":
        return {"k": sample(schema["values"])}
    if schema["type"] in ("enum", "fixed"):
        return schema["symbols"][-1] if schema["type"] == "enum" else b"abcd"
    if schema["type"] != "record":
        return sample(schema["type"])
    return {f["name"]: None if f["name"] == "left" else sample(f["type"]) for f in schema["fields"]}


@pytest.mark.parametrize("case", FINE)
def test_fastavro_agrees_that_it_can_be_read(case):
    written, read = FINE[case]
    parsed = fastavro.parse_schema(copy.deepcopy(written))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed, sample(written))
    buffer.seek(0)
    fastavro.schemaless_reader(buffer, parsed, fastavro.parse_schema(copy.deepcopy(read)))


@pytest.mark.parametrize("name", TODAY)
def test_taking_the_default_from_a_new_field_of_any_schema_is_caught(name):
    later = copy.deepcopy(TODAY[name])
    later["fields"].append({"name": "brand_new", "type": "string"})
    assert breaks(TODAY[name], later) == ["$.brand_new: is new and has no default"]
