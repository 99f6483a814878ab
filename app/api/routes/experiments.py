"""Trials and experiments. An experiment is arms that are ordered to be tried; one machinery tries them all."""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.adapters.readmodel.answers import CommandEvent, Trial
from app.adapters.readmodel.experiments import TYPES, Experiment, experiments, identity_of, refusal_of
from app.adapters.readmodel.model import Model
from app.adapters.readmodel.paging import Wanted
from app.api.context import Context, Reply
from app.api.identity import Identity
from app.api.orders import Accepted, Orders, checked
from app.api.problems import Problem, not_found
from app.api.route import Route
from app.api.routes.common import Limit, Params, ServiceName, Text, found, visible_or_404
from app.api.routes.decisions import Reason, accepted
from app.api.routes.services import read
from app.core.document import to_object

MAX_EVENTS = 20_000


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
    """Arms to be tried, each against whoever serves then. Shares, goals and the end are not the caller's: a trial goes
    up step by step while it is safe, is judged by the document's objective and guardrails, and ends with its verdict.
    So traffic_allocation, success_criteria and duration_hours are refused rather than ignored. ``scored_max``: scored
    answers each slice of a trial gets at most (0: open end). A variant that serves now is the control.
    """

    service: ServiceName
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    description: Annotated[str, Meta(max_length=1000)] = ""
    variants: Annotated[list[Variant], Meta(min_length=1, max_length=9)]
    scored_max: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    traffic_allocation: dict[str, float] = {}
    success_criteria: SuccessCriteria | None = None
    duration_hours: int | None = None


class ExperimentResponse(msgspec.Struct, frozen=True, kw_only=True):
    """``experiment_id``: the id of the order, which `/experiments/{experiment_id}` knows as well as that of the
    experiment.
    """

    experiment_id: str
    status: Literal["created", "running", "completed", "failed"]
    service: str
    arms_added: list[str]
    start_time: str | None = None
    end_time: str | None = None


class ExperimentState(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment from its order to its end. created: ordered, not begun; failed: refused, ``conclusion`` says why;
    aborted: stopped by an order. ``experiment``: what was told of it.
    """

    experiment_id: str
    service: str
    name: str
    status: Literal["created", "running", "completed", "aborted", "failed"]
    conclusion: str = ""
    experiment: Experiment | None = None


class ExperimentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment in the words of requirements/001. ``improvement_percentage``: points of the quality score (100 =
    the whole scale), winner over control; None without a winner or without scores.
    """

    experiment_id: str
    name: str
    status: str
    service: str
    winning_variant: str | None
    improvement_percentage: float | None


class ExperimentList(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments that were ordered, newest first."""

    experiments: list[ExperimentSummary]


class TrialList(msgspec.Struct, frozen=True, kw_only=True):
    """Trials, newest first."""

    trials: list[Trial]


class TrialsAsked(Params, frozen=True, kw_only=True):
    """Which trials."""

    status: Literal["", "running", "completed", "failed"] = ""
    service: Text = ""
    limit: Limit = 50


class ExperimentsAsked(Params, frozen=True, kw_only=True):
    """Which experiments."""

    status: Literal["", "running", "completed", "aborted", "failed"] = ""
    service: Text = ""
    limit: Limit = 50


class OneExperiment(Params, frozen=True, kw_only=True):
    """One experiment by its id, or by that of its order."""

    experiment_id: Annotated[str, Meta(min_length=1, max_length=200)]


class OneTrial(Params, frozen=True, kw_only=True):
    """One trial by its id."""

    trial_id: Annotated[str, Meta(min_length=1, max_length=200)]


async def list_experiments(context: Context, params: ExperimentsAsked, body: None) -> ExperimentList:
    """List experiments."""
    told = reversed(await _told(context, params.service))
    kept = [one for one in told if params.status in {"", one.status}]
    return ExperimentList(experiments=[_summary(one) for one in kept[: params.limit]])


async def create_experiment(context: Context, params: Params, body: ExperimentRequest) -> Reply:
    """Have arms tried."""
    made = await create(context.parts.orders, context.model, context.identity, context.idempotency_key, body)
    return Reply(made, 201, {"Location": f"/api/v1/experiments/{made.experiment_id}"})


async def get_experiment(context: Context, params: OneExperiment, body: None) -> ExperimentState:
    """Show one experiment, from its order on."""
    return await _state(context, params.experiment_id)


async def stop_experiment(context: Context, params: OneExperiment, body: Reason) -> Reply:
    """Begin no further trial of an experiment."""
    state = await _state(context, params.experiment_id)
    if state.experiment is None:
        raise Problem(409, "not_begun", f"the experiment is {state.status}: there is nothing to stop")
    args = {"experiment_id": state.experiment.experiment_id}
    wire = {"service": state.service, "command": "experiment.stop", "args": args, "reason": body.reason}
    return accepted(await context.parts.orders.give(context.identity, context.idempotency_key, wire))


async def list_trials(context: Context, params: TrialsAsked, body: None) -> TrialList:
    """List trials."""
    return TrialList(trials=await _trials(context, params))


async def get_trial(context: Context, params: OneTrial, body: None) -> Trial:
    """Show one trial."""
    trial: Trial = found(await context.ask(context.model.trial, params.trial_id), f"trial {params.trial_id!r}")
    visible_or_404(context, trial.service, f"trial {params.trial_id!r}")
    return trial


async def create(orders: Orders, model: Model, who: Identity, key: str, body: ExperimentRequest) -> ExperimentResponse:
    """Send the document with the new arms of ``body``, if any, then the order to try them. ``Problem`` 403, 404, 409,
    422. Under one idempotency key both are one order: a retry goes on where the first attempt ended.
    """
    if not who.may("administer", body.service):
        raise Problem(403, "forbidden", f"the right to administer {body.service!r} is missing")
    refused = [n for n in ("traffic_allocation", "success_criteria", "duration_hours") if getattr(body, n)]
    if refused:
        raise Problem(
            422, "not_supported", f"leave out {', '.join(refused)}: see the description", details={"fields": refused}
        )
    document = await asyncio.to_thread(model.document, body.service)
    split = await asyncio.to_thread(model.split, body.service)
    if document is None:
        raise Problem(404, "not_found", f"service {body.service!r} has no document yet: apply one first")
    given = to_object(document)
    new = _new(given["arms"], body.variants)
    control = split.incumbent if split is not None else document.arms[0].name
    arms = [name for name in dict.fromkeys(v.variant_id for v in body.variants) if name != control]
    if not arms:
        raise Problem(422, "nothing_to_try", f"{control} serves already: name arms that do not")
    start = {"arms": arms, "name": body.name, "hypothesis": body.description, "scored_max": body.scored_max}
    order = {"service": body.service, "reason": f"experiment {body.name}"}
    checked(who, {**order, "command": "experiment.start", "args": start})
    if new:
        given["arms"] = [*given["arms"], *({"name": v.variant_id, **v.configuration} for v in new)]
        wire = {"command": "configure", "args": {"document": to_object(read(body.service, given))}}
        await orders.give(who, f"{key}/document" if key else "", {**order, **wire})
    made = await orders.give(who, key, {**order, "command": "experiment.start", "args": start})
    return ExperimentResponse(
        experiment_id=made.id, status="created", service=body.service, arms_added=[v.variant_id for v in new]
    )


def _new(arms: list[dict[str, Any]], variants: list[Variant]) -> list[Variant]:
    """The variants the document does not have. ``Problem`` 409 for one that it has otherwise."""
    known = {arm["name"]: arm for arm in arms}
    for variant in variants:
        held = known.get(variant.variant_id)
        if held is not None and any(held.get(name) != value for name, value in variant.configuration.items()):
            raise Problem(
                409, "arm_exists", f"there is another arm {variant.variant_id!r}: take another name for this one"
            )
    return [variant for variant in variants if variant.variant_id not in known]


async def _told(context: Context, service: str = "") -> list[Experiment]:
    wanted = Wanted(services=context.visible()).where("service = ?", service).one_of("type", TYPES).seen_by()
    return experiments(await context.ask(context.model.newest_events, wanted, MAX_EVENTS))


async def _state(context: Context, identity: str) -> ExperimentState:
    """By the id of the experiment or of its order. ``Problem`` 404."""
    told = {one.experiment_id: one for one in await _told(context)}
    if identity in told:
        return _of(told[identity])
    what = f"experiment {identity!r} (yet: a new one is a moment on its way)"
    order: CommandEvent = found(await context.ask(context.model.command, identity), what)
    visible_or_404(context, order.service, what)
    if order.command != "experiment.start":
        raise not_found(what)
    partition, offset = found(await context.ask(context.model.command_place, identity), what)
    source = (context.parts.settings.topics.commands, partition, offset, order.service)
    one = told.get(identity_of(*source))
    if one is not None:
        return _of(one)
    refused = await context.ask(context.model.decision, refusal_of(*source), context.visible())
    return ExperimentState(
        experiment_id=identity,
        service=order.service,
        name=str(order.args.get("name", "")),
        status="failed" if refused else "created",
        conclusion=refused[0].rationale if refused else "",
    )


def _of(one: Experiment) -> ExperimentState:
    return ExperimentState(
        experiment_id=one.experiment_id,
        service=one.service,
        name=one.name,
        status=one.status,
        conclusion=one.conclusion or "",
        experiment=one,
    )


async def _trials(context: Context, params: TrialsAsked) -> list[Trial]:
    trials: list[Trial] = await context.ask(
        context.model.trials, context.visible(), params.status, params.service, params.limit
    )
    return trials


def _summary(one: Experiment) -> ExperimentSummary:
    moved = (one.improvement or {}).get("quality_score")
    return ExperimentSummary(
        experiment_id=one.experiment_id,
        name=one.name,
        status=one.status,
        service=one.service,
        winning_variant=one.winner,
        improvement_percentage=100.0 * moved if moved is not None else None,
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
    Route(
        method="GET",
        path="/experiments/{experiment_id}",
        handler=get_experiment,
        right="read",
        tag="Experiments",
        errors=(404,),
    ),
    Route(
        method="POST",
        path="/experiments/{experiment_id}/stop",
        handler=stop_experiment,
        right="read",
        tag="Experiments",
        status=202,
        answer=Accepted,
        errors=(404, 409, 415, 422, 503),
        order=True,
    ),
    Route(method="GET", path="/trials", handler=list_trials, right="read", tag="Experiments"),
    Route(method="GET", path="/trials/{trial_id}", handler=get_trial, right="read", tag="Experiments", errors=(404,)),
)
