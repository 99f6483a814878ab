"""The pages of docs/reference, written from the code: ``python -m app.api.reference``; a test compares them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from app.adapters.codec.avro_schemas import SCHEMA_OF, text_of
from app.adapters.proto import auto_optimizer_pb2 as pb
from app.api.docs_page import kind_of
from app.api.openapi import document
from app.api.routes import ROUTES
from app.settings import Settings
from app.settings.model import FIELDS
from app.settings.section import MASK
from app.topics import declared

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
_NOTE = "<!-- Written by `python -m app.api.reference`; change the code, not this page. -->\n\n"


def pages() -> dict[str, str]:
    """File name -> text."""
    return {
        "rest.md": _rest(),
        "grpc.md": _grpc(),
        "events.md": _events(),
        "settings.md": _settings(),
    }


def _rest() -> str:
    described = document(ROUTES)
    text = (
        f"# REST\n\n{_NOTE}{described['info']['description']}\n\nAs OpenAPI 3.1: `/openapi.json` of a running server, "
        "or `llm-optimizer serve --openapi`; as a page: `/docs`.\n"
    )
    for tag in described["tags"]:
        text += f"\n## {tag['name']}\n\n"
        rows = [
            (f"`{method.upper()} {path}`", operation["summary"], operation.get("x-right", "open"), _inputs(operation),
             ", ".join(operation["responses"]))
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]  # fmt: skip
        text += _table(("route", "does", "right", "takes", "answers"), rows)
    text += "\n## Types\n"
    for name, schema in described["components"]["schemas"].items():
        required = schema.get("required", ())
        fields = [
            (f"`{field}`", kind_of(kind), "required" if field in required else "")
            for field, kind in schema.get("properties", {}).items()
        ]
        text += f"\n### {name}\n\n{schema.get('description', '')}\n\n{_table(('field', 'type', ''), fields)}"
    return text


def _inputs(operation: dict[str, Any]) -> str:
    named = [f"`{p['name']}`" for p in operation["parameters"] if p["in"] != "path"]
    body = operation.get("requestBody", {}).get("content", {})
    return ", ".join([*(kind_of(content["schema"]) for content in body.values()), *named])


def _grpc() -> str:
    service = pb.DESCRIPTOR.services_by_name["AutoOptimizerService"]
    text = (
        f"# gRPC\n\n{_NOTE}`{service.full_name}` in [auto_optimizer.proto](../../schemas/proto/auto_optimizer.proto). "
        "Health (`grpc.health.v1`) and reflection are served beside it. Credentials go into the metadata "
        "`authorization` (`Bearer ...`) or `x-api-key`; a refusal carries the word of the REST problem in the trailing "
        "metadata `error`. Fields below 10 are the platform's, from 10 on ours.\n\n"
    )
    text += _table(
        ("method", "takes", "gives"),
        [
            (f"`{method.name}`", f"`{method.input_type.name}`",
             f"{'stream of ' if method.server_streaming else ''}`{method.output_type.name}`")
            for method in service.methods
        ],
    )  # fmt: skip
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        rows = [(str(field.number), f"`{field.name}`", _proto_kind(field)) for field in message.fields]
        text += f"\n## {message.name}\n\n{_table(('number', 'field', 'type'), rows)}"
    return text


def _proto_kind(field: Any) -> str:
    kinds = {1: "double", 3: "int64", 5: "int32", 8: "bool", 9: "string"}
    kind = field.message_type.name if field.message_type else field.enum_type.name if field.enum_type else ""
    repeated = "list of " if field.is_repeated else ""
    return f"{repeated}{kind or kinds[field.type]}"


def _events() -> str:
    text = (
        f"# Events\n\n{_NOTE}CloudEvents 1.0. What the optimizer writes is in binary mode: `ce_*` headers, key = "
        "service, JSON data (or Avro, see [avro.md](../avro.md)). Consumers keep the first of an id.\n\n## Topics\n\n"
    )
    text += _table(
        ("topic", "key", "content", "kept"),
        [(f"`{t.name}`", t.key, t.content, _kept(t.config)) for t in declared(Settings().topics)],
    )
    by_schema: dict[str, list[str]] = {}
    for type_, name in SCHEMA_OF.items():
        by_schema.setdefault(name, []).append(type_)
    for name, types in by_schema.items():
        schema: Any = msgspec.json.decode(text_of(name))
        rows = [(f"`{field['name']}`", _avro_kind(field["type"]), field.get("doc", "")) for field in schema["fields"]]
        text += f"\n## {', '.join(f'`{type_}`' for type_ in types)}\n\n{schema.get('doc', '')}\n\n"
        text += _table(("field", "type", "says"), rows)
    return text


def _kept(config: Any) -> str:
    if config.get("cleanup.policy") == "compact":
        return "the newest of each key"
    kept = int(config.get("retention.ms", "-1"))
    return "for ever" if kept < 0 else f"{kept // 86_400_000} days"


def _avro_kind(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_avro_kind(one) for one in kind)
    if isinstance(kind, dict):
        inner = kind.get("items") or kind.get("values")
        name = str(kind.get("logicalType") or kind.get("name") or kind["type"]).rpartition(".")[2]
        return f"{kind['type']} of {_avro_kind(inner)}" if inner else name
    return str(kind).rpartition(".")[2]


def _settings() -> str:
    text = (
        f"# Settings\n\n{_NOTE}Defaults < a TOML file (`--config`, `LLM_OPTIMIZER_CONFIG`) < environment "
        "(`LLM_OPTIMIZER__SECTION__FIELD`) < flags (`--set section.field=value`). `llm-optimizer config show` names "
        "the origin of each. Secrets are never printed.\n"
    )
    sections: dict[str, list[tuple[str, ...]]] = {}
    for (section, _), field in FIELDS.items():
        shown = MASK if field.secret and field.default else f"`{field.default!r}`"
        sections.setdefault(section, []).append((f"`{field.name}`", shown, field.allowed, field.reason))
    for section, rows in sections.items():
        text += f"\n## {section}\n\n{_table(('setting', 'default', 'must be', 'why'), rows)}"
    return text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
