"""Decisions and findings: list, explain, answer."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import DecisionEvent, FindingEvent
from app.adapters.readmodel.told import DECISIONS
from app.api.context import Context, Reply
from app.api.orders import Accepted
from app.api.problems import not_found
from app.api.route import Route
from app.api.routes.common import OfPage, Params, Text, found, visible_or_404
from app.core.decision import Decision, Status
from app.core.explain import render

EventStatus = Literal[
    "proposed", "decided", "refused", "accepted", "verified", "failed", "rolled-back", "started", "completed"
]


class DecisionsAsked(OfPage, frozen=True, kw_only=True):
    """Which decisions."""

    status: tuple[EventStatus, ...] = ()
    action: Text = ""


class FindingsAsked(OfPage, frozen=True, kw_only=True):
    """Which findings."""

    severity: tuple[Text, ...] = ()
    status: Text = ""
    analyzer: Text = ""
    arm: Text = ""


class DecisionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions and outcomes, newest first."""

    decisions: list[DecisionEvent]
    next_cursor: str = ""


class FindingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Findings as they were told, newest first."""

    findings: list[FindingEvent]
    next_cursor: str = ""


class OneDecision(Params, frozen=True, kw_only=True):
    """One decision by its id."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=200)]


class DecisionStory(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with everything that was said of it, oldest first."""

    decision_id: str
    service: str
    status: str
    events: list[DecisionEvent]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision for people: Markdown with evidence, limits and alternatives, and what became of it."""

    decision_id: str
    rationale: str
    text: str
    outcomes: list[DecisionEvent]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, for the log."""

    reason: Annotated[str, Meta(max_length=1000)] = ""


async def list_decisions(context: Context, params: DecisionsAsked, body: None) -> DecisionPage:
    """List decisions and outcomes."""
    wanted = params.wanted(context).one_of("status", params.status).where("action = ?", params.action)
    events, cursor = await context.ask(context.model.events, wanted, params.cursor, params.limit)
    return DecisionPage(decisions=events, next_cursor=cursor)


async def get_decision(context: Context, params: OneDecision, body: None) -> DecisionStory:
    """Show one decision and what became of it."""
    told = await _story(context, params)
    return DecisionStory(decision_id=params.decision_id, service=told[0].service, status=told[-1].status, events=told)


async def explain_decision(context: Context, params: OneDecision, body: None) -> Explanation:
    """Explain one decision in words."""
    told = await _story(context, params)
    newest = [event for event in told if event.status in DECISIONS][-1:] or told[:1]
    return Explanation(
        decision_id=params.decision_id,
        rationale=newest[0].rationale,
        text=_page(newest[0]),
        outcomes=[event for event in told if event.status not in DECISIONS],
    )


async def approve(context: Context, params: OneDecision, body: Reason) -> Reply:
    """Say yes to a proposal."""
    return await _answer(context, params, "approve", body)


async def reject(context: Context, params: OneDecision, body: Reason) -> Reply:
    """Say no to a proposal."""
    return await _answer(context, params, "reject", body)


async def list_findings(context: Context, params: FindingsAsked, body: None) -> FindingPage:
    """List what the analyzers found."""
    wanted = params.wanted(context).one_of("severity", params.severity).where("status = ?", params.status)
    wanted = wanted.where("analyzer = ?", params.analyzer).where("arm = ?", params.arm)
    findings, cursor = await context.ask(context.model.findings, wanted, params.cursor, params.limit)
    return FindingPage(findings=findings, next_cursor=cursor)


async def _story(context: Context, params: OneDecision) -> list[DecisionEvent]:
    told = await context.ask(context.model.decision, params.decision_id, context.visible())
    story: list[DecisionEvent] = found(told, f"decision {params.decision_id!r}")
    return story


async def _answer(context: Context, params: OneDecision, verb: str, body: Reason) -> Reply:
    told = await context.ask(context.model.decision, params.decision_id)
    if not told:
        raise not_found(f"decision {params.decision_id!r}")
    service = told[0].service
    visible_or_404(context, service, f"decision {params.decision_id!r}")
    wire = {"service": service, "command": verb, "args": {"decision_id": params.decision_id}, "reason": body.reason}
    return accepted(await context.parts.orders.give(context.identity, context.idempotency_key, wire))


def accepted(order: Accepted) -> Reply:
    """202, and where to look for the order."""
    headers = {"Location": f"/api/v1/commands/{order.id}"}
    return Reply(order, 202, headers | ({"Idempotency-Replayed": "true"} if order.replayed else {}))


def _page(event: DecisionEvent) -> str:
    try:
        return render(msgspec.convert(event.data, Decision), msgspec.convert(event.status, Status))
    except msgspec.ValidationError:  # of another engine version, or an outcome alone: what it says of itself
        return event.rationale


_ORDER: dict[str, Any] = {
    "right": "read",
    "tag": "Decisions",
    "status": 202,
    "answer": Accepted,
    "errors": (404, 409, 415, 422, 503),
}

ROUTES = (
    Route(method="GET", path="/decisions", handler=list_decisions, right="read", tag="Decisions"),
    Route(
        method="GET",
        path="/decisions/{decision_id}",
        handler=get_decision,
        right="read",
        tag="Decisions",
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/decisions/{decision_id}/explanation",
        handler=explain_decision,
        right="read",
        tag="Decisions",
        errors=(404,),
    ),
    Route(method="POST", path="/decisions/{decision_id}/approve", handler=approve, order=True, **_ORDER),
    Route(method="POST", path="/decisions/{decision_id}/reject", handler=reject, order=True, **_ORDER),
    Route(method="GET", path="/findings", handler=list_findings, right="read", tag="Findings"),
)
