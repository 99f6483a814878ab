"""What requirements/001 calls optimisation: which model for a request, which strategies for a context, which prompt."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import DecisionEvent
from app.adapters.readmodel.paging import Wanted
from app.api.context import Context
from app.api.problems import Problem, bad_request
from app.api.route import Route
from app.api.routes.common import Params, Text
from app.api.select import Asked, Selection
from app.core.events import SegmentParts

Positive = Annotated[float, Meta(ge=0, le=1e9)]


class Requirements(msgspec.Struct, frozen=True, kw_only=True):
    """``task_type`` is part of the segment; the rest is answered in ``not_considered``."""

    task_type: Text = ""
    context_needed: int | None = None
    features: list[str] = []


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """Held against what the drawn arm did lately, and answered; they do not change the draw."""

    max_cost_per_request: Positive | None = None
    max_latency_ms: Positive | None = None
    compliance_requirements: list[str] = []


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """Answered in ``not_considered``: what counts is the objective of the service document."""

    optimize_for: Literal["cost", "latency", "quality"] | None = None


class ModelSelectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is about to be made. ``service`` may be left out when there is only one with a split."""

    requirements: Requirements = Requirements()
    constraints: Constraints = Constraints()
    preferences: Preferences = Preferences()
    service: Text = ""
    request_id: Text = ""
    session_id: Text = ""
    segment: SegmentParts = SegmentParts()


class PromptOptimizationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """As in requirements/001."""

    prompt: Annotated[str, Meta(min_length=1)]
    optimization_type: Literal["compression", "enhancement", "restructuring"]
    target_model: str = ""
    constraints: dict[str, Any] = {}


class StrategiesAsked(Params, frozen=True, kw_only=True):
    """``context``: a JSON object; ``service`` or ``application_id`` in it narrows to one service."""

    context: Annotated[str, Meta(min_length=2, max_length=4000)]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided or proposed last by a strategy. ``implementation``: its changes, and the decision to approve."""

    strategy_type: str
    service: str
    confidence: float
    status: str
    rationale: str
    estimated_impact: dict[str, Any]
    implementation: dict[str, Any]


class StrategyRecommendations(msgspec.Struct, frozen=True, kw_only=True):
    """The newest recommendation of each strategy for each service, newest first."""

    recommendations: list[Recommendation]


async def select_model(context: Context, params: Params, body: ModelSelectionRequest) -> Selection:
    """Say which arm a request goes to."""
    selector = context.parts.selector
    service = selector.service_of(body.service)
    context.require("read", service)
    return selector.draw(asked_of(body, service))


def asked_of(body: ModelSelectionRequest, service: str) -> Asked:
    """What the draw needs of a request."""
    segment = body.segment
    if not segment.task_type and body.requirements.task_type:
        segment = msgspec.structs.replace(segment, task_type=body.requirements.task_type)
    ignored = {
        "requirements.context_needed": body.requirements.context_needed,
        "requirements.features": body.requirements.features,
        "constraints.compliance_requirements": body.constraints.compliance_requirements,
        "preferences.optimize_for": body.preferences.optimize_for,
    }
    return Asked(
        service=service,
        request_id=body.request_id,
        session_id=body.session_id,
        segment=segment,
        max_cost_usd=body.constraints.max_cost_per_request,
        max_latency_ms=body.constraints.max_latency_ms,
        not_considered=tuple(name for name, value in ignored.items() if value),
    )


async def optimize_prompt(context: Context, params: Params, body: PromptOptimizationRequest) -> StrategyRecommendations:
    """Refuse: prompts are not rewritten request by request."""
    raise Problem(501, "not_implemented", NO_PROMPTS)


NO_PROMPTS = (
    "prompts are not rewritten request by request: declare a prompt version as an arm of the service document, "
    "and it is tried like any other change"
)


async def strategies(context: Context, params: StrategiesAsked, body: None) -> StrategyRecommendations:
    """List what the strategies recommend."""
    service = service_in(params.context)
    wanted = Wanted(("status IN ('proposed', 'decided')", "strategy <> 'operator'"), (), context.visible())
    events, _ = await context.ask(context.model.events, wanted.where("service = ?", service), "", 200)
    return StrategyRecommendations(recommendations=newest_of_each(events))


def newest_of_each(events: list[DecisionEvent]) -> list[Recommendation]:
    """The first event of every (service, strategy), in order."""
    newest: dict[tuple[str, str], DecisionEvent] = {}
    for event in events:
        newest.setdefault((event.service, event.strategy), event)
    return [
        Recommendation(
            strategy_type=event.strategy,
            service=event.service,
            confidence=event.data.get("confidence", 0.0),
            status=event.status,
            rationale=event.rationale,
            estimated_impact=event.data.get("expected_impact", {}),
            implementation={
                "decision_id": event.decision_id,
                "action": event.action,
                "changes": event.data.get("changes", []),
                "deployment": event.data.get("deployment", {}),
            },
        )
        for event in newest.values()
    ]


def service_in(text: str) -> str:
    """The service a JSON context names; empty for none. ``Problem`` 400."""
    try:
        given = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise bad_request(f"context: {error}") from None
    service = given.get("service") or given.get("application_id") or ""
    if not isinstance(service, str):
        raise bad_request("context: service must be text")
    return service


_ROUTE: dict[str, Any] = {"right": "read", "tag": "Optimization"}

ROUTES = (
    Route(
        method="POST",
        path="/optimize/model-selection",
        handler=select_model,
        own_check=True,
        errors=(404, 415),
        **_ROUTE,
    ),
    Route(method="POST", path="/optimize/prompt", handler=optimize_prompt, errors=(415, 501), **_ROUTE),
    Route(method="GET", path="/strategies", handler=strategies, **_ROUTE),
)
