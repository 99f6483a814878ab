"""Outputs with Avro data, for the roles that are set so: Confluent's wire format with a registry, plain without."""

import io
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

import fastavro
import msgspec

from app.adapters.codec.avro import MAGIC
from app.adapters.codec.avro_schemas import SCHEMA_OF, parsed, text_of
from app.adapters.codec.encode import encode_output
from app.adapters.codec.registry import Registry
from app.core import outputs
from app.core.outputs import Output, OutputRole
from app.core.ports import Record

log = logging.getLogger(__name__)

AVRO = b"application/avro"
ROLES: Mapping[OutputRole, str] = {
    "aggregates": outputs.AGGREGATE,
    "aggregates_hourly": outputs.AGGREGATE,
    "anomalies": outputs.FINDING,
}
"""Roles that may be written as Avro, with the event type that is; others on their topics stay JSON, as they say."""


def encoder(
    roles: Collection[OutputRole], topics: Mapping[str, str], registry: Registry | None
) -> Callable[[Output], Record]:
    """``encode_output`` that writes ``roles`` as Avro. ``topics``: role -> name, for the subjects ``<topic>-value``,
    which are registered here. Raises ``RegistryError``.
    """
    ids = {
        role: registry.register(f"{topics[role]}-value", text_of(SCHEMA_OF[ROLES[role]]))
        for role in roles
        if registry is not None
    }

    def encode(output: Output) -> Record:
        record = encode_output(output)
        if output.role not in roles or output.type != ROLES[output.role]:
            return record
        schema = parsed(SCHEMA_OF[output.type])
        identity = ids.get(output.role)
        prefix = b"" if identity is None else MAGIC + identity.to_bytes(4, "big")
        value = _written(schema, output)
        if value is None:
            return record
        said = {**dict(record.headers), "content-type": AVRO}
        if identity is None:
            said["ce_dataschema"] = schema["name"].encode()
        return msgspec.structs.replace(record, value=prefix + value, headers=tuple(said.items()))

    return encode


def _written(schema: dict[str, Any], output: Output) -> bytes | None:
    """The data in Avro; None when its schema cannot say it, which a test rules out and no worker may stop for."""
    buffer = io.BytesIO()
    try:
        fastavro.schemaless_writer(buffer, schema, msgspec.json.decode(output.data))
    except Exception:
        log.exception("%s %s does not fit its schema; written as JSON", output.type, output.id)
        return None
    return buffer.getvalue()
