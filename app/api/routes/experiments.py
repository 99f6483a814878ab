"""Trials and experiments. An experiment is a set of arms the service document gets; one machinery tries them all."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import Trial
from app.api.context import Context, Reply
from app.api.identity import Identity
from app.api.orders import Accepted, Orders
from app.api.problems import Problem
from app.api.route import Route
from app.api.routes.common import Limit, Params, ServiceName, Text, found, visible_or_404
from app.api.routes.services import read
from app.core.document import ServiceDocument, to_object


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One arm. ``configuration``: the keys of an arm in the service document (model, parameters, prompt_version...);
    empty for an arm the document already has.
    """

    variant_id: Annotated[str, Meta(min_length=1, max_length=200)]
    description: Annotated[str, Meta(max_length=1000)] = ""
    configuration: dict[str, Any] = {}


class SuccessCriteria(msgspec.Struct, frozen=True, kw_only=True):
    """As in requirements/001; refused when given, see ``ExperimentRequest``."""

    primary_metric: str = ""
    min_improvement_percentage: float | None = None
    min_statistical_significance: float | None = None


class ExperimentRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arms to be tried. Shares, goals and the end are not the caller's: a trial goes up step by step while it is safe,
    is judged by the document's objective and guardrails, and ends with its verdict. So traffic_allocation,
    success_criteria and duration_hours are refused rather than ignored.
    """

    service: ServiceName
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Annotated[str, Meta(max_length=1000)] = ""
    variants: Annotated[list[Variant], Meta(min_length=1, max_length=10)]
    traffic_allocation: dict[str, float] = {}
    success_criteria: SuccessCriteria | None = None
    duration_hours: int | None = None


class ExperimentResponse(msgspec.Struct, frozen=True, kw_only=True):
    """``experiment_id``: the id of the order; each arm's trial gets one of its own when it opens."""

    experiment_id: str
    status: Literal["created", "running", "completed", "failed"]
    service: str
    arms_added: list[str]
    start_time: str | None = None
    end_time: str | None = None


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One trial in the words of requirements/001. ``improvement_percentage``: of the reward, by its estimate."""

    experiment_id: str
    name: str
    status: str
    service: str
    winning_variant: str | None
    improvement_percentage: float | None


class ExperimentList(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments, newest first."""

    experiments: list[ExperimentSummary]


class TrialList(msgspec.Struct, frozen=True, kw_only=True):
    """Trials, newest first."""

    trials: list[Trial]


class TrialsAsked(Params, frozen=True, kw_only=True):
    """Which trials."""

    status: Literal["", "running", "completed", "failed"] = ""
    service: Text = ""
    limit: Limit = 50


class OneTrial(Params, frozen=True, kw_only=True):
    """One trial by its id."""

    trial_id: Annotated[str, Meta(min_length=1, max_length=200)]


async def list_experiments(context: Context, params: TrialsAsked, body: None) -> ExperimentList:
    """List experiments."""
    trials = await _trials(context, params)
    return ExperimentList(experiments=[_summary(trial) for trial in trials])


async def create_experiment(context: Context, params: Params, body: ExperimentRequest) -> Reply:
    """Have arms tried."""
    document = await context.ask(context.model.document, body.service)
    made = await create(context.parts.orders, context.identity, context.idempotency_key, document, body)
    return Reply(made, 201, {"Location": f"/api/v1/commands/{made.experiment_id}"})


async def list_trials(context: Context, params: TrialsAsked, body: None) -> TrialList:
    """List trials."""
    return TrialList(trials=await _trials(context, params))


async def get_trial(context: Context, params: OneTrial, body: None) -> Trial:
    """Show one trial."""
    trial: Trial = found(await context.ask(context.model.trial, params.trial_id), f"trial {params.trial_id!r}")
    visible_or_404(context, trial.service, f"trial {params.trial_id!r}")
    return trial


async def create(
    orders: Orders, who: Identity, key: str, document: ServiceDocument | None, body: ExperimentRequest
) -> ExperimentResponse:
    """Send the document with the arms of ``body``. ``Problem`` 403, 404, 409, 422."""
    if not who.may("administer", body.service):
        raise Problem(403, "forbidden", f"the right to administer {body.service!r} is missing")
    refused = [n for n in ("traffic_allocation", "success_criteria", "duration_hours") if getattr(body, n)]
    if refused:
        raise Problem(
            422, "not_supported", f"leave out {', '.join(refused)}: see the description", details={"fields": refused}
        )
    if document is None:
        raise Problem(404, "not_found", f"service {body.service!r} has no document yet: apply one first")
    given = to_object(document)
    known = {arm["name"] for arm in given["arms"]}
    new = [variant for variant in body.variants if variant.variant_id not in known]
    if any(variant.configuration for variant in body.variants if variant.variant_id in known):
        raise Problem(409, "arm_exists", "an arm of that name exists: take another name for another configuration")
    order = Accepted(id="", service=body.service, command="optimize-now", actor=who.name)
    reason = f"experiment {body.name}"
    if new:
        given["arms"] = [*given["arms"], *({"name": v.variant_id, **v.configuration} for v in new)]
        wire = {"command": "configure", "args": {"document": to_object(read(body.service, given))}}
        order = await orders.give(who, key, {"service": body.service, "reason": reason, **wire})
    else:
        order = await orders.give(who, key, {"service": body.service, "command": "optimize-now", "reason": reason})
    return ExperimentResponse(
        experiment_id=order.id, status="created", service=body.service, arms_added=[v.variant_id for v in new]
    )


async def _trials(context: Context, params: TrialsAsked) -> list[Trial]:
    trials: list[Trial] = await context.ask(
        context.model.trials, context.visible(), params.status, params.service, params.limit
    )
    return trials


def _summary(trial: Trial) -> ExperimentSummary:
    reward = ((trial.results or {}).get("reward") or {}).get("estimate")
    return ExperimentSummary(
        experiment_id=trial.id,
        name=trial.name,
        status=trial.status,
        service=trial.service,
        winning_variant=trial.winner,
        improvement_percentage=100.0 * reward if reward is not None else None,
    )


ROUTES = (
    Route(
        method="POST",
        path="/experiments",
        handler=create_experiment,
        right="administer",
        tag="Experiments",
        own_check=True,
        status=201,
        answer=ExperimentResponse,
        errors=(404, 409, 415, 422, 503),
        order=True,
    ),
    Route(method="GET", path="/experiments", handler=list_experiments, right="read", tag="Experiments"),
    Route(method="GET", path="/trials", handler=list_trials, right="read", tag="Experiments"),
    Route(method="GET", path="/trials/{trial_id}", handler=get_trial, right="read", tag="Experiments", errors=(404,)),
)
