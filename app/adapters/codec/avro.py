"""Avro data of binary-mode CloudEvents: bytes to an object, whichever of three ways names the writer's schema.

* Confluent's wire format: a zero byte, the schema's id in 4 bytes, the data; the registry knows the id.
* Plain data with a ``ce_dataschema`` header that names one of the product's schemas.
* Plain data without: the product's schema of the event type.

Where writer and product have a schema of one name, data is read as the product's newest (version 1 with version 2);
else with the writer's alone, and the alias table says what its names mean.
"""

import io
from collections.abc import Callable
from typing import Any, NoReturn

import fastavro
import msgspec

from app.adapters.codec.avro_schemas import schema_named, schema_of
from app.adapters.codec.envelope import Envelope, require_data
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.registry import Registry, RegistryDownError

MAGIC = b"\0"
PREFIX_BYTES = 5
MAX_SCHEMAS = 10_000
"""Ids remembered, known and unknown ones alike."""

Schema = dict[str, Any] | list[Any] | str


def fail(reason: str) -> NoReturn:
    """What happens when the registry has to be asked and does not answer, unless the worker has a better way."""
    raise RegistryDownError(reason)


class AvroReader:
    """Reads Avro data. ``registry`` None: only plain data. ``on_down`` ends the process: a record whose schema cannot
    be looked up now is neither readable nor unreadable, so nothing may be folded past it.
    """

    def __init__(self, registry: Registry | None = None, on_down: Callable[[str], NoReturn] = fail) -> None:
        self._registry = registry
        self._on_down = on_down
        self._schemas: dict[int, Schema | None] = {}

    def preload(self, subject: str) -> int:
        """Learn every version of ``subject``, so that the registry may be down later. Returns how many there are.
        Raises ``RegistryDownError``.
        """
        known = self._registry.known(subject) if self._registry is not None else {}
        for identity, text in known.items():
            self._schemas[identity] = _parsed(text)
        return len(known)

    def read(self, envelope: Envelope) -> dict[str, Any]:
        """The data of ``envelope`` as an object. Raises ``UnreadableError`` (bad_avro, unknown_schema...)."""
        raw, ours = require_data(envelope), schema_of(envelope.type)
        if envelope.dataschema:
            named = schema_named(envelope.dataschema)
            if named is None:
                raise UnreadableError("unknown_schema", f"`dataschema` names no known schema: {envelope.dataschema!r}")
            return _decoded(raw, named, ours)
        written = self._writer(raw)
        if written is not None:
            return _decoded(raw[PREFIX_BYTES:], written, ours)
        if ours is None:
            why = f"no schema of {envelope.type} is known, and the data begins with no known id"
            raise UnreadableError("unknown_schema", why)
        try:
            return _decoded(raw, ours, ours)
        except UnreadableError:
            if raw[:1] != MAGIC:
                raise
            raise self._unknown(raw) from None

    def _unknown(self, raw: bytes) -> UnreadableError:
        """Data that begins like Confluent's wire format, is not plain either, and whose id nobody knows."""
        identity = int.from_bytes(raw[1:PREFIX_BYTES], "big")
        if self._registry is not None:
            return UnreadableError("unknown_schema", f"the registry has no usable schema {identity}")
        why = f"the data begins like Confluent's wire format (schema {identity})"
        return UnreadableError("avro_not_enabled", f"{why}: set codec.schema_registry_url, or send plain Avro")

    def _writer(self, raw: bytes) -> Schema | None:
        """The schema whose id ``raw`` begins with; None where there is no id, or the registry knows none such."""
        registry = self._registry
        if registry is None or raw[:1] != MAGIC or len(raw) < PREFIX_BYTES:
            return None
        identity = int.from_bytes(raw[1:PREFIX_BYTES], "big")
        if identity not in self._schemas:
            if len(self._schemas) >= MAX_SCHEMAS:
                self._schemas.clear()
            self._schemas[identity] = self._look_up(registry, identity)
        return self._schemas[identity]

    def _look_up(self, registry: Registry, identity: int) -> Schema | None:
        try:
            text = registry.schema(identity)
        except RegistryDownError as error:
            self._on_down(f"schema {identity} of a record is not known yet, and {error}")
        return _parsed(text) if text is not None else None


def _parsed(text: str) -> Schema | None:
    """A schema as fastavro takes it; None for one that it, or Avro, does not know."""
    try:
        schema: Schema = fastavro.parse_schema(msgspec.json.decode(text))
    except Exception:  # noqa: BLE001 - whatever is registered there, it is no Avro schema
        return None
    ours = schema_named(str(schema.get("name", ""))) if isinstance(schema, dict) else None
    return ours if schema == ours else schema  # the very same: then nothing has to be resolved for each record


def _decoded(raw: bytes, written: Schema, ours: dict[str, Any] | None) -> dict[str, Any]:
    older = (
        ours is not None and written is not ours and isinstance(written, dict) and written.get("name") == ours["name"]
    )
    source = io.BytesIO(raw)
    try:
        data = fastavro.schemaless_reader(source, written, ours if older else None)
    except Exception as error:  # noqa: BLE001 - fastavro raises whatever its parts raise, on bytes anybody may send
        raise UnreadableError("bad_avro", f"{type(error).__name__}: {error}") from None
    if source.tell() != len(raw):
        raise UnreadableError("bad_avro", f"{len(raw) - source.tell()} bytes are left after the data")
    if not isinstance(data, dict):
        raise UnreadableError("not_an_object", f"expected a record, got {type(data).__name__}")
    return data


_reader = AvroReader()


def use(reader: AvroReader) -> None:
    """Read Avro with ``reader`` from now on, everywhere in this process: a process has one registry."""
    global _reader  # noqa: PLW0603 - set once at start, before anything is read
    _reader = reader


def read_avro(envelope: Envelope) -> dict[str, Any]:
    """The Avro data of ``envelope`` as an object. Raises ``UnreadableError``."""
    return _reader.read(envelope)
