"""What would have been decided under other settings: the rules again, on the decision's own evidence."""

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.adapters.readmodel.told import DECISIONS
from app.api.context import Context
from app.api.problems import Problem, bad_request
from app.api.route import Route
from app.api.routes.common import found
from app.api.routes.decisions import OneDecision
from app.core import what_if as rules
from app.core.decision import Alternative, Decision
from app.core.document import DocumentError, to_object


class WhatIf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of the service document with other values: ``{"objective.weights.cost": 0.5, "arms.small.region": "eu"}``.
    Arms, prices and policies are named; weights that are not given share what is left of 1. Empty: as it was.
    """

    settings: Annotated[dict[str, Any], Meta(max_length=100)] = {}


class WhatIfAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``after`` empty: the rules would change nothing, ``why_not`` says why. Nothing was sent, nothing changes."""

    decision_id: str
    service: str
    before: dict[str, Any]
    after: list[dict[str, Any]]
    why_not: str
    alternatives: list[Alternative]
    document: dict[str, Any]


async def what_if(context: Context, params: OneDecision, body: WhatIf) -> WhatIfAnswer:
    """Decide again with some settings changed."""
    told = await context.ask(context.model.decision, params.decision_id, context.visible())
    made = [event for event in told if event.status in DECISIONS]
    event = found(made, f"decision {params.decision_id!r}")[-1]
    try:
        decision = msgspec.convert(event.data, Decision)
    except msgspec.ValidationError as error:
        raise Problem(422, "not_answerable", f"not a decision this version can read: {error}") from None
    try:
        answer = await asyncio.to_thread(rules.what_if, decision, body.settings)
    except rules.WhatIfError as error:
        raise Problem(422, "not_answerable", str(error)) from None
    except DocumentError as error:
        raise bad_request(f"settings: {error}") from None
    return WhatIfAnswer(
        decision_id=params.decision_id,
        service=event.service,
        before=event.data,
        after=[{"status": said.status, **msgspec.to_builtins(said.decision)} for said in answer.said],
        why_not=answer.why_not,
        alternatives=list(answer.alternatives),
        document=to_object(answer.document),
    )


ROUTES = (
    Route(
        method="POST",
        path="/decisions/{decision_id}/what-if",
        handler=what_if,
        right="read",
        tag="Decisions",
        errors=(404, 415, 422),
    ),
)
