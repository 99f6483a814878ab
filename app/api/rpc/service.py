"""The five methods: each reads its request, does what the REST route of the same meaning does, writes its answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from app.adapters.proto import auto_optimizer_pb2 as pb
from app.adapters.proto import auto_optimizer_pb2_grpc as pb_grpc
from app.adapters.readmodel.answers import DecisionEvent
from app.adapters.readmodel.paging import Wanted
from app.api.context import Parts
from app.api.identity import Identity
from app.api.problems import Problem, bad_request
from app.api.routes.experiments import ExperimentRequest, Variant, create
from app.api.routes.optimize import NO_PROMPTS, Recommendation, newest_of_each
from app.api.rpc.calls import Calls, require
from app.api.select import Asked, Estimate, Key, Selection
from app.core.events import SegmentParts, epoch_s

log = logging.getLogger(__name__)

POLL_S = 0.5
MAX_STREAMS = 100
MAX_FIXED = 20_000
"""Places in splits whose bytes are kept; they are made again when there are more."""


class AutoOptimizer(pb_grpc.AutoOptimizerServiceServicer):
    """The service. Mutable: counts its open streams, keeps bytes of answers."""

    def __init__(self, parts: Parts, calls: Calls) -> None:
        self._parts, self._calls = parts, calls
        self._streams = 0
        self._fixed: dict[Key, tuple[Selection, bytes]] = {}
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Let open streams end."""
        self._ended.set()

    async def SelectModel(self, request: Any, context: Any) -> Any:  # noqa: N802  # the proto's name
        try:
            who = await self._calls.identify(context)
            selector = self._parts.selector
            service = selector.service_of(request.service or request.context.application_id)
            require(who, "read", service)
            answer = self._answer(request, _asked(request, service))
        except Problem as problem:
            await self._calls.refuse(context, "SelectModel", problem)
            raise
        self._calls.answered["OK"] += 1
        return answer

    def _answer(self, request: Any, asked: Asked) -> bytes:
        """The bytes of a SelectModelResponse. Most of them are those of the place in the split; what belongs to the
        request follows them: two messages one after the other are one (Protocol Buffers, Encoding, "Last One Wins").
        """
        selector = self._parts.selector
        if asked.max_cost_usd is not None or asked.max_latency_ms is not None or asked.not_considered:
            whole: bytes = _selected(request.request_id, selector.draw(asked)).SerializeToString()
            return whole
        placed = selector.place(asked)
        held = self._fixed.get(placed.key)
        if held is None or held[0] is not placed.fixed:
            if len(self._fixed) >= MAX_FIXED:
                self._fixed.clear()
            held = self._fixed[placed.key] = (placed.fixed, _selected("", placed.fixed).SerializeToString())
        own = pb.SelectModelResponse(request_id=request.request_id or placed.request_id, receipt=placed.receipt)
        both: bytes = held[1] + own.SerializeToString()
        return both

    async def OptimizePrompt(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802  # as above
        try:
            await self._calls.identify(context)
            raise Problem(501, "not_implemented", NO_PROMPTS)
        except Problem as problem:
            await self._calls.refuse(context, "OptimizePrompt", problem)

    async def GetStrategy(self, request: Any, context: Any) -> Any:  # noqa: N802  # as above
        try:
            who = await self._calls.identify(context)
            wanted = Wanted(("status IN ('proposed', 'decided')", "strategy <> 'operator'"), (), _visible(who))
            wanted = wanted.where("service = ?", request.service or request.context.application_id)
            events, _ = await asyncio.to_thread(self._parts.model.events, wanted, "", 200)
        except Problem as problem:
            await self._calls.refuse(context, "GetStrategy", problem)
            raise
        self._calls.answered["OK"] += 1
        listed = [_recommended(one) for one in newest_of_each(events)]
        return pb.GetStrategyResponse(request_id=request.request_id, recommendations=listed)

    async def CreateExperiment(self, request: Any, context: Any) -> Any:  # noqa: N802  # as above
        try:
            who = await self._calls.identify(context)
            body = _experiment(request)
            made = await create(self._parts.orders, self._parts.model, who, request.experiment_id, body)
        except Problem as problem:
            await self._calls.refuse(context, "CreateExperiment", problem)
            raise
        self._calls.answered["OK"] += 1
        return pb.CreateExperimentResponse(
            experiment_id=made.experiment_id, status=made.status, arms_added=made.arms_added
        )

    async def StreamOptimizations(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        try:
            who = await self._calls.identify(context)
            services = _visible(who)
            if self._streams >= MAX_STREAMS:
                raise Problem(429, "too_many_streams", f"{MAX_STREAMS} streams are open", retry_after_s=30)
        except Problem as problem:
            await self._calls.refuse(context, "StreamOptimizations", problem)
            raise
        self._streams += 1
        try:
            async for event in self._followed(request, services):
                yield event
        finally:
            self._streams -= 1

    async def _followed(self, request: Any, services: tuple[str, ...] | None) -> AsyncIterator[Any]:
        model, types = self._parts.model, tuple(request.event_types)
        service = request.service or request.context.application_id
        place = await asyncio.to_thread(model.place_of, request.after_event_id)
        while not self._ended.is_set():
            events, place = await asyncio.to_thread(model.newer_events, place, services, types, service)
            for event in events:
                yield _event(event)
            if not events:
                await asyncio.sleep(POLL_S)


def _visible(who: Identity) -> tuple[str, ...] | None:
    services = who.services("read")
    if services == ():
        raise Problem(403, "forbidden", "the right to read is missing")
    return services


def _asked(request: Any, service: str) -> Asked:
    if not (request.HasField("requirements") or request.HasField("constraints") or request.HasField("preferences")):
        parts = SegmentParts(request.tenant, "", request.region)
        return Asked(service=service, request_id=request.request_id, session_id=request.session_id, segment=parts)
    needs, limits, likes = request.requirements, request.constraints, request.preferences
    ignored = {
        "requirements.min_context_window": needs.min_context_window,
        "requirements.required_features": needs.required_features,
        "requirements.reasoning_level": needs.reasoning_level,
        "constraints.compliance_requirements": limits.compliance_requirements,
        "constraints.allowed_regions": limits.allowed_regions,
        "preferences.optimize_for": likes.optimize_for,
        "preferences.excluded_providers": likes.excluded_providers,
    }
    return Asked(
        service=service,
        request_id=request.request_id,
        session_id=request.session_id,
        segment=SegmentParts(request.tenant, needs.task_type, request.region),
        max_cost_usd=limits.max_cost_per_request_usd if limits.HasField("max_cost_per_request_usd") else None,
        max_latency_ms=limits.max_latency_ms if limits.HasField("max_latency_ms") else None,
        not_considered=tuple(name for name, value in ignored.items() if value),
    )


def _selected(request_id: str, found: Selection) -> Any:
    broken = [limit.name for limit in found.constraints if limit.satisfied is False]
    why = found.selection_rationale + (f"; beyond {', '.join(broken)}" if broken else "")
    return pb.SelectModelResponse(
        request_id=request_id or found.request_id,
        recommended_model=found.recommended_model,
        alternatives=[
            pb.ModelAlternative(
                model_id=other.model_id,
                match_score=other.score,
                rationale=other.rationale,
                estimated_metrics=_estimated(other.estimated_metrics),
                arm=other.arm,
            )
            for other in found.alternatives
        ],
        estimated_metrics=_estimated(found.estimated_metrics),
        selection_rationale=why,
        service=found.service,
        arm=found.arm,
        slice=found.slice,
        version=found.version,
        receipt=found.receipt,
        segment=found.segment,
        provider=found.provider,
        prompt_version=found.prompt_version,
        parameters=_struct(found.parameters) if found.parameters else None,
        not_considered=found.not_considered,
    )


def _estimated(known: Estimate) -> Any:
    return pb.EstimatedMetrics(
        cost_per_request_usd=known.cost_per_request_usd or 0.0,
        latency_p95_ms=int(known.latency_p95_ms or 0),
        quality_score=known.quality_score or 0.0,
        requests=known.requests,
    )


def _recommended(one: Recommendation) -> Any:
    impact = {metric: (found or {}).get("estimate") or 0.0 for metric, found in one.estimated_impact.items()}
    return pb.StrategyRecommendation(
        recommendation_id=one.implementation["decision_id"],
        strategy_type=one.strategy_type,
        description=one.rationale,
        confidence=one.confidence,
        estimated_impact=pb.ImpactEstimate(
            cost_reduction_percentage=-100.0 * impact.get("cost", 0.0), quality_impact=impact.get("quality", 0.0)
        ),
        implementation_details=_struct(one.implementation),
        service=one.service,
        status=one.status,
    )


def _experiment(request: Any) -> ExperimentRequest:
    given: dict[str, Any] = {
        "service": request.service or request.context.application_id,
        "name": request.name,
        "description": request.description,
        "variants": [
            Variant(variant_id=v.variant_id, description=v.description, configuration=_plain(v.configuration))
            for v in request.variants
        ],
        "traffic_allocation": dict(request.traffic_allocation),
        "success_criteria": {"primary_metric": request.success_criteria.primary_metric}
        if request.HasField("success_criteria")
        else None,
        "duration_hours": request.duration_hours or None,
    }
    try:
        return msgspec.convert(msgspec.to_builtins(given), ExperimentRequest)
    except msgspec.ValidationError as error:
        raise bad_request(str(error)) from None


def _plain(struct: Struct) -> dict[str, Any]:
    """A Struct knows no whole numbers: 512.0 is meant as 512."""
    found: dict[str, Any] = _whole(MessageToDict(struct))
    return found


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _event(event: DecisionEvent) -> Any:
    return pb.OptimizationEvent(
        event_id=event.id,
        event_type=event.type,
        timestamp=Timestamp(seconds=epoch_s(event.time)),
        data=_struct(event.data),
        service=event.service,
        decision_id=event.decision_id,
        status=event.status,
    )


def _struct(values: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(msgspec.to_builtins(values))
    return made
