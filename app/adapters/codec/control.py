"""Commands, alerts, violations, registry updates, metrics and outcomes: checked, addressed and passed through.

An event addresses one service by its data, or ``*`` (every service looks whether it is meant: by model, tenant or
scope). What this optimizer wrote itself is ignored, so that a topic may be both read and written; but its findings come
back, because that is the only way from an analyzer to a decision.
"""

from typing import Any

import msgspec

from app.adapters.codec.aliases import SERVICE
from app.adapters.codec.envelope import Envelope, require_data
from app.adapters.codec.media import data_of, is_avro
from app.adapters.codec.payload import read
from app.adapters.codec.reasons import UnreadableError
from app.adapters.codec.translate import lookup
from app.core.commands import COMMAND, CommandError, parse
from app.core.decision import Outcome
from app.core.events import ControlEvent
from app.core.outputs import ACCEPTED, FAILED, FINDING, ROLLED_BACK

BROADCAST = "*"

OUTCOMES = frozenset((ACCEPTED, FAILED, ROLLED_BACK))
TYPES = OUTCOMES | {COMMAND, FINDING}
FAMILIES = tuple(
    f"{vendor}.{family}."
    for vendor in ("io.llm-platform", "com.llmdevops")
    for family in ("sentinel", "governance", "registry", "observatory")
)
"""Prefixes of types of the platform's other parts (requirements/001 event type registry, 004 integrations)."""

_OUTCOME = msgspec.json.Decoder(Outcome)


def is_control(type_: str) -> bool:
    """Whether events of ``type_`` are passed through."""
    return type_ in TYPES or type_.startswith(FAMILIES)


def control_event(envelope: Envelope) -> ControlEvent:
    """The event in ``envelope``, its data as JSON bytes: those that came, if it was JSON. Raises ``UnreadableError``.

    Commands and outcomes are checked in full here, where a mistake can still be dead-lettered with its place.
    """
    data = data_of(envelope)
    raw = _json(data) if is_avro(envelope.content_type) else require_data(envelope)
    service = _checked_service(envelope.type, raw) or _addressed(data)
    return ControlEvent(envelope.id, envelope.source, envelope.type, service, raw, envelope.time)


def _json(data: dict[str, Any]) -> bytes:
    """Avro data as the JSON that would have come; Avro spells out what is not said."""
    try:
        return msgspec.json.encode({name: value for name, value in data.items() if value is not None})
    except (TypeError, ValueError) as error:
        raise UnreadableError("bad_data", f"the data has no form in JSON: {error}") from None


def _checked_service(type_: str, raw: bytes) -> str | None:
    if type_ == COMMAND:
        try:
            return parse(raw).service
        except CommandError as error:
            raise UnreadableError("bad_command", str(error)) from None
    return read(_OUTCOME, raw, "bad_data").service if type_ in OUTCOMES else None


def _addressed(data: dict[str, Any]) -> str:
    for name in ("service", *(alias.name for alias in SERVICE)):
        service = lookup(data, name)
        if service is None or service == "" or isinstance(service, dict):
            continue
        return _name(service, name)
    affected = data.get("affected_services")
    if isinstance(affected, list) and len(affected) == 1:
        return _name(affected[0], "affected_services[0]")
    return BROADCAST


def _name(service: Any, place: str) -> str:
    if isinstance(service, str) and 0 < len(service) <= 200:
        return service
    raise UnreadableError("bad_data", f"expected a service name of 1 to 200 characters - at `$.data.{place}`")
