"""The product's own Avro schemas (``schemas/avro``), by event type and by name.

Values of free shape are strings with the logical type ``json``; fastavro is taught here to read and write them so.
"""

from functools import cache
from pathlib import Path
from typing import Any

import fastavro
import msgspec
from fastavro.read import LOGICAL_READERS
from fastavro.write import LOGICAL_WRITERS

import app
from app.core import events, outputs
from app.core.commands import COMMAND

SCHEMA_OF = {
    events.RESPONSE_COMPLETED: "response.completed",
    "llm.response.completed": "response.completed",
    events.FEEDBACK_RECORDED: "feedback.recorded",
    "llm.feedback.recorded": "feedback.recorded",
    COMMAND: "optimizer.command",
    outputs.AGGREGATE: "optimizer.aggregate",
    outputs.FINDING: "optimizer.finding",
    outputs.SPLIT: "optimizer.split",
    **dict.fromkeys((outputs.PROPOSED, outputs.DECIDED, outputs.REFUSED), "optimization.decision"),
    **dict.fromkeys(
        (outputs.ACCEPTED, outputs.VERIFIED, outputs.FAILED, outputs.ROLLED_BACK, outputs.COMPLETED),
        "optimization.outcome",
    ),
    outputs.EXPERIMENT_STARTED: "experiment.started",
    outputs.EXPERIMENT_COMPLETED: "experiment.completed",
}
"""Event type -> name of the schema's file without its ending."""

LOGICAL_WRITERS["string-json"] = lambda value, _schema: msgspec.json.encode(value).decode()
LOGICAL_READERS["string-json"] = lambda text, *_schemas: msgspec.json.decode(text)


@cache
def folder() -> Path:
    """Where the schemas are: inside the installed package, or beside it in a working tree."""
    package = Path(app.__file__).parent
    inside = package / "schemas" / "avro"
    return inside if inside.is_dir() else package.parent / "schemas" / "avro"


@cache
def text_of(name: str) -> str:
    """The schema ``name`` as it is registered."""
    return (folder() / f"{name}.avsc").read_text()


@cache
def parsed(name: str) -> dict[str, Any]:
    """The schema ``name`` as fastavro takes it."""
    schema = fastavro.parse_schema(msgspec.json.decode(text_of(name)))
    if not isinstance(schema, dict):
        raise TypeError(f"{name}.avsc is no record")
    return schema


def schema_of(type_: str) -> dict[str, Any] | None:
    """The schema of events of ``type_``, None when there is none."""
    name = SCHEMA_OF.get(type_)
    return parsed(name) if name is not None else None


def schema_named(reference: str) -> dict[str, Any] | None:
    """The schema a CloudEvents ``dataschema`` names: its full name, or a path that ends in its file name."""
    last = reference.rstrip("/").rpartition("/")[2].removesuffix(".avsc")
    for name in set(SCHEMA_OF.values()):
        if last in (name, parsed(name)["name"]):
            return parsed(name)
    return None
