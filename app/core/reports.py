"""What actuation writes about a split at a gateway: CloudEvents in binary mode, with nothing of the clock in them.

So one said again after a restart has the same id and the same bytes; its time is the broker's append time.
"""

import msgspec

from app.core.actuation import OnDrift
from app.core.decision import Outcome, encode_outcome
from app.core.ids import stable_id
from app.core.outputs import FINDING
from app.core.ports import Record, Role
from app.core.split import Split

SOURCE = "/llm-optimizer/actuate"


class Drift(msgspec.Struct, frozen=True):
    """A split that was changed at the gateway by hand: ``detail`` says how, ``action`` what is done about it."""

    service: str
    decision_id: str
    version: int
    gateway: str
    analyzer: str
    detail: str
    action: OnDrift


def outcome_record(
    type_: str, split: Split, gateway: str, error: str | None = None, capabilities: tuple[str, ...] = ()
) -> Record:
    """rollout-accepted or rollout-failed. What may differ is part of the id: no id ever has two payloads."""
    id_ = stable_id(split.decision_id, split.version, split.frozen, gateway, type_, error or "", *capabilities)
    outcome = Outcome(
        decision_id=split.decision_id,
        service=split.service,
        version=split.version,
        gateway=gateway,
        error=error,
        capabilities=capabilities,
    )
    return _event("optimizations", type_, id_, split.service, encode_outcome(outcome))


def drift_record(split: Split, gateway: str, etag: str, drift: tuple[str, ...], action: OnDrift) -> Record:
    """A finding; its id is that of the state of the gateway it found (``etag``)."""
    id_ = stable_id("drift", split.service, split.decision_id, split.version, gateway, etag)
    found = Drift(split.service, split.decision_id, split.version, gateway, "gateway-drift", "; ".join(drift), action)
    return _event("anomalies", FINDING, id_, split.service, msgspec.json.encode(found))


def _event(role: Role, type_: str, id_: str, service: str, body: bytes) -> Record:
    headers = {
        "ce_specversion": "1.0",
        "ce_type": type_,
        "ce_source": SOURCE,
        "ce_id": id_,
        "content-type": "application/json",
    }
    return Record(role, service.encode(), body, headers=tuple((name, text.encode()) for name, text in headers.items()))
