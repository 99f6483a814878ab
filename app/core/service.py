"""The heart: one row per service, and the step that changes it. Pure; data goes one way: evidence in, row and outputs out."""

import msgspec

from app.core.document import ServiceDocument, default_document
from app.core.events import is_name
from app.core.facts import ControlFact
from app.core.ids import stable_id
from app.core.outputs import REFUSED, Output
from app.core.pane import ClosedPane

BROADCAST = "*"
"""The row that keeps the standing orders of broadcasts for services that do not exist yet."""


class Tick(msgspec.Struct, frozen=True):
    """Only time passed: a deadline of the row is reached (rule O8)."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one service."""

    service: str
    document: ServiceDocument
    frozen: bool = False
    panes: int = 0
    deadline_s: int | None = None


Evidence = ClosedPane | ControlFact | Tick


def new_row(service: str, standing: Row | None) -> Row:
    """A service seen for the first time; ``standing`` orders (a broadcast freeze) hold for it too."""
    document = default_document("all" if service == BROADCAST else service, ())
    return Row(service=service, document=document, frozen=standing.frozen if standing else False)


def may_create(fact: ControlFact) -> bool:
    """Whether a control fact may create a row: only a configuration, else a typing error would live for ever."""
    return b'"configure"' in fact.data and bool(is_name(fact.service))


def unknown_service(fact: ControlFact) -> Output:
    """The refusal of an order for a service that is neither configured nor seen in telemetry."""
    text = f"{fact.service} is neither configured nor seen in telemetry: apply a service document first"
    identity = stable_id("unknown-service", fact.source, fact.offset)
    data = msgspec.json.encode({"decision_id": identity, "service": fact.service, "action": "refuse", "rationale": text})
    return Output("optimizations", REFUSED, identity, fact.service, fact.time_s, data)


def step(row: Row, evidence: Evidence, now_s: int) -> tuple[Row, list[Output]]:
    """One pane, one control fact or one deadline."""
    if isinstance(evidence, ClosedPane):
        return msgspec.structs.replace(row, panes=row.panes + 1), []
    return row, []
