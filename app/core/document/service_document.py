"""The service document: what a service is and how it may be changed (DESIGN 6). All but the name has a default."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.core.document.arms import EVERYWHERE, MAX_ARMS, Arm, Segments, segment_name, split_parts
from app.core.document.guardrails import Guardrails
from app.core.document.limits import Budget, Policy, Verify
from app.core.document.objective import Objective
from app.core.document.pricing import MAX_PRICES, Price
from app.core.document.remote_policy import RemotePolicy
from app.core.document.request_limits import Limits
from app.core.document.strategy import StrategyPlan
from app.core.document.thresholds import Slo, Thresholds
from app.core.document.trial_plan import TrialPlan
from app.core.resolved import resolved

Mode = Literal["observe", "recommend", "approve", "auto"]
ServiceName = Annotated[str, Meta(pattern=r"^[^\s*\x00-\x1f][^\x00-\x1f]{0,199}$")]
Text = Annotated[str, Meta(max_length=200)]


@resolved
class ServiceDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service. Made by ``parse_toml``, ``from_json`` or ``default_document``, which also check it across fields."""

    service: Annotated[ServiceName, Meta(description="Name of the service, as telemetry spells it.")]
    mode: Annotated[
        Mode,
        Meta(description="`observe` reports, `recommend` only proposes, `approve` asks a person, `auto` acts."),
    ] = "recommend"
    policy: Annotated[
        Literal["single", "mix"],
        Meta(description="`single`: the winner gets all traffic; `mix`: admitted arms share it by weights per minute."),
    ] = "single"
    arms: Annotated[tuple[Arm, ...], Meta(max_length=MAX_ARMS, description="Ways to answer, in fixed order.")] = ()
    incumbent: Annotated[Text, Meta(description="Arm that serves at the start. Default: the first arm.")] = ""
    baseline: Annotated[
        Text, Meta(description="Arm of the holdout: savings are against it. Default: the incumbent.")
    ] = ""
    gateway: Annotated[
        str, Meta(min_length=1, max_length=200, description="Gateway that follows the split; a name from the settings.")
    ] = "orchestrator"
    holdout_share: Annotated[
        float,
        Meta(
            ge=0,
            le=0.5,
            description="Share that stays on the baseline for ever; 0: savings cannot be proven.",
        ),
    ] = 0.05
    sticky: Annotated[
        bool, Meta(description="Draw the arm by session where there is one, so a conversation keeps its arm.")
    ] = True
    evidence: Annotated[
        Literal["auto", "responses", "spans"],
        Meta(
            description="Which telling of a request counts where it comes both as its own event and as a span; `auto`: "
            "the one seen first."
        ),
    ] = "auto"
    on_hand_edit: Annotated[
        Literal["reapply", "freeze"],
        Meta(description="When somebody changed the gateway by hand: put the split back, or freeze the service."),
    ] = "reapply"
    segments: Annotated[Segments, Meta(description="Parts of the traffic judged on their own.")] = Segments()
    objective: Annotated[Objective, Meta(description="What is better.")] = Objective()
    guardrails: Annotated[Guardrails, Meta(description="How much harm a change may do.")] = Guardrails()
    trial: Annotated[TrialPlan, Meta(description="How a change is rolled out.")] = TrialPlan()
    budget: Annotated[Budget, Meta(description="What may be spent.")] = Budget()
    verify: Annotated[Verify, Meta(description="When the gateway is believed.")] = Verify()
    thresholds: Annotated[Thresholds, Meta(description="What makes a finding.")] = Thresholds()
    slo: Annotated[Slo, Meta(description="What was promised.")] = Slo()
    prices: Annotated[
        tuple[Price, ...], Meta(max_length=MAX_PRICES, description="Price book, for requests that carry no cost.")
    ] = ()
    policies: Annotated[tuple[Policy, ...], Meta(max_length=64, description="Governance policies.")] = ()
    strategy: Annotated[StrategyPlan, Meta(description="Where the arms on trial come from.")] = StrategyPlan()
    limits: Annotated[Limits, Meta(description="What a request may cost, take and hold.")] = Limits()
    remote_policy: Annotated[RemotePolicy, Meta(description="A policy service that is asked.")] = RemotePolicy()

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names in fixed arm order."""
        return tuple(arm.name for arm in self.arms)

    def arm(self, name: str) -> Arm | None:
        """The arm called ``name``, or None."""
        return next((arm for arm in self.arms if arm.name == name), None)

    @property
    def segment_names(self) -> tuple[str, ...]:
        """Every segment the service can have: ``*`` alone, or the declared ones and ``other``."""
        return (*self.segments.values, "other") if self.segments.by else (EVERYWHERE,)


def completed(document: ServiceDocument) -> ServiceDocument:
    """``document`` with the defaults that depend on other fields filled in: models, incumbent, baseline."""
    arms = tuple(msgspec.structs.replace(arm, model=arm.model or arm.name) for arm in document.arms)
    incumbent = document.incumbent or (arms[0].name if arms else "")
    baseline = document.baseline or incumbent
    return msgspec.structs.replace(document, arms=arms, incumbent=incumbent, baseline=baseline)


def default_document(service: str, models: tuple[str, ...] | list[str]) -> ServiceDocument:
    """What an unknown service gets: mode observe, every model seen an arm, in the order given (the first 16)."""
    names = tuple(dict.fromkeys(models))[:MAX_ARMS]
    return completed(ServiceDocument(service=service, mode="observe", arms=tuple(Arm(name=n, model=n) for n in names)))


def segment_of(document: ServiceDocument, raw: str) -> str:
    """The segment of a raw cell key (tenant, task type, region joined by U+001F; "" = no parts)."""
    if not document.segments.by:
        return EVERYWHERE
    return segment_name(document.segments.by, document.segments.values, split_parts(raw))
