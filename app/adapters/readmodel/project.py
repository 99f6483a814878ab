"""From a record of a public topic to the rows it means. Pure: no clock, no database; the same record, the same rows."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from app.adapters.codec.envelope import Envelope, binary, structured
from app.adapters.codec.headers import said
from app.adapters.codec.media import data_of
from app.adapters.codec.reasons import UnreadableError
from app.adapters.kafka.subscriber import Seen
from app.adapters.readmodel.rows import (
    Aggregate,
    ArmModel,
    CommandRow,
    DeadLetter,
    Document,
    Event,
    Finding,
    Row,
    Saving,
    SplitRow,
)
from app.adapters.readmodel.told import STATUSES
from app.core import outputs
from app.core import split as splits
from app.core.commands import COMMAND, CommandError, Configure, parse
from app.core.events import epoch_s

ROLES = ("optimizations", "splits", "aggregates", "aggregates_hourly", "anomalies", "commands", "dead_letters")
"""Roles of the topics the model is made of."""

MAX_NAME = 300
_INDEXED = frozenset(("id", "service", "decision_id", "trial_id", "arm"))
_json = msgspec.json.Encoder(order="deterministic").encode
_Put = Callable[[Seen, Envelope, dict[str, Any]], list[Row]]


class Meant(msgspec.Struct, frozen=True):
    """An event as the model takes it: its id (consumers keep the first of an id) and its rows; none: of no use here."""

    id: str
    rows: list[Row]


def meant(role: str, seen: Seen) -> Meant:
    """The rows of ``seen``, read on the topic of ``role``. Raises ``UnreadableError``."""
    if role == "dead_letters":
        return Meant(f"{seen.partition}/{seen.offset}", [_dead_letter(seen)])
    headers = said(seen.headers)
    envelope = (
        binary(headers.attributes, headers.content_type, seen.value) if headers.attributes else structured(seen.value)
    )
    make = _MAKERS.get(envelope.type, _foreign if role == "anomalies" else None)
    if make is None:
        return Meant(envelope.id, [])
    try:
        return Meant(envelope.id, [_storable(row) for row in make(seen, envelope, data_of(envelope))])
    except (msgspec.ValidationError, CommandError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError("bad_data", f"{envelope.type}: {error}") from None


def _storable(row: Row) -> Row:
    """``row``, if a database has room for it: whole numbers of 64 bits, names that fit into an index."""
    for name, value in zip(row.__struct_fields__, row.values(), strict=True):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError(f"{name}: more than 64 bits")
        if name in _INDEXED and len(value) > MAX_NAME:
            raise ValueError(f"{name}: longer than {MAX_NAME} characters")
    return row


def time_of(seen: Seen, envelope: Envelope) -> int:
    """Event time in epoch seconds; the broker's time where the event has none."""
    return epoch_s(envelope.time) if envelope.time else max(0, seen.append_ms) // 1000


def _event(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    split = data.get("split") or {}
    return [
        Event(
            id=envelope.id,
            type=envelope.type,
            status=STATUSES[envelope.type],
            service=str(data.get("service", seen.key)),
            decision_id=str(data.get("decision_id", "")),
            time_s=time_of(seen, envelope),
            append_ms=seen.append_ms,
            action=str(data.get("action", "")),
            strategy=str(data.get("strategy", "")),
            mode=str(data.get("mode", "")),
            version=int(data.get("version", 0)),
            trial_id=str((split.get("trial") or {}).get("id", "")),
            has_split=bool(split),
            rationale=str(data.get("rationale") or data.get("error") or ""),
            json=_json(data).decode(),
        )
    ]


def _aggregate(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    latency = data["latency_ms"]
    return [
        Aggregate(
            id=envelope.id,
            service=data["service"],
            arm=data["arm"],
            segment=data["segment"],
            slice=data["slice"],
            window_s=int(data["window_s"]),
            start_s=epoch_s(data["window_start"]),
            end_s=epoch_s(data["window_end"]),
            append_ms=seen.append_ms,
            count=int(data["count"]),
            errors=int(data["errors"]),
            late=int(data["late"]),
            late_cost_usd=float(data.get("late_cost_usd") or 0.0),
            latency_ms_mean=float(latency["mean"]),
            latency_ms_p50=latency.get("p50"),
            latency_ms_p95=latency.get("p95"),
            latency_ms_p99=latency.get("p99"),
            latency_ms_max=float(latency["max"]),
            input_tokens=int(data["input_tokens"]),
            output_tokens=int(data["output_tokens"]),
            cached_tokens=int(data.get("cached_tokens") or 0),
            cost_usd=float(data["cost_usd"]),
            costed=int(data.get("costed") or 0),
            own_cost_usd=float(data.get("own_cost_usd") or 0.0),
            quality_json=_json(data.get("quality") or {}).decode(),
            sources=int(data.get("sources") or 0),
            complete=bool(data.get("complete", True)),
            histogram=_bytes(data.get("histogram")),
        )
    ]


def _split(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    split = msgspec.convert(data, splits.Split)
    models: list[Row] = [
        ArmModel(service=split.service, arm=arm.name, model=arm.model, provider=arm.provider, version=split.version)
        for arm in split.arms
    ]
    newest = SplitRow(
        service=split.service,
        version=split.version,
        frozen=split.frozen,
        decision_id=split.decision_id,
        time_s=time_of(seen, envelope),
        json=splits.encode(split).decode(),
    )
    return [newest, *models]


def _saving(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    return [
        Saving(
            id=envelope.id,
            service=data["service"],
            time_s=time_of(seen, envelope),
            append_ms=seen.append_ms,
            json=_json(data).decode(),
        )
    ]


def _command(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    order = parse(_json(data))
    row = CommandRow(
        id=envelope.id,
        service=order.service,
        command=order.command,
        actor=order.actor,
        reason=order.reason,
        source=envelope.source,
        time_s=time_of(seen, envelope),
        append_ms=seen.append_ms,
        partition=seen.partition,
        offset=seen.offset,
        json=_json(data).decode(),
    )
    if not isinstance(order.args, Configure):
        return [row]
    document = Document(
        service=order.service,
        append_ms=seen.append_ms,
        offset=seen.offset,
        event_id=envelope.id,
        actor=order.actor,
        json=_json(data["args"]["document"]).decode(),
    )
    return [row, document]


def _foreign(seen: Seen, envelope: Envelope, data: dict[str, Any]) -> list[Row]:
    """A finding, ours or another's; what another part of the platform leaves out is empty."""
    names = ("finding_id", "arm", "segment", "analyzer", "kind", "metric", "severity", "status", "detail")
    known = {name: _text(data.get(name)) for name in names}
    return [
        Finding(
            id=envelope.id,
            type=envelope.type,
            service=_text(data.get("service")) or seen.key,
            time_s=time_of(seen, envelope),
            append_ms=seen.append_ms,
            json=_json(data).decode(),
            **known,
        )
    ]


def _dead_letter(seen: Seen) -> DeadLetter:
    headers = {name: value.decode("utf-8", "replace") for name, value in seen.headers}
    return DeadLetter(
        partition=seen.partition,
        offset=seen.offset,
        append_ms=seen.append_ms,
        reason=headers.get("reason", ""),
        error=headers.get("error", ""),
        source_topic=headers.get("source_topic", ""),
        source_partition=headers.get("source_partition", ""),
        source_offset=headers.get("source_offset", ""),
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _bytes(packed: str | bytes | None) -> bytes | None:
    if not isinstance(packed, str):
        return packed
    try:
        return base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(f"histogram: {error}") from None


_MAKERS: dict[str, _Put] = {
    **dict.fromkeys(STATUSES, _event),
    outputs.AGGREGATE: _aggregate,
    outputs.SAVINGS: _saving,
    outputs.SPLIT: _split,
    COMMAND: _command,
}
